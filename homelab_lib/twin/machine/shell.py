"""A small POSIX shell: enough for what people type over SSH and for the scripts that tools send.

It knows quotes, ``$1``, ``$NAME``, ``$(…)``, pipes, ``&&``, ``||``, ``;``, ``if``-less lists,
redirections, assignments, ``set -e``. What it does not know is a syntax error, never a guess.
"""

import fnmatch
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from homelab_lib.twin.machine.files import FileError, FileSystem
from homelab_lib.twin.machine.grammar import (
    REDIRECTIONS,
    Syntax,
    closing_parenthesis,
    closing_quote,
    pipelines,
    tokens_of,
)
from homelab_lib.twin.machine.program import Call, Reply

_BUILTINS = {"set", "umask", ":", "export", "cd", "trap", "exit", "exec", "shift"}
_READERS = {
    "/dev/stdin",
    "cat",
    "tee",
    "sh",
    "head",
    "tail",
    "grep",
    "wc",
    "base64",
    "kubectl",
    "k3s",
}
"""Programs that take what comes in; others leave it to the next."""
_UNKNOWN_WORDS = {"if", "for", "while", "until", "case", "function", "{", "(", "!"}


Execute = Callable[[Call], Reply]


def simple(line: str) -> tuple[str, ...] | None:
    """The words of a line that is one plain command; None where it takes a shell."""
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    if not words or "=" in words[0] or words[0] in _UNKNOWN_WORDS | _BUILTINS:
        return None
    # Words quoted as `shlex` quotes them need no shell, whatever they hold; nor do plain ones.
    plain = shlex.join(words) == line or re.fullmatch(r"[\w@%+=:,./ -]+", line)
    return tuple(words) if plain else None


@dataclass
class Shell:
    """Runs a script.

    Parameters
    ----------
    execute
        Runs one program.
    files
        Where redirections lead.
    user, env, arguments
        Who runs it, with what environment, and ``$0 $1 …``.
    """

    execute: Execute
    files: FileSystem
    user: str = "root"
    env: dict[str, str] = field(default_factory=dict)
    arguments: Sequence[str] = ("sh",)
    _stop_on_error: bool = False
    _last: int = 0
    _at_exit: str = ""

    def run(self, script: str, stdin: bytes = b"") -> Reply:
        """Run `script`; its status is that of the last command."""
        try:
            tokens = tokens_of(script)
        except Syntax as error:
            return Reply(2, stderr=f"sh: 1: Syntax error: {error}\n")
        out, err, takes_s = b"", b"", 0.0
        skip = ""
        for pipeline, joint in pipelines(tokens):
            if skip and self._skips(skip):
                skip = joint if joint in ("&&", "||") else ""
                continue
            try:
                reply, ended = self._pipeline(pipeline, stdin)
            except Syntax as error:
                return Reply(2, out, err + f"sh: 1: Syntax error: {error}\n".encode(), takes_s)
            out, err, takes_s = out + reply.out, err + reply.err, takes_s + reply.takes_s
            if set(pipeline[0]) & _READERS:
                stdin = b""
            self._last = reply.status
            failed = self._stop_on_error and reply.status and joint not in ("&&", "||")
            if ended or failed:
                break
            skip = joint if joint in ("&&", "||") else ""
        if self._at_exit:
            last, script, self._at_exit = self._last, self._at_exit, ""
            self._stop_on_error = False
            reply = self.run(script)
            return Reply(last, out + reply.out, err + reply.err, takes_s + reply.takes_s)
        return Reply(self._last, out, err, takes_s)

    def _skips(self, joint: str) -> bool:
        return bool(self._last) if joint == "&&" else not self._last

    def _pipeline(self, pipeline: list[list[str]], stdin: bytes) -> tuple[Reply, bool]:
        err, takes_s, reply, ended = b"", 0.0, Reply(), False
        for place, command in enumerate(pipeline):
            reply, ended = self._command(command, stdin)
            err, takes_s = err + reply.err, takes_s + reply.takes_s
            stdin = reply.out
            ended = ended and place == len(pipeline) - 1
        return replace(reply, stderr=err, takes_s=takes_s), ended

    def _command(self, tokens: list[str], stdin: bytes) -> tuple[Reply, bool]:
        words: list[str] = []
        redirections: list[tuple[str, str]] = []
        rest = iter(tokens)
        for token in rest:
            if token in REDIRECTIONS:
                target = "" if token == "2>&1" else self._expand(next(rest, ""))[0]
                redirections.append((token, target))
            else:
                words += self._expand(token)
        env = dict(self.env)
        while words and re.match(r"[A-Za-z_]\w*=", words[0]):
            name, _, value = words.pop(0).partition("=")
            (env if words else self.env)[name] = value
            env[name] = value
        try:
            for kind, target in redirections:
                if kind == "<":
                    stdin = self.files.read(target)
        except FileError as error:
            return Reply(2, stderr=f"sh: 1: cannot open {target}: {error.says}\n"), False
        reply, ended = self._program(words, stdin, env)
        return self._redirected(reply, redirections), ended

    def _program(self, words: list[str], stdin: bytes, env: dict[str, str]) -> tuple[Reply, bool]:
        match words:
            case []:  # assignments alone are well done
                return Reply(), False
            case ["set", *flags]:
                self._stop_on_error = self._stop_on_error or any("e" in f for f in flags)
                return Reply(), False
            case ["umask" | ":" | "export" | "cd", *_]:
                return Reply(), False
            case ["trap", script, "EXIT"]:
                self._at_exit = "" if script == "-" else script
                return Reply(), False
            case ["shift"]:
                self.arguments = [self.arguments[0], *self.arguments[2:]]
                return Reply(), False
            case ["exit", *status]:
                return Reply(int(status[0]) if status else self._last), True
            case ["exec", *argv]:
                return self._run(tuple(argv), stdin, env), True
        if words[0] in _UNKNOWN_WORDS:
            raise Syntax(f'"{words[0]}" unexpected')
        return self._run(tuple(words), stdin, env), False

    def _run(self, argv: tuple[str, ...], stdin: bytes, env: dict[str, str]) -> Reply:
        return self.execute(Call(argv, stdin, self.user, env)).finished()

    def _redirected(self, reply: Reply, redirections: list[tuple[str, str]]) -> Reply:
        for kind, target in redirections:
            if kind == "<":
                continue
            if kind == "2>&1":
                reply = replace(reply, stdout=reply.out + reply.err, stderr=b"")
                continue
            text = reply.err if kind.startswith("2") else reply.out
            try:
                if target != "/dev/null":
                    more = kind.endswith(">>") and self.files.exists(target)
                    old = self.files.read(target) if more else b""
                    self.files.write(target, old + text)
            except FileError as error:
                says = f"sh: 1: cannot create {target}: {error.says}\n".encode()
                return Reply(2, stderr=says)
            empty = {"stderr": b""} if kind.startswith("2") else {"stdout": b""}
            reply = replace(reply, **empty)
        return reply

    # --------------------------------------------------------------- expansion

    def _expand(self, token: str) -> list[str]:
        """The words that a token stands for."""
        words: list[str] = [""]
        quoted = False
        position = 0
        while position < len(token):
            char = token[position]
            if char == "'":
                end = token.index("'", position + 1)
                words[-1] += token[position + 1 : end]
                quoted, position = True, end + 1
            elif char == '"':
                end = closing_quote(token, position)
                inner = token[position + 1 : end]
                if inner == "$@":
                    arguments = list(self.arguments[1:])
                    if not arguments:
                        return []
                    words[-1] += arguments[0]
                    words += arguments[1:]
                else:
                    words[-1] += self._substitute(inner)
                quoted, position = True, end + 1
            elif char == "\\":
                words[-1] += token[position + 1 : position + 2]
                quoted, position = True, position + 2
            elif char == "$":
                value, position = self._dollar(token, position)
                parts = value.split()
                if not parts:
                    continue
                words[-1] += parts[0]
                words += parts[1:]
            else:
                words[-1] += char
                position += 1
        return words if quoted or words != [""] else []

    def _substitute(self, text: str) -> str:
        """Text between double quotes."""
        out, position = "", 0
        while position < len(text):
            if text[position] == "\\" and text[position + 1 : position + 2] in (
                '"',
                "\\",
                "$",
                "`",
            ):
                out += text[position + 1]
                position += 2
            elif text[position] == "$":
                value, position = self._dollar(text, position)
                out += value
            else:
                out += text[position]
                position += 1
        return out

    def _dollar(self, text: str, position: int) -> tuple[str, int]:
        if text.startswith("$(", position):
            end = closing_parenthesis(text, position + 1)
            reply = Shell(self.execute, self.files, self.user, dict(self.env), self.arguments).run(
                text[position + 2 : end]
            )
            return reply.out.decode(errors="replace").rstrip("\n"), end + 1
        found = re.match(
            r"\$(?:\{(\w+)(?:([%#])([^%#}][^}]*))?\}|([A-Za-z_]\w*|[0-9?#]))", text[position:]
        )
        if found is None:
            return "$", position + 1
        name = found[1] or found[4]
        if name.isdigit():
            value = self.arguments[int(name)] if int(name) < len(self.arguments) else ""
        elif name in ("?", "#"):
            value = str(self._last) if name == "?" else str(len(self.arguments) - 1)
        else:
            value = self.env.get(name, "")
        if found[2]:
            value = _without(value, found[3], at_end=found[2] == "%")
        return value, position + found.end()


def _without(value: str, pattern: str, *, at_end: bool) -> str:
    """``${value%pattern}`` and ``${value#pattern}``: the shortest part that fits is taken off."""
    lengths = range(len(value) + 1)
    for length in lengths:
        part = value[len(value) - length :] if at_end else value[:length]
        if fnmatch.fnmatchcase(part, pattern):
            return value[: len(value) - length] if at_end else value[length:]
    return value
