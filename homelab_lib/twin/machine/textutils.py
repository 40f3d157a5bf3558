"""Programs that read and print text."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, datetime

from homelab_lib.twin.machine.entry import NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails, operands
from homelab_lib.twin.machine.shell import Shell

textutils = Commands()


def read_of(machine: Machine, call: Call, word: str) -> bytes:
    """What a program reads that is given a file's name, or ``-``."""
    if word in ("-", "/dev/stdin"):
        return call.stdin
    if word == "/dev/null":
        return b""
    return machine.files.read(call.path(word), machine.who(call))


def reads(
    machine: Machine, call: Call, words: list[str], complaint: str = "{word}: {why}"
) -> tuple[list[tuple[str, bytes]], str]:
    """What is in each file, and what is said of those that can't be read."""
    found, err = [], ""
    for word in words or ["-"]:
        try:
            found.append((word, read_of(machine, call, word)))
        except FileError as error:
            why = complaint.format(word=word, why=error.says)
            err += f"{call.argv[0]}: {why}\n"
    return found, err


@textutils("sh", "bash", "dash")
def sh(machine: Machine, call: Call) -> Reply:
    """Run a script, from a word or from a file."""
    words = list(call.argv[1:])
    stop = False
    while words and words[0].startswith("-") and words[0] not in ("-c", "--"):
        stop = stop or "e" in words.pop(0)
    if not words:
        return Shell.begun(machine, call, stops=stop).run(
            call.stdin.decode(errors="surrogateescape")
        )
    if words[0] == "-c":
        return Shell.begun(machine, call, words[2:] or ["sh"], stop).run(words[1])
    try:
        text = read_of(machine, call, words[0]).decode(errors="surrogateescape")
    except FileError as error:
        why = "No such file" if error.says == NOTHING else error.says
        return fails(call, f"0: cannot open {words[0]}: {why}", 2)
    known = machine.world.scripts.get(machine.files.stat(call.path(words[0])).sha256)
    if known is not None:
        return known(machine, call.other(*words))
    return Shell.begun(machine, call, words, stop).run(text)


@textutils("cat")
def cat(machine: Machine, call: Call) -> Reply:
    """Files one after the other, or what comes in."""
    found, err = reads(machine, call, operands(call)[0])
    return Reply(1 if err else 0, b"".join(data for _, data in found), err)


@textutils("head", "tail")
def head(machine: Machine, call: Call) -> Reply:
    """The first lines or bytes, or the last ones."""
    words, options = operands(call, "-n -c --lines --bytes")
    first = call.argv[0].endswith("head")
    by_bytes = options.get("-c", options.get("--bytes"))
    count = by_bytes or options.get("-n") or options.get("--lines") or "10"
    found, err = reads(machine, call, words, "cannot open '{word}' for reading: {why}")
    out = b""
    for _, data in found:
        parts = [bytes([b]) for b in data] if by_bytes else data.splitlines(keepends=True)
        number = int(count.lstrip("+"))
        if first:
            chosen = parts[:number]
        else:
            chosen = parts[number - 1 :] if count[0] == "+" else parts[len(parts) - number :]
            chosen = parts if count[0] != "+" and number > len(parts) else chosen
        out += b"".join(chosen)
    return Reply(1 if err else 0, out, err)


@textutils("tee")
def tee(machine: Machine, call: Call) -> Reply:
    """Pass on what comes in, and keep it."""
    words, options = operands(call)
    who, data, err = machine.who(call), call.stdin, ""
    for word in words:
        path = call.path(word)
        try:
            there = "-a" in options and machine.files.entry(path, who) is not None
            old = machine.files.read(path, who) if there else b""
            machine.files.write(path, old + data, who, mtime_s=machine.world.clock.now())
        except FileError as error:
            err += f"tee: {word}: {error.says}\n"
    return Reply(1 if err else 0, data, err)


@textutils("grep")
def grep(machine: Machine, call: Call) -> Reply:
    """Lines that fit a pattern."""
    words, options = operands(call, "-e")
    pattern = options.get("-e") or words.pop(0)
    pattern = re.escape(pattern) if "-F" in options else pattern
    fits = re.compile(pattern, re.IGNORECASE if "-i" in options else 0)
    holds: Callable[[str], object] = fits.fullmatch if "-x" in options else fits.search
    texts, err = reads(machine, call, words)
    lines = [line for _, data in texts for line in data.decode(errors="replace").splitlines()]
    found = [line for line in lines if bool(holds(line)) != ("-v" in options)]
    status = 2 if err and not ("-q" in options and found) else 0 if found else 1
    err = "" if "-s" in options else err
    if "-c" in options:
        return Reply(status, f"{len(found)}\n", err)
    return Reply(status, "" if "-q" in options else "".join(f"{line}\n" for line in found), err)


@textutils("echo")
def echo(machine: Machine, call: Call) -> Reply:
    """Print words."""
    words = call.argv[1:]
    bare = words[:1] == ("-n",)
    return Reply(0, " ".join(words[1:] if bare else words) + ("" if bare else "\n"))


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "\\": "\\", '"': '"'}


def _unescaped(text: str) -> str:
    found = re.compile(r"\\(?:(0[0-7]{1,3}|[0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)

    def value(match: "re.Match[str]") -> str:
        if match[1]:
            return bytes([int(match[1], 8) % 256]).decode(errors="surrogateescape")
        return chr(int(match[2], 16)) if match[2] else _ESCAPES.get(match[3], match[0])

    return found.sub(value, text)


@textutils("printf")
def printf(machine: Machine, call: Call) -> Reply:
    """Print by a format of ``%s``, ``%d``, ``%x``, ``%o`` and ``%b``."""
    words = call.argv[2:] if call.argv[1:2] == ("--",) else call.argv[1:]
    if not words:
        return Reply(2, stderr="printf: usage: printf format [arg ...]\n")
    parts = re.split(r"(%[-0]?\d*(?:\.\d+)?[sdxob%])", words[0])
    values, out = list(words[1:]), ""
    while True:
        taken = 0
        for part in parts:
            if part == "%%":
                out += "%"
            elif re.fullmatch(r"%.*[sdxob]", part):
                value = values.pop(0) if values else ""
                taken += 1
                number = part[-1] in "dxo"
                text = _unescaped(value) if part[-1] == "b" else value
                out += part.replace("b", "s") % (int(value or "0", 0) if number else text)
            else:
                out += _unescaped(part)
        if not values or not taken:
            return Reply(0, out)


@textutils("true", "sync", "ulimit", "wait")
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
    """Run a program, but not for longer than so many seconds."""
    seconds, *words = [word for word in call.argv[1:] if word != "--"]
    begun = machine.call(call.other(*words))
    if begun.takes_s > float(seconds.rstrip("s")):
        return Reply(124, takes_s=float(seconds.rstrip("s")))
    return begun


@textutils("date")
def date(machine: Machine, call: Call) -> Reply:
    """The time that the twin is in."""
    moment = datetime.fromtimestamp(machine.world.clock.now(), UTC)
    form = next((w[1:] for w in call.argv[1:] if w.startswith("+")), "%a %b %d %H:%M:%S UTC %Y")
    return Reply(0, moment.strftime(form.replace("%s", str(int(moment.timestamp())))) + "\n")


@textutils("base64")
def base64_(machine: Machine, call: Call) -> Reply:
    """Bytes as text, or back."""
    words, options = operands(call, "-w")
    data = read_of(machine, call, words[0] if words else "-")
    if "-d" in options:
        return Reply(0, base64.b64decode(data))
    return Reply(0, base64.b64encode(data) + (b"" if options.get("-w") == "0" else b"\n"))


@textutils("wc")
def wc(machine: Machine, call: Call) -> Reply:
    """Counts of lines or bytes."""
    words, options = operands(call)
    found, err = reads(machine, call, words)
    out = ""
    for word, data in found:
        count = len(data) if "-c" in options else data.count(b"\n")
        out += f"{count} {word}\n" if words else f"{count}\n"
    return Reply(1 if err else 0, out, err)


@textutils("cut")
def cut(machine: Machine, call: Call) -> Reply:
    """Fields of lines."""
    words, options = operands(call, "-d -f -c")
    wanted = _fields(options.get("-f") or options.get("-c", "1"))
    separator = options.get("-d", "\t")
    found, err = reads(machine, call, words)
    out = ""
    for line in [line for _, data in found for line in data.decode().splitlines()]:
        parts = line.split(separator) if "-f" in options else list(line)
        chosen = [part for place, part in enumerate(parts, 1) if place in wanted]
        out += (separator if "-f" in options else "").join(chosen) + "\n"
    return Reply(1 if err else 0, out, err)


def _fields(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        found |= set(range(int(low or 1), int(high or 4096) + 1)) if dash else {int(low)}
    return found
