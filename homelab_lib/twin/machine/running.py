"""Programs that run others, or wait."""

import re
from datetime import UTC, datetime

from homelab_lib.twin.machine.entry import NOTHING, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.shell import Shell
from homelab_lib.twin.machine.textutils import read_of
from homelab_lib.twin.machine.usage import Misused, Usage, misused, quoted

running = Commands()

_TIMEOUT = Usage("s,signal: k,kill-after: foreground preserve-status v,verbose", in_order=True)
_DATE = Usage("d,date: u,utc,universal R,rfc-email I? s,set: f,file: r,reference:", most=1)
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)([smhd]?)")
_UNIT_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@running("sh", "bash", "dash")
def sh(machine: Machine, call: Call) -> Reply:
    """Run a script, from a word, a file, or what comes in."""
    words, letters = list(call.argv[1:]), ""
    while words and words[0][:1] == "-" and words[0] not in ("-", "--"):
        letters += words.pop(0)[1:]
    if words and words[0] in ("-", "--"):
        words.pop(0)
    if unknown := set(letters) - set("ceusil"):
        return Reply(2, stderr=f"sh: 0: Illegal option -{min(unknown)}\n")
    stops, strict = "e" in letters, "u" in letters
    if "c" in letters:
        if not words:
            return Reply(2, stderr="sh: 0: -c requires an argument\n")
        shell = Shell.begun(machine, call, words[1:] or ["sh"], stops)
        shell.variables.strict = strict
        return shell.run(words[0])
    if not words or "s" in letters:
        shell = Shell.begun(machine, call, ["sh", *words], stops)
        shell.variables.strict = strict
        return shell.run(call.stdin.decode(errors="surrogateescape"))
    try:
        text = read_of(machine, call, words[0]).decode(errors="surrogateescape")
    except FileError as error:
        if error.says == "Is a directory":
            return Reply()  # dash opens it, and reads nothing
        why = "No such file" if error.says == NOTHING else error.says
        return fails(call, f"0: cannot open {words[0]}: {why}", 2)
    known = machine.world.scripts.get(machine.files.stat(call.path(words[0])).sha256)
    if known is not None:
        return known(machine, call.other(*words))
    return Shell.begun(machine, call, words, stops).run(text)


@running("true", "sync", "ulimit", "wait")
def true(machine: Machine, call: Call) -> Reply:
    """Nothing, well done."""
    return Reply()


@running("false")
def false(machine: Machine, call: Call) -> Reply:
    """Nothing, badly done."""
    return Reply(1)


@running("sleep")
def sleep(machine: Machine, call: Call) -> Reply:
    """Wait."""
    given = Usage("", least=1).of(call)
    return Reply(takes_s=sum(_seconds(call, word) for word in given.words))


def _seconds(call: Call, word: str, status: int = 1) -> float:
    found = _DURATION.fullmatch(word)
    if found is None:
        raise misused(call, f"invalid time interval {quoted(word, call)}", status)
    return float(found[1]) * _UNIT_S[found[2]]


@running("timeout")
def timeout(machine: Machine, call: Call) -> Reply:
    """Run a program, but not for longer than so many seconds."""
    try:
        given = _TIMEOUT.of(call)
    except Misused as error:
        return Reply(125, stderr=error.reply.err)
    if len(given.words) < 2:
        return Reply(125, stderr="Try 'timeout --help' for more information.\n")
    seconds, *words = given.words
    limit_s = _seconds(call, seconds, 125)
    begun = machine.call(call.other(*words))
    if begun.status == 127 and machine.program(words[0]) is None:
        why = f"failed to run command {quoted(words[0], call)}: {NOTHING}"
        return fails(call, why, 127)
    if limit_s and begun.takes_s > limit_s:
        return Reply(124, takes_s=limit_s)
    return begun


@running("date")
def date(machine: Machine, call: Call) -> Reply:
    """The time that the twin is in, or one that is given as ``@SECONDS`` or by ISO 8601."""
    given = _DATE.of(call)
    word = given.words[0] if given.words else "+%a %b %e %H:%M:%S UTC %Y"
    if not word.startswith("+"):
        return fails(call, f"invalid date {quoted(word, call)}")
    asked = given.get("d")
    try:
        moment = datetime.fromtimestamp(machine.now_s() if asked is None else _moment_s(asked), UTC)
    except ValueError:
        return fails(call, f"invalid date {quoted(asked or '', call)}")
    form = word[1:].replace("%s", str(int(moment.timestamp())))
    return Reply(0, moment.strftime(form) + "\n")


def _moment_s(text: str) -> float:
    if text.startswith("@"):
        return float(text[1:])
    return datetime.fromisoformat(text.removesuffix(" UTC")).replace(tzinfo=UTC).timestamp()
