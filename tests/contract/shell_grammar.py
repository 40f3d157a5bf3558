"""Draws small shell scripts of the grammar that our own scripts are written in."""

import random

NAMES = ("a", "b", "c")
FILES = ("f", "g", "'x y'", "d/in", "d", "none", "-- -o", '"$a"', "$b", "l")
TEXTS = (
    "one",
    "two words",
    "",
    "a*b",
    "it's",
    "-n",
    "x=y",
    "é",
    "a\\\\b",
    " lead",
    "tab\there",
    "7",
)
PATTERNS = ("*", "?", "o*", "*e", "[a-o]*", "one", "'*'", "*' '*", "")
OPERATORS = ("-eq", "-ne", "-lt", "-gt", "-le", "-ge")


class Script:
    """One script; the same seed draws the same.

    Parameters
    ----------
    seed
        Of what is drawn.
    """

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)

    def text(self) -> str:
        """The script, with what there is for it to work on."""
        begin = "n=0; umask 022; mkdir d; echo in > d/in; printf '1\\n2\\n' > f; ln -s f l; "
        values = " ".join(f"{name}={self._quoted(self._one(TEXTS))}" for name in NAMES)
        options = self._one(("", "", "set -e; ", "set -u; ", "set -eu; "))
        arguments = f"set -- {self._words(2)}; "
        body = "; ".join(self.statement(2) for _ in range(self._draw.randint(2, 5)))
        return f"{begin}{values}; {options}{arguments}{body}"

    def _one(self, choices):
        return self._draw.choice(choices)

    def _quoted(self, text: str) -> str:
        return "'" + text.replace("'", "'\\''") + "'"

    # ------------------------------------------------------------------- words

    def word(self, depth: int = 1) -> str:
        name = self._one(NAMES)
        kinds = [
            lambda: self._quoted(self._one(TEXTS)),
            lambda: f'"${name}"',
            lambda: f"${name}",
            lambda: f'"<${{{name}}}>"',
            lambda: f"${{{name}{self._one((':-', '-', ':+', '+'))}{self._one(('w', '', '$a'))}}}",
            lambda: f'"${{{name}{self._one(("%", "%%", "#", "##"))}{self._one(PATTERNS)}}}"',
            lambda: f"${{#{name}}}",
            lambda: f"$(({self._sum()}))",
            lambda: self._one(('"$@"', "$@", "$#", '"$1"', "$2", '"$*"', "$?", '"$?"')),
            lambda: self._one(("*", "d/*", "[fg]", "'*'", "\\*", "~", "x*")),
            lambda: f"{self._one(NAMES)}${name}'q q'",
            lambda: f"${{{self._one(('n', name, 'u'))}{self._one((':=', '='))}w}}",
            lambda: f'"${{{name}:-$(echo "in $b")}}"',
            lambda: f"$((n + {self._draw.randint(0, 9)} * ${{#{name}}}))",
            lambda: self._one(
                ('"${1:-none}"', "${2-d}", '"a$@b"', '"$@$@"', "`echo $a`", '"`echo $a`"')
            ),
            lambda: self._one(('"\\$a\\"x"', "a\\ b", "'$a'", '"$"', "$", '"a\\b"', '"it\'s"')),
        ]
        if depth:
            kinds.append(lambda: f'"$( {self.command(depth - 1)})"')
            kinds.append(lambda: f"$( {self.command(depth - 1)})")
        return self._one(kinds)()

    def _sum(self) -> str:
        left, right = self._draw.randint(0, 9), self._draw.randint(1, 9)
        return f"{left} {self._one(('+', '-', '*', '/', '%', '<', '==', '>='))} {right}"

    def _words(self, most: int) -> str:
        return " ".join(self.word(0) for _ in range(self._draw.randint(0, most)))

    # ---------------------------------------------------------------- commands

    def command(self, depth: int = 1) -> str:
        file, other = self._one(FILES), self._one(FILES)
        kinds = [
            lambda: f"echo {self._words(3)}",
            lambda: f"printf '%s|' {self._words(3)}",
            lambda: f"printf '%s-%s\\n' {self._words(3)}",
            lambda: f"cat {file}",
            lambda: f"cat < {self._one(('f', 'd/in', 'none', 'l'))}",
            lambda: f"head -n 1 {file}",
            lambda: f"tail -c 2 {file}",
            lambda: f"wc -c < {self._one(('f', 'l'))}",
            lambda: f"grep -c {self._one(('1', 'n', '-e in', '-x 2'))} {self._one(FILES[:4])}",
            lambda: f"sed -n '{self._one(('1p', '$p', '/2/p', 's/1/x/p'))}' {file}",
            lambda: f"tr {self._one(('a-z A-Z', '-d 1', '-s n'))} < f",
            lambda: f"stat -c %F:%a {file}",
            lambda: f"sha256sum {file}",
            lambda: f"cp {file} {other}",
            lambda: f"mv {file} {other}",
            lambda: f"rm {self._one(('', '-f', '-r'))} {file}",
            lambda: f"mkdir {self._one(('', '-p'))} {self._one(('e', 'd', 'e/f/g', 'f'))}",
            lambda: f"ln -s {other} {self._one(('m', 'l', 'd/m'))}",
            lambda: f"chmod {self._one(('600', '0755', 'u+x', 'a-r'))} {file}",
            lambda: f"touch {file}",
            lambda: f"test {self._test()}",
            lambda: f"[ {self._test()} ]",
            lambda: self._one(
                (":", "true", "false", "nosuch", "cd d", "cd .", "cd none", "umask 077")
            ),
            lambda: f"sh -c 'echo \"$1\" $#' {self._words(3)}",
            lambda: f"{self._one(NAMES)}={self.word(0)}",
            lambda: f"{self._one(NAMES)}={self.word(0)} env | grep -c '^[abc]='",
            lambda: f"readlink {self._one(('l', 'f', '-f l'))}",
            lambda: f"command -v {self._one(('cd', 'nosuch', 'echo'))}",
        ]
        return self._one(kinds)()

    def _test(self) -> str:
        kinds = [
            lambda: (
                f"{self._one(('-e', '-f', '-d', '-L', '-s', '-r', '-x'))} {self._one(FILES[:6])}"
            ),
            lambda: f'{self._one(("-n", "-z"))} "${self._one(NAMES)}"',
            lambda: f"{self.word(0)} {self._one(('=', '!='))} {self.word(0)}",
            lambda: f"$# {self._one(OPERATORS)} {self._draw.randint(0, 3)}",
            lambda: f"! -e {self._one(FILES[:4])}",
            lambda: f"-e f {self._one(('-a', '-o'))} -d none",
        ]
        return self._one(kinds)()

    def _sent(self, depth: int) -> str:
        """A command with where its output goes, or what it is fed."""
        kinds = [
            lambda: self.command(depth),
            lambda: (
                f"{self.command(depth)} > {self._one(('out', 'd/new', 'none/x', 'd', '/dev/null'))}"
            ),
            lambda: f"{self.command(depth)} >> log",
            lambda: f"{self.command(depth)} 2>&1",
            lambda: f"{self.command(depth)} 2> /dev/null",
            lambda: (
                f"{self.command(depth)} | {self._one(('cat', 'wc -l', 'head -n 1', 'grep -v 1'))}"
            ),
            lambda: f"printf '%s\\n' {self._words(2)} | while read -r v w; do echo \"$v,$w\"; done",
            lambda: f"! {self.command(depth)}",
            lambda: f"{self.command(depth)} && {self.command(0)} || {self.command(0)}",
        ]
        return self._one(kinds)()

    # -------------------------------------------------------------- statements

    def statement(self, depth: int) -> str:
        if not depth:
            return self._sent(0)
        inner = lambda: self.statement(depth - 1)  # noqa: E731
        kinds = [
            lambda: self._sent(1),
            lambda: self._sent(1),
            lambda: self._sent(1),
            lambda: f"if {self._sent(0)}; then {inner()}; else {inner()}; fi",
            lambda: f'for v in {self._words(3)}; do echo "$v"; {inner()}; done',
            lambda: f"i=0; while [ $i -lt 3 ]; do i=$((i + 1)); {inner()}; done",
            lambda: f"until true; do {inner()}; done",
            lambda: (
                f"case {self.word(0)} in {self._one(PATTERNS) or 'x'}) {inner()};; "
                "*) echo else; esac"
            ),
            lambda: f"({inner()}; exit {self._draw.randint(0, 3)})",
            lambda: f"{{ {inner()}; {inner()}; }} > out{depth}",
            lambda: (
                f"fn() {{ {inner()}; return {self._draw.randint(0, 2)}; }}; fn {self._words(2)}"
            ),
            lambda: f"trap 'echo end $?' EXIT; {inner()}",
            lambda: f"eval {self._quoted(inner())}",
            lambda: f'v=$( {inner()}); echo "$v" $?',
            lambda: (
                f"cat <<END\n${{{self._one(NAMES)}}} $(echo x) ${self._one(NAMES)}\nEND\n{inner()}"
            ),
            lambda: f'shift; echo "$@" $#; {inner()}',
            lambda: f'set -- {self._words(3)}; echo $# "$1"; {inner()}',
        ]
        return self._one(kinds)()
