"""Fields of text: plain, one-lined, by a pattern, coded, lists in a text."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.base import Field, Leaf, Several


@cache
def pattern(mask: str) -> re.Pattern[str]:
    """A mask as PHP has it, slashes and modifiers about it."""
    mask = mask.strip()
    end = mask.rindex(mask[0])
    flags = re.ASCII
    for letter in mask[end + 1 :]:
        flags |= {"i": re.IGNORECASE, "s": re.DOTALL, "m": re.MULTILINE}.get(letter, re.NOFLAG)
    if "u" in mask[end + 1 :]:
        flags &= ~re.ASCII
    return re.compile(mask[1:end], flags)


def whole(mask: str, value: str) -> bool:
    """Whether the first thing that a mask finds in a text is all of it."""
    found = pattern(mask).search(value)
    return found is not None and found[0] == value


@dataclass(frozen=True, kw_only=True)
class Text(Field):
    """Any text.

    Parameters
    ----------
    mask
        A pattern that it has to be, with slashes about it; empty for none.
    spaces, newlines, special
        Whether it may have such in it.
    """

    mask: str = ""
    spaces: bool = True
    newlines: bool = True
    special: bool = True
    says_by_itself: ClassVar[str] = "Text does not validate."

    def check(self, leaf: Leaf) -> Iterator[str]:
        value = leaf.value
        if not self.spaces and re.search(r"[ \t]", value):
            yield "Text may not contain spaces or tabs."
        elif not self.newlines and re.search(r"[\n\r]", value):
            yield "Text may not contain newlines."
        elif not self.special and re.search(r"[\0\v\f]", value):
            yield "Text may not contain special control characters."
        if self.mask and not whole(self.mask, value):
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class StrictText(Text):
    """A text in one line and without blanks."""

    spaces: bool = False
    newlines: bool = False
    special: bool = False


@dataclass(frozen=True, kw_only=True)
class Description(Text):
    """A line for a person."""

    newlines: bool = False
    special: bool = False
    says_by_itself: ClassVar[str] = "Description should be a string between 1 and 255 characters."

    def check(self, leaf: Leaf) -> Iterator[str]:
        yield from super().check(leaf)
        line = leaf.value.removesuffix("\n")
        if "\n" in line or not 1 <= len(line.encode()) <= 255:
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class Base64(Text):
    """Bytes in base 64."""

    says_by_itself: ClassVar[str] = "Invalid Base64-encoded string."

    def check(self, leaf: Leaf) -> Iterator[str]:
        yield from super().check(leaf)
        bare = leaf.value.replace("\n", "")
        try:
            coded = base64.b64encode(_decoded(leaf.value)).decode()
        except ValueError:
            coded = ""
        if coded != bare:
            yield self.says()


def _decoded(text: str) -> bytes:
    """``base64_decode()``, strict: blanks are passed over, padding may be missing.

    Raises
    ------
    ValueError
        It is none.
    """
    bare = re.sub(r"[ \t\n\r]", "", text)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise ValueError(text) from None


@dataclass(frozen=True, kw_only=True)
class Url(Field):
    """A link."""

    says_by_itself: ClassVar[str] = "Invalid URL."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not filters.is_url(leaf.value):
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class Email(Field):
    """An address for mail."""

    says_by_itself: ClassVar[str] = "Email address is invalid."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not re.search(r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$", leaf.value, re.I | re.A):
            yield self.says()


@dataclass(frozen=True, kw_only=True)
class UpdateOnly(Text):
    """A text that is never shown, and that nothing stays."""

    def accept(self, leaf: Leaf, value: str) -> str | None:
        return super().accept(leaf, value) if value else None

    def text(self, leaf: Leaf) -> str:
        return ""


@dataclass(frozen=True, kw_only=True)
class Csv(Several):
    """A list in a text.

    Parameters
    ----------
    mask
        A pattern that all of it has to be; or each entry with `each`.
    """

    as_list: bool = True
    mask: str = ""
    each: bool = False
    says_by_itself: ClassVar[str] = "List validation error."

    def check(self, leaf: Leaf) -> Iterator[str]:
        if not self.mask:
            return
        if not self.each:
            if not whole(self.mask, leaf.value):
                yield self.says()
            return
        wrong = next((e for e in self.entries(leaf.value) if not whole(self.mask, e)), None)
        if wrong is not None:
            yield f'"{wrong}" is invalid. {self.says()}'
