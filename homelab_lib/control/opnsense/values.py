"""How OPNsense writes values, and what they are to us: text, always.

A document (``get``) has option fields as ``{key: {value, selected}}``, or as a list where the keys
are 0, 1, 2; a row of a search has the plain value, and beside it a ``%name`` to show. What is a
list is joined by commas or newlines, and its order means nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any) -> str:
    """A value of either kind of answer, as it would be sent."""
    if isinstance(value, Mapping):
        return ",".join(key for key, each in value.items() if key and _selected(each))
    if isinstance(value, list):
        return ",".join(str(at) for at, each in enumerate(value) if _selected(each))
    return "" if value is None else str(value)


def _selected(option: Any) -> bool:
    return isinstance(option, Mapping) and str(option.get("selected")) in ("1", "True")


def parts(text: str, by: str) -> list[str]:
    """The parts of a list, sorted; `by` is what joins them."""
    return sorted({part.strip() for part in text.replace("\r", "").split(by) if part.strip()})


def beside(found: str, wanted: str, by: str, nobodys: Iterable[str] = ()) -> list[str]:
    """What stands in a list that would be gone if it were as wanted.

    Parameters
    ----------
    found, wanted
        The list as it is, and as it is to be.
    by
        What joins the parts.
    nobodys
        What the firewall comes with: nobody has chosen that.
    """
    return sorted(set(parts(found, by)) - set(parts(wanted, by)) - set(nobodys))


def flag(value: bool) -> str:
    """A truth value as it is sent."""
    return "1" if value else "0"


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"source.net": x}`` as ``{"source": {"net": x}}``."""
    document: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        inner = document
        for step in above:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return document


def below(document: Any, name: str) -> Any:
    """What stands at ``general.mode``; None for nothing."""
    for step in name.split("."):
        document = document.get(step) if isinstance(document, Mapping) else None
    return document


def joined(entries: Iterable[str], by: str = ",") -> str:
    """A list as it is sent."""
    return by.join(entries)
