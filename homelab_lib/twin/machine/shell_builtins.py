"""Commands that change the shell itself."""

from dataclasses import replace

from homelab_lib.twin.machine.entry import NOT_FOLDER, PASS, FileError
from homelab_lib.twin.machine.modes import mode_of
from homelab_lib.twin.machine.printing import formatted, said
from homelab_lib.twin.machine.redirection import Streams
from homelab_lib.twin.machine.script import Leave
from homelab_lib.twin.machine.shell import BUILTINS, Shell, builtin


@builtin(":")
def nothing(shell: Shell, words: list[str], streams: Streams) -> int:
    """Nothing, well done."""
    return 0


@builtin("set")
def set_(shell: Shell, words: list[str], streams: Streams) -> int:
    """Options, and the arguments."""
    rest = words[1:]
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1 and rest[0] != "--":
        letters, on = rest[0][1:], rest[0][0] == "-"
        shell.stops = on if "e" in letters else shell.stops
        shell.variables.strict = on if "u" in letters else shell.variables.strict
        rest = rest[2:] if letters.endswith("o") else rest[1:]
    if rest:
        arguments = rest[1:] if rest[0] == "--" else rest
        shell.variables.arguments = (shell.variables.arguments[0], *arguments)
    return 0


@builtin("shift")
def shift(shell: Shell, words: list[str], streams: Streams) -> int:
    """Drop the first arguments."""
    count = int(words[1]) if len(words) > 1 else 1
    name, *arguments = shell.variables.arguments
    if count > len(arguments):
        streams.err += b"sh: 1: shift: can't shift that many\n"
        raise Leave("exit", 2)
    shell.variables.arguments = (name, *arguments[count:])
    return 0


@builtin("umask")
def umask(shell: Shell, words: list[str], streams: Streams) -> int:
    """Show or set which permissions new files do not get."""
    if len(words) == 1:
        streams.out += f"{shell.call.umask:04o}\n".encode()
        return 0
    try:
        allowed = mode_of(0o777 & ~shell.call.umask, words[1], 0)
    except ValueError:
        what = "Illegal number" if words[1][0].isdigit() else "Illegal mode"
        streams.err += f"sh: 1: umask: {what}: {words[1]}\n".encode()
        return 2
    mask = int(words[1], 8) if words[1].isdigit() else 0o777 & ~allowed
    shell.call = replace(shell.call, umask=mask)
    return 0


@builtin("cd")
def cd(shell: Shell, words: list[str], streams: Streams) -> int:
    """Go into a folder."""
    word = next((w for w in words[1:] if not w.startswith("-")), "")
    back = "-" in words[1:]
    word = (shell.variables.get("OLDPWD") if back else word or shell.variables.get("HOME")) or "/"
    who = shell.computer.who(shell.call)
    try:
        place = shell.computer.files.resolve(shell.call.path(word), who)
        folder = shell.computer.files.stat(place, who)
        if folder.kind != "dir":
            raise FileError(NOT_FOLDER)
        who.need(folder, PASS)
    except FileError:
        streams.err += f"sh: 1: cd: can't cd to {word}\n".encode()
        return 2
    shell.variables.values |= {"OLDPWD": shell.call.cwd, "PWD": place}
    shell.call = replace(shell.call, cwd=place)
    streams.out += f"{place}\n".encode() if back else b""
    return 0


@builtin("pwd")
def pwd(shell: Shell, words: list[str], streams: Streams) -> int:
    """The folder that one is in."""
    streams.out += f"{shell.call.cwd}\n".encode()
    return 0


@builtin("export", "readonly", "local")
def export(shell: Shell, words: list[str], streams: Streams) -> int:
    """Give variables to programs, too."""
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if equals:
            shell.variables.values[name] = value
        if words[0] == "export":
            shell.exported.add(name)
    return 0


@builtin("unset")
def unset(shell: Shell, words: list[str], streams: Streams) -> int:
    """Forget variables and functions."""
    for name in words[1:]:
        shell.variables.values.pop(name, None)
        shell.functions.pop(name, None)
    return 0


@builtin("exit", "return", "break", "continue")
def leave(shell: Shell, words: list[str], streams: Streams) -> int:
    """Leave the script, a function or a loop."""
    loop = words[0] in ("break", "continue")
    if loop and not shell.loops:
        return 0
    default = 1 if loop else shell.variables.status
    given = words[1] if len(words) > 1 else str(default)
    if not given.isdigit():
        streams.err += f"sh: 1: {words[0]}: Illegal number: {given}\n".encode()
        raise Leave("exit", 2)
    raise Leave(words[0], int(given) if loop else int(given) & 255)


@builtin("trap")
def trap(shell: Shell, words: list[str], streams: Streams) -> int:
    """What is done at the end; signals never come here."""
    rest = [word for word in words[1:] if word != "--"]
    action, names = (rest[0], rest[1:]) if len(rest) > 1 else ("-", rest)
    for name in names:
        name = {"0": "EXIT"}.get(name, name)
        shell.traps.pop(name, None)
        if action != "-":
            shell.traps[name] = action
    return 0


@builtin("eval")
def eval_(shell: Shell, words: list[str], streams: Streams) -> int:
    """Run words as a script."""
    return shell.evaluate(" ".join(words[1:]), streams)


@builtin("exec")
def exec_(shell: Shell, words: list[str], streams: Streams) -> int:
    """Become another program."""
    if len(words) == 1:
        return 0
    own = Streams(streams.source, streams.out, bytearray())
    status = shell.program(words[1:], {}, own)
    streams.err += own.err.replace(b"sh: 1: ", b"sh: 1: exec: ", 1) if status == 127 else own.err
    raise Leave("exit", status)


@builtin("echo")
def echo(shell: Shell, words: list[str], streams: Streams) -> int:
    """Print words."""
    streams.out += said(tuple(words[1:]), escapes=shell.escapes).encode(errors="surrogateescape")
    return 0


@builtin("printf")
def printf(shell: Shell, words: list[str], streams: Streams) -> int:
    """Print by a format."""
    rest = words[2:] if words[1:2] == ["--"] else words[1:]
    if not rest:
        streams.err += b"sh: 1: printf: usage: printf format [arg ...]\n"
        return 2
    status, out, err = formatted(tuple(rest))
    streams.out += out.encode(errors="surrogateescape")
    streams.err += f"sh: 1: printf: {err}\n".encode(errors="surrogateescape") if err else b""
    return status


# A shell has these built in, and here they are programs that do the same.
_ALSO_BUILTIN = ("test", "[", "true", "false")


@builtin("command")
def command(shell: Shell, words: list[str], streams: Streams) -> int:
    """Run a program, or with ``-v`` say what a word is."""
    match words[1:]:
        case []:
            return 0
        case ["-v", name, *_] if "/" in name and shell.computer.files.exists(shell.call.path(name)):
            streams.out += f"{name}\n".encode(errors="surrogateescape")
            return 0
        case ["-v", name, *_] if name in (*BUILTINS, *_ALSO_BUILTIN, *shell.functions):
            streams.out += f"{name}\n".encode()
            return 0
        case ["-v", name, *_]:
            return shell.external(["command", "-v", name], {}, streams)
        case [name, *_] if name in BUILTINS:
            return BUILTINS[name](shell, words[1:], streams)
    return shell.external(words[1:], {}, streams)


@builtin("read")
def read(shell: Shell, words: list[str], streams: Streams) -> int:
    """Take a line that comes in apart."""
    raw = "-r" in words
    names = [word for word in words[1:] if not word.startswith("-")] or ["REPLY"]
    line = streams.source.line().decode(errors="surrogateescape")
    whole = line.endswith("\n")
    line = line.removesuffix("\n")
    while not raw and line.endswith("\\") and whole:
        more = streams.source.line().decode(errors="surrogateescape")
        whole, line = more.endswith("\n"), line[:-1] + more.removesuffix("\n")
    separators = shell.variables.get("IFS")
    separators = " \t\n" if separators is None else separators
    values = shell.variables.values
    for name in names[:-1]:
        line = line.lstrip(separators)
        end = next((i for i, char in enumerate(line) if char in separators), len(line))
        values[name], line = line[:end], line[end:]
    values[names[-1]] = line.strip(separators)
    return 0 if whole else 1
