"""What a model of the appliance is made of: its fields, its tables, and where it is kept."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Union

from homelab_lib.twin.opnsense.fields.base import Field

Parts = Mapping[str, Union[Field, "Section", "Table"]]


@dataclass(frozen=True)
class Section:
    """Several fields under one name."""

    parts: Parts


@dataclass(frozen=True)
class Table:
    """Rows of the same fields.

    Parameters
    ----------
    parts
        What each row has.
    fixed
        Rows that are always there and are kept nowhere.
    after_loading
        What is made of the rows once the whole document is there.
    """

    parts: Parts
    fixed: "Callable[[Any], Mapping[str, Mapping[str, str]]] | None" = None
    after_loading: "Callable[[Any], None] | None" = None


@dataclass(frozen=True)
class Message:
    """What is wrong, and with which field by its name in the whole document."""

    key: str
    text: str


@dataclass(frozen=True)
class Model:
    """What the appliance calls a model.

    Parameters
    ----------
    name
        Its own name.
    mount
        Where in the configuration it is kept; with ``+`` its rows are siblings there; ``""`` for
        nowhere.
    parts
        What it has.
    version
        Of its form.
    checks
        What it finds wrong beyond its fields' own rules; is told whether all are to be looked at,
        or only those that changed.
    title
        What the configuration calls it.
    fetch, keep
        How it is read from elsewhere in the configuration and written there, of one that has no
        place of its own.
    """

    name: str
    mount: str
    parts: Parts
    version: str = "1.0.0"
    checks: "Callable[[Any, bool], Iterator[Message]] | None" = None
    title: str = ""
    fetch: "Callable[[Any], None] | None" = None
    keep: "Callable[[Any], None] | None" = None
