"""Programs that every Unix has: files and text. Containers have these and no others."""

import base64
import fnmatch
import hashlib
import posixpath
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from homelab_lib.twin.files import Entry, FileError
from homelab_lib.twin.machine import Commands
from homelab_lib.twin.shell import Call, Reply, Shell, absolute

if TYPE_CHECKING:
    from homelab_lib.twin.machine import Machine

coreutils = Commands()
_KINDS = {"file": "regular file", "dir": "directory", "link": "symbolic link"}


def operands(call: Call, values: str = "") -> tuple[list[str], dict[str, str]]:
    """Words that are no options, and the options with their values (empty for flags)."""
    taking, words, options = values.split(), [], {}
    rest = iter(call.argv[1:])
    for word in rest:
        if word == "--":
            words += rest
        elif not word.startswith("-") or word == "-":
            words.append(word)
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = value if "=" in word or name not in taking else next(rest, "")
        elif word in taking:
            options[word] = next(rest, "")
        else:
            options |= {f"-{letter}": "" for letter in word[1:]}
    return words, options


def _fails(call: Call, what: str, status: int = 1) -> Reply:
    return Reply(status, stderr=f"{call.argv[0]}: {what}\n")


def _path(machine: "Machine", word: str) -> str:
    return absolute(word, machine.home)


def _may_read(machine: "Machine", call: Call, path: str) -> None:
    entry = machine.files.entry(path)
    if entry is None or call.user in ("root", entry.user):
        return
    if not entry.mode & 0o004:
        raise FileError("Permission denied")


@coreutils("sh", "bash", "dash")
def sh(machine: "Machine", call: Call) -> Reply:
    """Run a script, from a word or from a file."""
    words = list(call.argv[1:])
    stop = False
    while words and words[0].startswith("-") and words[0] not in ("-c", "--"):
        stop = stop or "e" in words.pop(0)
    if not words:
        script, arguments = call.stdin.decode(errors="replace"), ["sh"]
    elif words[0] == "-c":
        script, arguments = words[1], words[2:] or ["sh"]
    else:
        path = _path(machine, words[0])
        if not machine.files.exists(path):
            return _fails(call, f"0: cannot open {words[0]}: No such file", 2)
        known = machine.world.scripts.get(machine.files.entry(path).sha256)
        if known is not None:
            return known(machine, Call(tuple(words), call.stdin, call.user, call.env))
        script, arguments = machine.files.text(path), words
    shell = Shell(machine.call, machine.files, call.user, dict(call.env), arguments, stop)
    return shell.run(script, call.stdin if words else b"")


@coreutils("cat")
def cat(machine: "Machine", call: Call) -> Reply:
    """Files one after the other, or what comes in."""
    words, _ = operands(call)
    out, err, status = b"", "", 0
    for word in words or ["-"]:
        try:
            path = _path(machine, word)
            if word != "-":
                _may_read(machine, call, path)
            out += call.stdin if word == "-" else machine.files.read(path)
        except FileError as error:
            err, status = f"{err}cat: {word}: {error.says}\n", 1
    return Reply(status, out, err)


@coreutils("head", "tail")
def head(machine: "Machine", call: Call) -> Reply:
    """The first lines, or the last ones."""
    words, options = operands(call, "-n -c")
    text = machine.files.read(_path(machine, words[0])) if words else call.stdin
    if "-c" in options:
        return Reply(0, text[: int(options["-c"])])
    count = int(options.get("-n") or 10)
    lines = text.splitlines(keepends=True)
    return Reply(0, b"".join(lines[:count] if call.argv[0] == "head" else lines[-count:]))


@coreutils("tee")
def tee(machine: "Machine", call: Call) -> Reply:
    """Pass on what comes in, and keep it."""
    words, options = operands(call)
    for word in words:
        path = _path(machine, word)
        old = machine.files.read(path) if "-a" in options and machine.files.exists(path) else b""
        machine.files.write(path, old + call.stdin, mtime_s=machine.world.clock.now())
    return Reply(0, call.stdin)


@coreutils("grep")
def grep(machine: "Machine", call: Call) -> Reply:
    """Lines that fit a pattern."""
    words, options = operands(call, "-e")
    pattern = options.get("-e") or words.pop(0)
    if "-F" in options:
        pattern = re.escape(pattern)
    texts = [machine.files.text(_path(machine, word)) for word in words]
    text = "\n".join(texts) if words else call.stdin.decode(errors="replace")
    flags = re.IGNORECASE if "-i" in options else 0
    found = [
        line
        for line in text.splitlines()
        if bool(re.search(pattern, line, flags)) != ("-v" in options)
    ]
    if "-c" in options:
        return Reply(0 if found else 1, f"{len(found)}\n")
    out = "" if "-q" in options else "".join(f"{line}\n" for line in found)
    return Reply(0 if found else 1, out)


@coreutils("echo")
def echo(machine: "Machine", call: Call) -> Reply:
    """Print words."""
    words = call.argv[1:]
    bare = words[:1] == ("-n",)
    return Reply(0, " ".join(words[1:] if bare else words) + ("" if bare else "\n"))


@coreutils("printf")
def printf(machine: "Machine", call: Call) -> Reply:
    """Print by a format of ``%s`` and ``%d``."""
    text, *values = call.argv[1:]
    text = text.replace("\\n", "\n").replace("\\t", "\t")
    count = len(re.findall(r"%[sd]", text))
    out, rest = "", list(values)
    while True:
        taken, rest = rest[:count], rest[count:]
        filled = iter([*taken, *[""] * count])
        out += re.sub(r"%[sd]", lambda _, filled=filled: next(filled), text)
        if not rest or not count:
            return Reply(0, out.replace("%%", "%"))


@coreutils("true", "sync", "umask", "ulimit")
def true(machine: "Machine", call: Call) -> Reply:
    """Nothing, well done."""
    return Reply()


@coreutils("false")
def false(machine: "Machine", call: Call) -> Reply:
    """Nothing, badly done."""
    return Reply(1)


@coreutils("sleep")
def sleep(machine: "Machine", call: Call) -> Reply:
    """Wait."""
    return Reply(takes_s=float(call.argv[1]))


@coreutils("date")
def date(machine: "Machine", call: Call) -> Reply:
    """The time that the twin is in."""
    moment = datetime.fromtimestamp(machine.world.clock.now(), UTC)
    form = next((w[1:] for w in call.argv[1:] if w.startswith("+")), "%a %b %d %H:%M:%S UTC %Y")
    return Reply(0, moment.strftime(form.replace("%s", str(int(moment.timestamp())))) + "\n")


@coreutils("test", "[")
def test(machine: "Machine", call: Call) -> Reply:
    """Whether something holds."""
    words = list(call.argv[1:])
    if call.argv[0] == "[":
        words = words[:-1]
    negate = words[:1] == ["!"]
    words = words[1:] if negate else words
    match words:
        case ["-e" | "-f" | "-d" | "-s" | "-r" | "-x" | "-L" as flag, word]:
            entry = machine.files.entry(_path(machine, word), follow=flag != "-L")
            kinds = {"-f": "file", "-d": "dir", "-L": "link"}
            holds = entry is not None and kinds.get(flag, entry.kind) == entry.kind
            holds = holds and not (flag == "-s" and not entry.size)
            holds = holds and not (flag == "-x" and not entry.mode & 0o111)
        case ["-n" | "-z" as flag, word]:
            holds = bool(word) == (flag == "-n")
        case [a, "=" | "==" | "!=" as operator, b]:
            holds = (a == b) == (operator != "!=")
        case [a, "-eq" | "-ne" | "-gt" | "-lt" | "-ge" | "-le" as operator, b]:
            x, y = int(a), int(b)
            signs = {"-eq": x == y, "-ne": x != y, "-gt": x > y, "-lt": x < y}
            holds = (signs | {"-ge": x >= y, "-le": x <= y})[operator]
        case [word]:
            holds = bool(word)
        case _:
            return _fails(call, "unknown condition", 2)
    return Reply(0 if bool(holds) != negate else 1)


@coreutils("basename", "dirname")
def dirname(machine: "Machine", call: Call) -> Reply:
    """A part of a path."""
    words, _ = operands(call)
    part = posixpath.dirname if call.argv[0].endswith("dirname") else posixpath.basename
    return Reply(0, (part(words[0].rstrip("/") or "/") or ".") + "\n")


@coreutils("ls")
def ls(machine: "Machine", call: Call) -> Reply:
    """Names in folders."""
    words, options = operands(call)
    out, err = "", ""
    for word in words or ["."]:
        path = _path(machine, word)
        entry = machine.files.entry(path)
        if entry is None:
            err += f"ls: cannot access '{word}': No such file or directory\n"
            continue
        is_folder = entry.kind == "dir" and "-d" not in options
        names = machine.files.listdir(path) if is_folder else [word]
        for name in names:
            if name.startswith(".") and is_folder and not {"-a", "-A"} & options.keys():
                continue
            found = machine.files.entry(posixpath.join(path, name) if is_folder else path)
            if "-l" in options and found:
                out += f"{_mode(found)} 1 {found.user} {found.group} {found.size} {name}\n"
            else:
                out += f"{name}\n"
    return Reply(2 if err else 0, out, err)


def _mode(entry: Entry) -> str:
    letters = "".join(
        letter if entry.mode >> (8 - place) & 1 else "-" for place, letter in enumerate("rwxrwxrwx")
    )
    return {"dir": "d", "link": "l"}.get(entry.kind, "-") + letters


@coreutils("find")
def find(machine: "Machine", call: Call) -> Reply:
    """Paths below folders, by name and type."""
    words = list(call.argv[1:])
    start = next((i for i, w in enumerate(words) if w.startswith("-")), len(words))
    tests = dict(zip(words[start::2], words[start + 1 :: 2], strict=False))
    out = ""
    for root in words[:start] or ["."]:
        for path in machine.files.walk(_path(machine, root)):
            entry = machine.files.entry(path, follow=False)
            letter = {"file": "f", "dir": "d", "link": "l"}[entry.kind] if entry else ""
            if tests.get("-type", letter) == letter and fnmatch.fnmatch(
                posixpath.basename(path), tests.get("-name", "*")
            ):
                out += f"{path}\n"
    return Reply(0, out)


@coreutils("stat")
def stat(machine: "Machine", call: Call) -> Reply:
    """Facts about files, by ``-c`` format."""
    words, options = operands(call, "-c --format")
    form = options.get("-c") or options.get("--format") or "%n %s"
    out, err = "", ""
    for word in words:
        entry = machine.files.entry(_path(machine, word), follow="-L" in options)
        if entry is None:
            err += f"stat: cannot statx '{word}': No such file or directory\n"
            continue
        values = {
            "n": word,
            "s": str(entry.size),
            "a": f"{entry.mode:o}",
            "A": _mode(entry),
            "U": entry.user,
            "G": entry.group,
            "Y": str(int(entry.mtime_s)),
            "F": "regular empty file"
            if entry.kind == "file" and not entry.size
            else _KINDS[entry.kind],
        }
        out += re.sub(r"%(.)", lambda found, v=values: v.get(found[1], "?"), form) + "\n"
    return Reply(1 if err else 0, out, err)


@coreutils("sha256sum", "sha512sum", "md5sum")
def sha256sum(machine: "Machine", call: Call) -> Reply:
    """Digests of files, or whether they are what a list says (``-c``)."""
    words, options = operands(call)
    if "-c" in options or "--check" in options:
        return _check_sums(machine, call, words)
    out, err = "", ""
    for word in words or ["-"]:
        try:
            if word == "-":
                digest = hashlib.sha256(call.stdin).hexdigest()
            else:
                _may_read(machine, call, _path(machine, word))
                digest = _digest(machine, _path(machine, word), call.argv[0])
            out += f"{digest}  {word}\n"
        except FileError as error:
            err += f"{call.argv[0]}: {word}: {error.says}\n"
    return Reply(1 if err else 0, out, err)


def _digest(machine: "Machine", path: str, program: str) -> str:
    data = machine.files.read(path)
    entry = machine.files.entry(path)
    if program == "sha256sum" and entry is not None:
        return entry.sha256
    return hashlib.new(program.removesuffix("sum"), data).hexdigest()


def _check_sums(machine: "Machine", call: Call, words: list[str]) -> Reply:
    text = machine.files.text(_path(machine, words[0])) if words and words[0] != "-" else ""
    out, bad = "", 0
    for line in (text or call.stdin.decode()).splitlines():
        wanted, _, name = line.partition("  ")
        good = _digest(machine, _path(machine, name), call.argv[0]) == wanted
        bad += not good
        out += f"{name}: {'OK' if good else 'FAILED'}\n"
    err = f"{call.argv[0]}: WARNING: {bad} computed checksum did NOT match\n" if bad else ""
    return Reply(1 if bad else 0, out, err)


@coreutils("base64")
def base64_(machine: "Machine", call: Call) -> Reply:
    """Bytes as text, or back."""
    words, options = operands(call, "-w")
    data = machine.files.read(_path(machine, words[0])) if words else call.stdin
    if "-d" in options:
        return Reply(0, base64.b64decode(data))
    return Reply(0, base64.b64encode(data) + b"\n")


@coreutils("wc")
def wc(machine: "Machine", call: Call) -> Reply:
    """Counts of lines or bytes."""
    words, options = operands(call)
    data = machine.files.read(_path(machine, words[0])) if words else call.stdin
    count = len(data) if "-c" in options else data.count(b"\n")
    return Reply(0, f"{count} {words[0]}\n" if words else f"{count}\n")


@coreutils("cut")
def cut(machine: "Machine", call: Call) -> Reply:
    """Fields of lines."""
    words, options = operands(call, "-d -f -c")
    text = machine.files.text(_path(machine, words[0])) if words else call.stdin.decode()
    wanted = _fields(options.get("-f") or options.get("-c", "1"))
    separator = options.get("-d", "\t")
    out = ""
    for line in text.splitlines():
        parts = line.split(separator) if "-f" in options else list(line)
        chosen = [part for place, part in enumerate(parts, 1) if place in wanted]
        out += (separator if "-f" in options else "").join(chosen) + "\n"
    return Reply(0, out)


def _fields(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        found |= set(range(int(low or 1), int(high or 4096) + 1)) if dash else {int(low)}
    return found


# Changing ----------------------------------------------------------------------------------------


@coreutils("mkdir")
def mkdir(machine: "Machine", call: Call) -> Reply:
    """Make folders."""
    words, options = operands(call, "-m")
    for word in words:
        try:
            machine.files.mkdir(_path(machine, word), parents="-p" in options)
        except FileError as error:
            return _fails(call, f"cannot create directory '{word}': {error.says}")
    return Reply()


@coreutils("rm", "rmdir")
def rm(machine: "Machine", call: Call) -> Reply:
    """Take files away."""
    words, options = operands(call)
    recursive = bool({"-r", "-R", "--recursive"} & options.keys())
    err = ""
    for word in words:
        try:
            machine.files.remove(_path(machine, word), recursive=recursive)
        except FileError as error:
            if "-f" not in options or "No such" not in error.says:
                err += f"rm: cannot remove '{word}': {error.says}\n"
    return Reply(1 if err else 0, stderr=err)


@coreutils("mv")
def mv(machine: "Machine", call: Call) -> Reply:
    """Move a file over another."""
    (old, new), options = operands(call)
    target = _path(machine, new)
    if machine.files.is_dir(target) and "-T" not in options:
        target = posixpath.join(target, posixpath.basename(old))
    try:
        machine.files.rename(_path(machine, old), target)
    except FileError as error:
        return _fails(call, f"cannot stat '{old}': {error.says}")
    return Reply()


@coreutils("cp")
def cp(machine: "Machine", call: Call) -> Reply:
    """Copy a file."""
    (old, new), _ = operands(call)
    source, target = _path(machine, old), _path(machine, new)
    if machine.files.is_dir(target):
        target = posixpath.join(target, posixpath.basename(old))
    data = machine.files.read(source)
    entry = machine.files.entry(source)
    machine.files.write(target, data, digest=entry.digest, size_bytes=entry.size_bytes)
    return Reply()


@coreutils("touch")
def touch(machine: "Machine", call: Call) -> Reply:
    """Make an empty file, or say that a file is of now."""
    for word in operands(call)[0]:
        path = _path(machine, word)
        old = machine.files.read(path) if machine.files.exists(path) else b""
        machine.files.write(path, old, mtime_s=machine.world.clock.now())
    return Reply()


@coreutils("chmod", "chown", "chgrp")
def chmod(machine: "Machine", call: Call) -> Reply:
    """Change permissions or owners."""
    (value, *words), options = operands(call)
    for path in _below(machine, words, "-R" in options):
        entry = machine.files.entry(path)
        if entry is None:
            return _fails(call, f"cannot access '{path}': No such file or directory")
        if call.argv[0] == "chmod":
            entry.mode = int(value, 8)
            continue
        user, _, group = value.partition(":")
        for name in filter(None, (user, group)):
            if name not in machine.accounts:
                return _fails(call, f"invalid user: '{value}'")
        entry.user, entry.group = user or entry.user, group or entry.group
    return Reply()


def _below(machine: "Machine", words: Iterable[str], recursive: bool) -> Iterable[str]:
    for word in words:
        path = _path(machine, word)
        yield from machine.files.walk(path) if recursive else [path]


@coreutils("ln")
def ln(machine: "Machine", call: Call) -> Reply:
    """Make a symbolic link."""
    (target, path), _ = operands(call)
    machine.files.link(_path(machine, path), target)
    return Reply()


@coreutils("readlink")
def readlink(machine: "Machine", call: Call) -> Reply:
    """Where a link leads."""
    words, options = operands(call)
    path = _path(machine, words[0])
    entry = machine.files.entry(path, follow=False)
    if entry is None or (entry.kind != "link" and not options):
        return Reply(1)
    return Reply(0, (entry.data.decode() if entry.kind == "link" else path) + "\n")
