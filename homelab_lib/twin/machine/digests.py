"""Digests of files, and whether they are what a list says. Messages as coreutils 9 prints them."""

import hashlib
import re

from homelab_lib.twin.machine.entry import FileError, StandIn
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.textutils import read_of
from homelab_lib.twin.machine.usage import Given, Usage, named

digests = Commands()

_SUM = Usage("c,check z,zero b,binary t,text w,warn q,quiet s,status tag strict ignore-missing")
_LENGTHS = {"md5sum": 32, "sha1sum": 40, "sha256sum": 64, "sha512sum": 128}


@digests(*_LENGTHS)
def sha256sum(machine: Machine, call: Call) -> Reply:
    """Digests of files, or whether they are what a list says (``-c``)."""
    given = _SUM.of(call)
    if "c" in given:
        return _checked(machine, call, given)
    out, err = "", ""
    for word in given.words or ["-"]:
        try:
            digest = _digest(machine, call, word)
        except FileError as error:
            err += f"{call.argv[0]}: {named(word, call)}: {error.says}\n"
            continue
        if "z" in given:
            out += f"{digest}  {word}\0"
            continue
        shown = word.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        out += f"{'' if shown == word else chr(92)}{digest}  {shown}\n"
    return Reply(1 if err else 0, out, err)


def _digest(machine: Machine, call: Call, word: str) -> str:
    name = call.argv[0].rpartition("/")[2].removesuffix("sum")
    data = read_of(machine, call, word)
    if name == "sha256" and isinstance(data, StandIn):
        return data.digest
    return hashlib.new(name, data).hexdigest()


def _checked(machine: Machine, call: Call, given: Given) -> Reply:
    program, listed = call.argv[0], (given.words or ["-"])[0]
    shown_list = "'standard input'" if listed == "-" else named(listed, call)
    try:
        text = read_of(machine, call, listed).decode(errors="surrogateescape")
    except FileError as error:
        return Reply(1, stderr=f"{program}: {named(listed, call)}: {error.says}\n")
    row = re.compile(rf"([0-9a-fA-F]{{{_LENGTHS[program.rpartition('/')[2]]}}}) [ *](.+)")
    out, err, bad, unread, odd, good = "", "", 0, 0, 0, 0
    for line in text.splitlines():
        found = row.fullmatch(line)
        if found is None:
            odd += 1
            continue
        name = found[2]
        shown = named(name, call)
        try:
            same = _digest(machine, call, name) == found[1].lower()
        except FileError as error:
            unread += 1
            err += f"{program}: {shown}: {error.says}\n"
            out += f"{name}: FAILED open or read\n"
            continue
        good += same
        bad += not same
        if not same or "q" not in given:
            out += f"{name}: {'OK' if same else 'FAILED'}\n"
    if not good + bad + unread:
        why = "no properly formatted checksum lines found"
        return Reply(1, stderr=f"{program}: {shown_list}: {why}\n")
    if "s" not in given:
        err += _counted(program, odd, "line is", "lines are", "improperly formatted")
        err += _counted(program, unread, "listed file", "listed files", "could not be read")
        err += _counted(program, bad, "computed checksum", "computed checksums", "did NOT match")
    failed = bad or unread or (odd and "strict" in given)
    return Reply(1 if failed else 0, "" if "s" in given else out, err)


def _counted(program: str, count: int, one: str, many: str, what: str) -> str:
    return f"{program}: WARNING: {count} {one if count == 1 else many} {what}\n" if count else ""
