"""The words of a command line, as getopt reads them, held against a list of what is allowed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Judge = Callable[[Sequence[str]], bool]  # of the words after the program


@dataclass(frozen=True)
class Words:
    """A command line taken apart: what is no option, and each option with its value."""

    operands: list[str] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)

    def starts(self, phrases: str) -> bool:
        """Whether the operands begin with one of the phrases, given as ``one,two words``."""
        return any(
            self.operands[: len(phrase.split())] == phrase.split() for phrase in phrases.split(",")
        )

    def values(self, *names: str) -> list[str]:
        """What options of these names were given."""
        return [value for name, value in self.options if name in names]


@dataclass(frozen=True)
class Allowed:
    """What a program may be told, and then only reads. A judge of the words after its name.

    Parameters
    ----------
    phrases
        Sub-commands, as ``one,two words``; empty where the program has none.
    flags, values
        Options that stand alone, and options that take the next word. All others are refused.
    also
        What else has to hold.
    """

    phrases: str = ""
    flags: str = ""
    values: str = ""
    also: Callable[[Words], bool] = lambda words: True

    def __call__(self, words: Sequence[str]) -> bool:
        parsed = self.parse(words)
        return parsed is not None and parsed.starts(self.phrases) and self.also(parsed)

    def parse(self, words: Sequence[str]) -> Words | None:
        """``-ab``, ``-oVALUE``, ``--name=value``; None if an option is not allowed."""
        alone, taking = self.flags.split(), self.values.split()
        parsed = Words()
        rest = iter(words)
        for word in rest:
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            if word == "--":
                parsed.operands.extend(rest)
            elif not word.startswith("-") or word == "-":
                parsed.operands.append(word)
            elif name in taking:
                parsed.options.append((name, value if equals else next(rest, "")))
            elif name in alone:
                parsed.options.append((name, value))
            elif word.startswith("--") or not self._letters(word[1:], rest, parsed):
                return None
        return parsed

    def _letters(self, letters: str, rest: Iterator[str], parsed: Words) -> bool:
        """``-ab`` and ``-oVALUE``."""
        for place, letter in enumerate(letters, start=1):
            name = f"-{letter}"
            if name in self.values.split():
                value = letters[place:] or next(rest, "")
                parsed.options.append((name, value))
                return True
            if name not in self.flags.split():
                return False
            parsed.options.append((name, ""))
        return True
