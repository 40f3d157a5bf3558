"""`grep`: lines that fit a pattern.

Source: POSIX.1-2024, grep; options and messages as GNU grep 3 has them.
"""

import re
from collections.abc import Iterator

from homelab_lib.twin.machine.entry import IS_FOLDER, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.patterns import BadPattern, compiled
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.textutils import read_of
from homelab_lib.twin.machine.usage import Given, Misused, Usage

searching = Commands()

_GREP = Usage(
    "e,regexp: F,fixed-strings E,extended-regexp G,basic-regexp P i,y,ignore-case v,invert-match "
    "x,line-regexp w,word-regexp c,count q,quiet,silent s,no-messages n,line-number h,no-filename "
    "H,with-filename l,files-with-matches L,files-without-match o,only-matching m,max-count: "
    "r,R,recursive A,after-context: B,before-context: C,context: a,text",
    status=2,
)
_USAGE = "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.\n"


@searching("grep")
def grep(machine: Machine, call: Call) -> Reply:
    """Lines that fit a pattern."""
    try:
        given = _GREP.of(call)
    except Misused as error:
        text = error.reply.err.decode().replace("Try", _USAGE.partition("Try")[0] + "Try", 1)
        return Reply(2, stderr=text)
    if unknown := {"A", "B", "C", "P"} & given.options.keys():
        return fails(call, f"this twin does not know -{min(unknown)}", 2)
    patterns = [value for name, value in given.all if name == "e"]
    if not patterns and not given.words:
        return Reply(2, stderr=_USAGE)
    patterns = patterns or [given.words.pop(0)]
    try:
        fits = [_fitting(each, given) for text in patterns for each in text.split("\n")]
    except BadPattern as error:
        return fails(call, str(error), 2)
    names = list(_named(machine, call, given))
    titled = ("H" in given or len(names) > 1 or "r" in given) and "h" not in given
    out, err, hits = "", "", 0
    for word in names:
        try:
            data = read_of(machine, call, word)
        except FileError as error:
            err += f"grep: {word}: {error.says}\n"
            if error.says != IS_FOLDER:
                continue
            data = b""
        found = _found(data, fits, given)
        hits += bool(found) != ("L" in given)
        out += _shown(word, found, given, titled)
    failed = err and not ("q" in given and hits)
    status = 2 if failed else 0 if hits else 1
    return Reply(status, "" if "q" in given else out, "" if "s" in given else err)


def _fitting(pattern: str, given: Given) -> "re.Pattern[str]":
    flags = re.IGNORECASE if "i" in given else 0
    if "F" in given:
        found = re.compile(re.escape(pattern), flags)
    else:
        found = compiled(pattern, extended="E" in given, flags=flags)
    if "w" in given:
        return re.compile(rf"(?<!\w)(?:{found.pattern})(?!\w)", flags)
    return found


def _named(machine: Machine, call: Call, given: Given) -> Iterator[str]:
    for word in given.words or (["."] if "r" in given else ["-"]):
        if "r" not in given or word == "-":
            yield word
            continue
        root = call.path(word)
        for path in machine.files.walk(root, machine.who(call)):
            entry = machine.files.entry(path, follow=False)
            if entry is None or entry.kind == "file":
                yield word + path.removeprefix(root)


def _found(data: bytes, fits: "list[re.Pattern[str]]", given: Given) -> list[tuple[int, str]]:
    """Numbers and texts of the lines that count."""
    found: list[tuple[int, str]] = []
    hits, most, whole = 0, int(given.get("m") or 2**62), "x" in given
    lines = data.decode(errors="surrogateescape").split("\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        good = any(bool(fit.fullmatch(line) if whole else fit.search(line)) for fit in fits)
        if good == ("v" in given) or hits == most:
            continue
        hits += 1
        parts = (
            [m[0] for fit in fits for m in fit.finditer(line) if m[0]] if "o" in given else [line]
        )
        found += [(number, part) for part in parts]
    return found


def _shown(word: str, found: list[tuple[int, str]], given: Given, titled: bool) -> str:
    title = f"{word}:" if titled else ""
    if "l" in given or "L" in given:
        return f"{word}\n" if bool(found) == ("l" in given) else ""
    if "c" in given:
        return f"{title}{len(found)}\n"
    numbered = "n" in given
    return "".join(f"{title}{f'{n}:' if numbered else ''}{line}\n" for n, line in found)
