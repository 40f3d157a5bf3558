"""Programs that read and print text.

Messages as GNU coreutils 9 prints them in the C locale.
"""

import base64
import binascii
import re

from homelab_lib.twin.machine.entry import IS_FOLDER, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.printing import formatted, said
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Misused, Usage, misused, named, quoted

textutils = Commands()

_CAT = Usage("A,show-all E,show-ends n,number b,number-nonblank s T,show-tabs v u e t")
_HEAD = Usage("n,lines: c,bytes: q,quiet,silent v,verbose z,zero-terminated")
_TEE = Usage("a,append i,ignore-interrupts p")
_WC = Usage("c,bytes l,lines w,words m,chars L,max-line-length")
_CUT = Usage("d,delimiter: f,fields: c,characters: b,bytes: s,only-delimited")
_TR = Usage("d,delete s,squeeze-repeats c,C,complement t,truncate-set1", least=1, in_order=True)
_BASE64 = Usage("d,decode w,wrap: i,ignore-garbage", most=1)
_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "0-9A-Za-z",
    "upper": "A-Z",
    "lower": "a-z",
    "space": "\t-\r ",
    "blank": "\t ",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read_of(machine: Machine, call: Call, word: str) -> bytes:
    """What a program reads that is given a file's name, or ``-``."""
    if word in ("-", "/dev/stdin"):
        return call.stdin
    if word == "/dev/null":
        return b""
    return machine.files.read(call.path(word), machine.who(call))


def reads(
    machine: Machine, call: Call, words: list[str], complaint: str = "{named}: {why}"
) -> tuple[list[tuple[str, bytes]], str]:
    """What is in each file, and what is said of those that can't be read."""
    found, err = [], ""
    for word in words or ["-"]:
        try:
            found.append((word, read_of(machine, call, word)))
        except FileError as error:
            names = {"named": named(word, call), "quoted": quoted(word, call)}
            err += f"{call.argv[0]}: {complaint.format(why=error.says, **names)}\n"
    return found, err


@textutils("cat")
def cat(machine: Machine, call: Call) -> Reply:
    """Files one after the other, or what comes in."""
    given = _CAT.of(call)
    found, err = reads(machine, call, given.words)
    data = b"".join(data for _, data in found)
    ends = {"A", "E", "e"} & given.options.keys()
    lines = data.splitlines(keepends=True)
    if ends:
        lines = [line[:-1] + b"$\n" if line.endswith(b"\n") else line for line in lines]
    if "n" in given:
        lines = [b"%6d\t%s" % (number, line) for number, line in enumerate(lines, 1)]
    return Reply(1 if err else 0, b"".join(lines), err)


@textutils("head", "tail")
def head(machine: Machine, call: Call) -> Reply:
    """The first lines or bytes, or the last ones."""
    short = [re.sub(r"^-(\d+)$", r"-n\1", word) for word in call.argv[1:2]]
    given = _HEAD.of(call.other(call.argv[0], *short, *call.argv[2:]))
    first = call.argv[0].endswith("head")
    by_bytes = given.all[-1][0] == "c" if [o for o in given.all if o[0] in "nc"] else False
    count = given.get("c" if by_bytes else "n") or "10"
    if not re.fullmatch(r"[-+]?\d+", count):
        noun = "bytes" if by_bytes else "lines"
        return fails(call, f"invalid number of {noun}: {quoted(count, call)}")
    out, err = b"", ""
    titled = ("v" in given or len(given.words) > 1) and "q" not in given
    for word in given.words or ["-"]:
        title = f"==> {word} <==\n" if titled else ""
        title = f"\n{title}" if titled and out else title
        try:
            data = read_of(machine, call, word)
            out += title.encode(errors="surrogateescape") + _end(data, count, first, by_bytes)
        except FileError as error:
            if error.says == IS_FOLDER:
                out += title.encode(errors="surrogateescape")
                err += f"{call.argv[0]}: error reading {quoted(word, call)}: {error.says}\n"
                continue
            shown = quoted(word, call)
            err += f"{call.argv[0]}: cannot open {shown} for reading: {error.says}\n"
    return Reply(1 if err else 0, out, err)


def _end(data: bytes, count: str, first: bool, by_bytes: bool) -> bytes:
    parts = [bytes([b]) for b in data] if by_bytes else data.splitlines(keepends=True)
    number = int(count.lstrip("+-"))
    if first:
        return b"".join(parts[: len(parts) - number if count[0] == "-" else number][: len(parts)])
    if count[0] == "+":
        return b"".join(parts[max(number - 1, 0) :])
    return b"".join(parts[max(len(parts) - number, 0) :])


@textutils("tee")
def tee(machine: Machine, call: Call) -> Reply:
    """Pass on what comes in, and keep it."""
    given = _TEE.of(call)
    who, data, err = machine.who(call), call.stdin, ""
    for word in given.words:
        path = call.path(word)
        try:
            there = "a" in given and machine.files.entry(path, who) is not None
            old = machine.files.read(path, who) if there else b""
            machine.files.write(path, old + data, who, mtime_s=machine.world.clock.now())
        except FileError as error:
            err += f"tee: {named(word, call)}: {error.says}\n"
    return Reply(1 if err else 0, data, err)


@textutils("base64")
def base64_(machine: Machine, call: Call) -> Reply:
    """Bytes as text, or back."""
    given = _BASE64.of(call)
    word = given.words[0] if given.words else "-"
    try:
        data = read_of(machine, call, word)
    except FileError as error:
        return fails(call, f"{named(word, call)}: {error.says}")
    if "d" in given:
        try:
            return Reply(0, base64.b64decode(data.replace(b"\n", b""), validate=True))
        except binascii.Error:
            return fails(call, "invalid input")
    text = base64.b64encode(data)
    width = int(given.get("w") or 76)
    if not width or not text:
        return Reply(0, text)
    rows = [text[start : start + width] + b"\n" for start in range(0, len(text), width)]
    return Reply(0, b"".join(rows))


@textutils("wc")
def wc(machine: Machine, call: Call) -> Reply:
    """Counts of lines, words, characters or bytes."""
    given = _WC.of(call)
    wanted = [letter for letter in "lwmc" if letter in given] or ["l", "w", "c"]
    rows: list[tuple[list[int], str]] = []
    err = ""
    for word in given.words or ["-"]:
        try:
            data = read_of(machine, call, word)
        except FileError as error:
            err += f"wc: {named(word, call)}: {error.says}\n"
            if error.says != IS_FOLDER:
                continue
            data = b""
        counts = {"l": data.count(b"\n"), "w": len(data.split()), "c": len(data)}
        counts["m"] = len(data.decode(errors="replace"))
        rows.append(([counts[letter] for letter in wanted], word))
    if len(given.words) > 1:
        totals = [sum(each) for each in zip(*(row for row, _ in rows), strict=True)]
        rows.append((totals or [0] * len(wanted), "total"))
    single = len(rows) == 1 and len(wanted) == 1
    width = 1 if single else _width(machine, call, given.words)
    out = ""
    for counts_, word in rows:
        shown = " ".join(f"{count:>{width}}" for count in counts_)
        out += f"{shown} {word}\n" if given.words else f"{shown}\n"
    return Reply(1 if err else 0, out, err)


def _width(machine: Machine, call: Call, words: list[str]) -> int:
    """As wide as the sum of all sizes; what is no regular file may be of any size."""
    entries = [machine.files.entry(call.path(word), machine.who(call)) for word in words]
    if not words or any(entry is not None and entry.kind != "file" for entry in entries):
        return 7
    return len(str(sum(entry.size for entry in entries if entry is not None)))


@textutils("cut")
def cut(machine: Machine, call: Call) -> Reply:
    """Fields or characters of lines."""
    given = _CUT.of(call)
    chosen = [name for name in ("f", "c", "b") if name in given]
    if not chosen:
        raise misused(call, "you must specify a list of bytes, characters, or fields")
    wanted = _fields(call, given.options[chosen[0]])
    separator = given.get("d") or "\t"
    found, err = reads(machine, call, given.words)
    out = ""
    for _, data in found:
        for line in data.decode(errors="surrogateescape").splitlines():
            if chosen[0] == "f" and separator not in line:
                out += "" if "s" in given else f"{line}\n"
                continue
            parts = line.split(separator) if chosen[0] == "f" else list(line)
            kept = [part for place, part in enumerate(parts, 1) if place in wanted]
            out += (separator if chosen[0] == "f" else "").join(kept) + "\n"
    return Reply(1 if err else 0, out, err)


def _fields(call: Call, text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        if not re.fullmatch(r"\d+|\d+-\d*|-\d+", part):
            raise misused(call, f"invalid field value {quoted(part, call)}")
        low, dash, high = part.partition("-")
        found |= set(range(int(low or 1), int(high or 4096) + 1)) if dash else {int(low)}
    return found


@textutils("tr")
def tr(machine: Machine, call: Call) -> Reply:
    """Put characters in the place of others, or take them away."""
    given = _TR.of(call)
    delete, squeeze = "d" in given, "s" in given
    if len(given.words) < 2 and not (delete or squeeze):
        what = f"missing operand after {quoted(given.words[0], call)}"
        two = "Two strings must be given when translating."
        help_ = "Try 'tr --help' for more information."
        raise Misused(fails(call, f"{what}\n{two}\n{help_}"))
    old, new = _set(given.words[0]), _set(given.words[1]) if len(given.words) > 1 else []
    text = call.stdin.decode("latin-1")
    inside = (lambda c: c not in old) if "c" in given else (lambda c: c in old)
    if delete:
        return Reply(0, "".join(c for c in text if not inside(c)).encode("latin-1"))
    if new:
        last = new[-1]
        pairs = dict(reversed([(c, new[i] if i < len(new) else last) for i, c in enumerate(old)]))
        text = "".join((last if "c" in given else pairs[c]) if inside(c) else c for c in text)
    if squeeze:
        repeats = set(new or old)
        kept = [c for i, c in enumerate(text) if not (i and text[i - 1] == c and c in repeats)]
        text = "".join(kept)
    return Reply(0, text.encode("latin-1"))


def _set(text: str) -> list[str]:
    """The characters of ``a-z``, ``[:space:]``, ``\\n``."""
    text = text.encode(errors="surrogateescape").decode("latin-1")
    text = re.sub(r"\[:(\w+):\]", lambda found: _CLASSES.get(found[1], found[0]), text)
    one = re.compile(r"\\([0-7]{1,3}|.)|(.)", re.DOTALL)

    def value(found: "re.Match[str]") -> str:
        if found[2] is not None:
            return found[2]
        if found[1][0] in "01234567":
            return chr(int(found[1], 8) % 256)
        return _ESCAPES.get(found[1], found[1])

    parts = [(found[0], value(found)) for found in one.finditer(text)]
    out: list[str] = []
    while parts:
        raw, char = parts.pop(0)
        if raw == "-" and out and parts:
            _, end = parts.pop(0)
            out += [chr(code) for code in range(ord(out[-1]) + 1, ord(end) + 1)]
        else:
            out.append(char)
    return out


@textutils("echo")
def echo(machine: Machine, call: Call) -> Reply:
    """Print words."""
    return Reply(0, said(call.argv[1:], escapes=False))


@textutils("printf")
def printf(machine: Machine, call: Call) -> Reply:
    """Print by a format."""
    words = call.argv[2:] if call.argv[1:2] == ("--",) else call.argv[1:]
    if not words:
        raise misused(call, "missing operand")
    status, out, err = formatted(words)
    return Reply(1 if status else 0, out, f"printf: {err}\n" if err else "")


@textutils("sort")
def sort(machine: Machine, call: Call) -> Reply:
    """Lines in the order of their bytes, as in the locale C."""
    words = list(call.argv[1:])
    if any(word.startswith("-") and word != "-" for word in words):
        return Reply(127, stderr="twin: its sort has no options\n")
    data, err = b"", ""
    for word in words or ["-"]:
        try:
            data += read_of(machine, call, word)
        except FileError as error:
            err += f"sort: cannot read: {word}: {error.says}\n"
    if err:
        return Reply(2, stderr=err)
    lines = sorted(data.splitlines())
    return Reply(0, b"".join(line + b"\n" for line in lines))
