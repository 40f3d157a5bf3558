"""Programs that every Unix has: the shell, and what reads and prints text."""

import base64
import posixpath
import re
from datetime import UTC, datetime

from homelab_lib.twin.machine.files import FileError, absolute
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands
from homelab_lib.twin.machine.shell import Shell

textutils = Commands()


def place_of(machine: Machine, word: str) -> str:
    """The path that a word means to a program started in the home folder."""
    return absolute(word, machine.home)


def may_read(machine: Machine, call: Call, path: str) -> None:
    """Raise what the kernel would, if the caller may not read a file."""
    entry = machine.files.entry(path)
    if entry is None or call.user in ("root", entry.user):
        return
    if not entry.mode & 0o004:
        raise FileError("Permission denied")


@textutils("sh", "bash", "dash")
def sh(machine: Machine, call: Call) -> Reply:
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
        path = place_of(machine, words[0])
        if not machine.files.exists(path):
            return fails(call, f"0: cannot open {words[0]}: No such file", 2)
        known = machine.world.scripts.get(machine.files.entry(path).sha256)
        if known is not None:
            return known(machine, Call(tuple(words), call.stdin, call.user, call.env))
        script, arguments = machine.files.text(path), words
    shell = Shell(machine.call, machine.files, call.user, dict(call.env), arguments, stop)
    return shell.run(script, call.stdin if words else b"")


@textutils("cat")
def cat(machine: Machine, call: Call) -> Reply:
    """Files one after the other, or what comes in."""
    words, _ = operands(call)
    out, err, status = b"", "", 0
    for word in words or ["-"]:
        try:
            path = place_of(machine, word)
            if word != "-":
                may_read(machine, call, path)
            out += call.stdin if word == "-" else machine.files.read(path)
        except FileError as error:
            err, status = f"{err}cat: {word}: {error.says}\n", 1
    return Reply(status, out, err)


@textutils("head", "tail")
def head(machine: Machine, call: Call) -> Reply:
    """The first lines, or the last ones."""
    words, options = operands(call, "-n -c")
    text = machine.files.read(place_of(machine, words[0])) if words else call.stdin
    if "-c" in options:
        size = int(options["-c"])
        return Reply(0, text[:size] if call.argv[0] == "head" else text[-size:])
    count = int(options.get("-n") or 10)
    lines = text.splitlines(keepends=True)
    return Reply(0, b"".join(lines[:count] if call.argv[0] == "head" else lines[-count:]))


@textutils("tee")
def tee(machine: Machine, call: Call) -> Reply:
    """Pass on what comes in, and keep it."""
    words, options = operands(call)
    for word in words:
        path = place_of(machine, word)
        old = machine.files.read(path) if "-a" in options and machine.files.exists(path) else b""
        machine.files.write(path, old + call.stdin, mtime_s=machine.world.clock.now())
    return Reply(0, call.stdin)


@textutils("grep")
def grep(machine: Machine, call: Call) -> Reply:
    """Lines that fit a pattern."""
    words, options = operands(call, "-e")
    pattern = options.get("-e") or words.pop(0)
    if "-F" in options:
        pattern = re.escape(pattern)
    if "-x" in options:
        pattern = f"^(?:{pattern})$"
    texts = [machine.files.text(place_of(machine, word)) for word in words]
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


@textutils("echo")
def echo(machine: Machine, call: Call) -> Reply:
    """Print words."""
    words = call.argv[1:]
    bare = words[:1] == ("-n",)
    return Reply(0, " ".join(words[1:] if bare else words) + ("" if bare else "\n"))


@textutils("printf")
def printf(machine: Machine, call: Call) -> Reply:
    """Print by a format of ``%s`` and ``%d``."""
    text, *values = call.argv[1:]
    text = text.replace("\\n", "\n").replace("\\t", "\t")
    text = re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), text)
    count = len(re.findall(r"%[sd]", text))
    out, rest = "", list(values)
    while True:
        taken, rest = rest[:count], rest[count:]
        filled = iter([*taken, *[""] * count])
        out += re.sub(r"%[sd]", lambda _, filled=filled: next(filled), text)
        if not rest or not count:
            return Reply(0, out.replace("%%", "%"))


@textutils("true", "sync", "umask", "ulimit")
def true(machine: Machine, call: Call) -> Reply:
    """Nothing, well done."""
    return Reply()


@textutils("false")
def false(machine: Machine, call: Call) -> Reply:
    """Nothing, badly done."""
    return Reply(1)


@textutils("sleep")
def sleep(machine: Machine, call: Call) -> Reply:
    """Wait."""
    return Reply(takes_s=float(call.argv[1]))


@textutils("timeout")
def timeout(machine: Machine, call: Call) -> Reply:
    """A program that is given no longer than so many seconds."""
    limit_s = float(call.argv[1])
    reply = machine.call(Call(call.argv[2:], call.stdin, call.user, call.env))
    return Reply(124, takes_s=limit_s) if reply.takes_s > limit_s else reply


@textutils("date")
def date(machine: Machine, call: Call) -> Reply:
    """The time that the twin is in."""
    moment = datetime.fromtimestamp(machine.world.clock.now(), UTC)
    form = next((w[1:] for w in call.argv[1:] if w.startswith("+")), "%a %b %d %H:%M:%S UTC %Y")
    return Reply(0, moment.strftime(form.replace("%s", str(int(moment.timestamp())))) + "\n")


@textutils("test", "[")
def test(machine: Machine, call: Call) -> Reply:
    """Whether something holds."""
    words = list(call.argv[1:])
    if call.argv[0] == "[":
        words = words[:-1]
    negate = words[:1] == ["!"]
    words = words[1:] if negate else words
    match words:
        case ["-e" | "-f" | "-d" | "-s" | "-r" | "-x" | "-L" as flag, word]:
            entry = machine.files.entry(place_of(machine, word), follow=flag != "-L")
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
            return fails(call, "unknown condition", 2)
    return Reply(0 if bool(holds) != negate else 1)


@textutils("basename", "dirname")
def dirname(machine: Machine, call: Call) -> Reply:
    """A part of a path."""
    words, _ = operands(call)
    part = posixpath.dirname if call.argv[0].endswith("dirname") else posixpath.basename
    return Reply(0, (part(words[0].rstrip("/") or "/") or ".") + "\n")


@textutils("base64")
def base64_(machine: Machine, call: Call) -> Reply:
    """Bytes as text, or back."""
    words, options = operands(call, "-w")
    data = machine.files.read(place_of(machine, words[0])) if words else call.stdin
    if "-d" in options:
        return Reply(0, base64.b64decode(data))
    return Reply(0, base64.b64encode(data) + b"\n")


@textutils("wc")
def wc(machine: Machine, call: Call) -> Reply:
    """Counts of lines or bytes."""
    words, options = operands(call)
    data = machine.files.read(place_of(machine, words[0])) if words else call.stdin
    count = len(data) if "-c" in options else data.count(b"\n")
    return Reply(0, f"{count} {words[0]}\n" if words else f"{count}\n")


@textutils("cut")
def cut(machine: Machine, call: Call) -> Reply:
    """Fields of lines."""
    words, options = operands(call, "-d -f -c")
    text = machine.files.text(place_of(machine, words[0])) if words else call.stdin.decode()
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
