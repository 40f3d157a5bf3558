"""A contradiction in the description, and the kinds that occur everywhere."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from homelab_lib.lab.document import Steps
from homelab_lib.lab.near import near

_SHOWN = 12


@dataclass(frozen=True)
class Fault:
    """A contradiction.

    Parameters
    ----------
    path
        Where in the document.
    what
        What was found, and what is allowed.
    about
        The name that was found nowhere; empty for another fault. When that very thing could not
        be read because of an error of its own, the fault isn't worth a line.
    first
        The other place that the fault is about, if any.
    """

    path: Steps
    what: str
    about: str = ""
    first: Steps = ()


def unknown(path: Steps, name: object, known: Collection[Any], kind: str) -> Fault:
    """`name` is none of the `kind` that exist."""
    names = [str(each) for each in known]
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    there = f"there are: {shown}" if names else "there are none"
    return Fault(path, f"there is no {kind} {str(name)!r}{near(name, names)}; {there}", str(name))


def each_known(
    path: Steps, names: Iterable[object], known: Collection[Any], kind: str
) -> Iterator[Fault]:
    """A fault for every name in the list at `path` that isn't known."""
    for index, name in enumerate(names):
        if name not in known:
            yield unknown((*path, index), name, known, kind)


def twice(entries: Iterable[tuple[Steps, Any]], kind: str) -> Iterator[Fault]:
    """A fault for every value that occurs again; None is no value."""
    first: dict[Any, Steps] = {}
    for path, value in entries:
        if value is None:
            continue
        if value in first:
            yield Fault(path, f"{kind} {str(value)!r} is used twice", first=first[value])
        else:
            first[value] = path
