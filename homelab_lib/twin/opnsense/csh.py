"""root's login shell: csh, as far as a line goes that is sent over SSH.

`opnsense-shell -c` hands its line to csh, so ``2>&1``, ``$(…)`` and ``export`` mean something else
than elsewhere. What we don't know of csh (its loops, its ``if``) is refused aloud.

Source: opnsense/core, src/sbin/opnsense-shell; words and statuses as tcsh 6.24 gives them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from homelab_lib.twin.machine.entry import ACCESS, FileError
from homelab_lib.twin.machine.expansion import Expansion, Variables
from homelab_lib.twin.machine.program import Call, Pipe, Reply
from homelab_lib.twin.machine.shell_state import Computer
from homelab_lib.twin.opnsense.csh_line import List, Simple, Word, Wrong, parsed

_PATH = "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin"
_VARIABLE = re.compile(r"\$(?:(\?)?(?:\{(\w+)\}|([A-Za-z_]\w*))|([?#$0-9]))")
_GLOB = re.compile(r"[*?\[]")
_NOT_OURS = {"if", "foreach", "while", "switch", "@", "source", "alias", "eval", "repeat", "time"}
_NOT_OURS |= {"limit", "onintr", "goto", "else", "end", "endif", "nohup", "history"}


def environment(user: str, home: str) -> dict[str, str]:
    """What a login has."""
    shell = "/usr/local/sbin/opnsense-shell"
    return {"HOME": home, "LOGNAME": user, "PATH": _PATH, "SHELL": shell, "USER": user}


def run(computer: Computer, user: str, home: str, line: str, stdin: bytes, **more: str) -> Reply:
    """What csh makes of a line; `more` is what its environment has besides.

    One plain program is run as it is: it may be killed half-way, which a line of several is not.
    """
    call = Call((), Pipe(stdin), user, environment(user, home) | more, home)
    try:
        found = parsed(line)
        shell = _Csh(computer, call)
        if len(found.parts) == 1 and len(found.parts[0][1]) == 1:
            alone = found.parts[0][1][0]
            if isinstance(alone, Simple) and not (alone.source or alone.target):
                words = shell.expanded(alone)
                if words and words[0] not in _BUILTINS:
                    return shell.program(words, call.source)
        status = shell.sequence(found, call.source)
    except Wrong as error:
        return Reply(1, stderr=f"{error}\n")
    except _Exit as left:
        status = left.status
    return Reply(status, bytes(shell.out), bytes(shell.err), shell.takes_s)


class _Exit(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Csh:
    """A shell that runs what was read."""

    def __init__(self, computer: Computer, call: Call) -> None:
        self.computer = computer
        self.call = call
        self.variables: dict[str, str] = {}
        self.out, self.err = bytearray(), bytearray()
        self.takes_s = 0.0
        self.status = 0

    def sequence(self, found: List, source: Pipe) -> int:
        """One pipeline after the other."""
        for joint, pipeline in found.parts:
            if (joint == "&&" and self.status) or (joint == "||" and not self.status):
                continue
            try:
                self.status = self._pipeline(pipeline, source)
            except Wrong as error:
                self.err += f"{error}\n".encode()
                self.status = 1
                break  # what can't be expanded ends the line
        return self.status

    def _pipeline(self, pipeline: "Sequence[Simple | List]", source: Pipe) -> int:
        status = 0
        for number, each in enumerate(pipeline):
            last = number == len(pipeline) - 1
            reply = self._group(each, source) if isinstance(each, List) else self._run(each, source)
            errors = not last and isinstance(each, Simple) and each.errors_piped
            if last:
                self.out += reply.out
            else:
                source = Pipe(reply.out + (reply.err if errors else b""))
            self.err += b"" if errors else reply.err
            self.takes_s += reply.takes_s
            status = reply.status or status  # csh looks at all of them
        return status

    def _group(self, group: List, source: Pipe) -> Reply:
        other = _Csh(self.computer, replace(self.call, env=dict(self.call.env)))
        other.variables = dict(self.variables)
        try:
            status = other.sequence(group, source)
        except _Exit as left:
            status = left.status
        return Reply(status, bytes(other.out), bytes(other.err), other.takes_s)

    def _run(self, simple: Simple, source: Pipe) -> Reply:
        words = self.expanded(simple)
        files, who = self.computer.files, self.computer.who(self.call)
        if simple.source is not None:
            name = self._one(simple.source)
            try:
                data = b"" if name == "/dev/null" else files.read(self.call.path(name), who)
            except FileError as error:
                raise Wrong(f"{name}: {error.says}.") from None
            source = Pipe(data)
        target = self._one(simple.target) if simple.target is not None else ""
        old = b""
        if target and target != "/dev/null":
            try:
                path = self.call.path(target)
                there = simple.append and files.entry(path, who) is not None
                old = files.read(path, who) if there else b""
                files.write(path, old, who)
            except FileError as error:
                raise Wrong(f"{target}: {error.says}.") from None
        reply = (
            Reply(_BUILTINS[words[0]](self, words))
            if words[0] in _BUILTINS
            else self.program(words, source).finished()
        )
        if not target:
            return reply
        if target != "/dev/null":
            both = reply.out + (reply.err if simple.errors_too else b"")
            files.write(self.call.path(target), old + both, who)
        return replace(reply, stdout=b"", stderr=b"" if simple.errors_too else reply.err)

    def program(self, words: Sequence[str], source: Pipe) -> Reply:
        """Run a program, and say in csh's words where there is none."""
        if words[0] in _NOT_OURS:
            raise Wrong(f"this twin's csh does not know `{words[0]}`")
        reply = self.computer.call(replace(self.call, argv=tuple(words), source=source))
        said = reply.err.decode(errors="replace")
        if reply.status == 127 and said == f"sh: 1: {words[0]}: not found\n":
            return Reply(1, stderr=f"{words[0]}: Command not found.\n")
        if reply.status == 126 and said == f"sh: 1: {words[0]}: {ACCESS}\n":
            return Reply(1, stderr=f"{words[0]}: {ACCESS}.\n")
        return reply

    # ------------------------------------------------------------------ expansion

    def expanded(self, simple: Simple) -> list[str]:
        """The words of a program, expanded.

        Raises
        ------
        Wrong
            They can't be.
        """
        words: list[str] = []
        for word in simple.words:
            words += self._word(word, words[0] if words else "")
        return words or [""]

    def _one(self, word: Word) -> str:
        found = self._word(word, "")
        if len(found) != 1:
            raise Wrong("Ambiguous.")
        return found[0]

    def _word(self, pieces: Word, program: str) -> list[str]:
        bare = "".join(text for quote, text in pieces if quote == "")
        if re.search(r"\{[^}]*,[^}]*\}", bare):
            raise Wrong("this twin's csh does not expand {a,b}")
        pattern, text, globs = "", "", False
        for quote, piece in self._joined(pieces):
            if quote == "`":
                lines = self._printed_by(piece).split()
                if len(pieces) == 1:
                    return lines
                piece = " ".join(lines)
            elif quote != "'":
                piece = self._substituted(piece)
                if quote == '"':
                    piece = re.sub("`([^`]*)`", lambda found: self._printed_by(found[1]), piece)
                if quote == "" and not text and piece.startswith("~"):
                    piece = self._home(piece)
            globs = globs or (quote == "" and _GLOB.search(piece) is not None)
            text += piece
            special = r"([^\w/.,*?\[\]-])" if quote == "" else r"([^\w/.,-])"
            pattern += re.sub(special, r"\\\1", piece)
        if not globs:
            return [text]
        users, who = self.computer.accounts.users, self.computer.who(self.call)
        expansion = Expansion(
            Variables(), lambda text: "", self.computer.files, users, who, self.call.cwd
        )
        found = expansion.fields(pattern)
        if found == [text]:
            raise Wrong(f"{program or text}: No match.")
        return found

    def _joined(self, pieces: Word) -> Iterator[tuple[str, str]]:
        """Neighbours of one kind as one piece."""
        run: Word = []
        for quote, piece in pieces:
            if run and run[-1][0] == quote == "":
                run[-1] = ("", run[-1][1] + piece)
            else:
                run.append((quote, piece))
        yield from run

    def _home(self, piece: str) -> str:
        name, slash, rest = piece[1:].partition("/")
        known = self.computer.accounts.users
        if name and name not in known:
            raise Wrong(f"Unknown user: {name}.")
        home = known[name].home if name else self.call.env.get("HOME", "")
        return f"{home}{slash}{rest}"

    def _substituted(self, text: str) -> str:
        if re.search(r"\$(?![A-Za-z_{?#$0-9])", text):
            raise Wrong("Illegal variable name.")
        return _VARIABLE.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        asked, braced, plain, special = found.groups()
        if special:
            return {"?": str(self.status), "$": "4242", "#": "0"}.get(special, "")
        name = braced or plain
        known = {**self.call.env, **self.variables, "status": str(self.status)}
        if asked:
            return str(int(name in known))
        if name not in known:
            raise Wrong(f"{name}: Undefined variable.")
        return known[name]

    def _printed_by(self, text: str) -> str:
        other = _Csh(self.computer, self.call)
        self.status = other.sequence(parsed(text), self.call.source)
        self.err += other.err
        self.takes_s += other.takes_s
        return other.out.decode(errors="replace").rstrip("\n")


def _cd(shell: _Csh, words: Sequence[str]) -> int:
    word = words[1] if len(words) > 1 else shell.call.env.get("HOME", "/")
    path = shell.call.path(word)
    who = shell.computer.who(shell.call)
    try:
        if not shell.computer.files.is_dir(path, who):
            shell.computer.files.stat(path, who)
            raise FileError("Not a directory")
    except FileError as error:
        raise Wrong(f"{word}: {error.says}.") from None
    shell.call = replace(shell.call, cwd=shell.computer.files.resolve(path, who))
    return 0


def _setenv(shell: _Csh, words: Sequence[str]) -> int:
    if len(words) > 3:
        raise Wrong("setenv: Too many arguments.")
    if len(words) > 1:
        shell.call.env[words[1]] = words[2] if len(words) > 2 else ""
    return 0


def _unsetenv(shell: _Csh, words: Sequence[str]) -> int:
    for name in words[1:]:
        shell.call.env.pop(name, None)
    return 0


def _set(shell: _Csh, words: Sequence[str]) -> int:
    name, _, value = "".join(words[1:]).partition("=")
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise Wrong("set: Variable name must begin with a letter.")
    shell.variables[name] = value
    return 0


def _exit(shell: _Csh, words: Sequence[str]) -> int:
    raise _Exit(int(words[1]) if len(words) > 1 and words[1].isdigit() else shell.status)


_BUILTINS = {"cd": _cd, "setenv": _setenv, "unsetenv": _unsetenv, "set": _set, "exit": _exit}
