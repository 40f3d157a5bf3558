"""`php`: runs a script, as far as its grammar and its functions are known here.

Source: PHP 8.2's own messages; opnsense/core, its php.ini (warnings are not shown).
"""

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.script_calls import OURS, Run
from homelab_lib.twin.opnsense.script_computing import Fatal, Leave
from homelab_lib.twin.opnsense.script_grammar import parse
from homelab_lib.twin.opnsense.script_values import text
from homelab_lib.twin.opnsense.script_words import ParseError

script_programs = Commands()

_FATAL = 255


@script_programs("php")
def php(box: Box, call: Call) -> Reply:
    """Run a script: a file, ``-r`` code, or what comes in."""
    words, code, name = list(call.argv[1:]), None, "Standard input code"
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if word == "-r" and words:
            code, name = words.pop(0), "Command line code"
        elif word == "-d" and words:
            words.pop(0)
        elif word in ("-f", "--"):
            break
        elif word not in ("-q", "-n"):
            return Reply(1, f"Error in argument 1, char 2: option not found {word[1:2]}\n")
    stdin = b""
    if code is not None:
        source = f"<?php {code}"
        stdin = call.stdin
    elif words and words[0] != "-":
        name = words.pop(0)
        try:
            read = box.files.read(call.path(name), box.who(call))
        except FileError:
            return Reply(1, f"Could not open input file: {name}\n")
        source, stdin = read.decode(errors="surrogateescape"), call.stdin
    else:
        source = call.stdin.decode(errors="surrogateescape")
    words = words[1:] if words[:1] == ["--"] else words
    return _ran(Run(box, call, name, words, stdin), source)


def _ran(run: Run, source: str) -> Reply:
    """What a script leaves."""
    status = 0
    try:
        run.script = parse(source)
        run.block(run.script.body)
    except ParseError as error:
        run.out += f"\nParse error: {error.what} in {run.name} on line {error.line}\n"
        status, run.err = _FATAL, run.err + OURS
    except Fatal as error:
        run.out += (
            f"\nFatal error: Uncaught {error.kind}: {error.what} in {run.name}:"
            f"{error.line}\nStack trace:\n#0 {{main}}\n  thrown in {run.name} on line "
            f"{error.line}\n"
        )
        status = _FATAL
    except Leave as left:
        value = left.value if left.what == "exit" else None
        if isinstance(value, int) and not isinstance(value, bool):
            status = value
        elif value is not None:
            run.out += text(value)
    return Reply(status, run.out, run.err, run.takes_s)
