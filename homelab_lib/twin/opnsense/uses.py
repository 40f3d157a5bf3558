"""Whether something in the configuration is named elsewhere in it."""

import re
from collections.abc import Container, Iterator
from xml.etree import ElementTree as ET

from homelab_lib.twin.opnsense.errors import Refused

_DESCRIBED_BY = ("description", "descr", "name")


def throw_in_use(
    config: ET.Element,
    token: str,
    *,
    contains: bool = True,
    only_models: bool = True,
    but: Container[str] = (),
    title: str = "Item in use by",
) -> None:
    """Refuse what is named elsewhere.

    Parameters
    ----------
    config
        Where.
    token
        What is looked for.
    contains
        Whether it may be a part of a text.
    only_models
        Whether rows of models alone count, or everything does.
    but
        Places that do not count.
    title
        What the refusal is about.

    Raises
    ------
    Refused
        It is in use, and by what.
    """
    if not re.fullmatch(r"[0-9a-z\-]{1,255}", token, re.I | re.A):
        raise Refused("Invalid input token provided", "Invalid token")
    used = "".join(_uses(config, token, contains, only_models, but))
    if used:
        raise Refused(used, title)


def _uses(
    config: ET.Element, token: str, contains: bool, only_models: bool, but: Container[str]
) -> Iterator[str]:
    for path in _texts([config]):
        text = path[-1].text or ""
        if token != text and not (contains and token in text):
            continue
        holder = path[-2] if len(path) > 1 else path[-1]
        owner = len(path) - 3
        while owner >= 0 and path[owner].get("version") is None:
            owner -= 1
        names = [each.tag for each in path[max(owner, 0) : -1]]
        if owner < 0:
            names = names[1:]
        place = ".".join(names)
        if place in but:
            continue
        called = next((c for tag in _DESCRIBED_BY if (c := holder.findtext(tag) or "")), "")
        if owner >= 0 and holder.get("uuid"):
            yield f"{names[0]} - {called} {{{place}.{holder.get('uuid')}}}\n"
        elif not only_models:
            yield f"{holder.tag} - {called} {{{place}}}\n"


def _texts(path: list[ET.Element]) -> Iterator[list[ET.Element]]:
    """Ways to every element that has a text."""
    for child in path[-1]:
        way = [*path, child]
        if child.text and child.text.strip():
            yield way
        yield from _texts(way)
