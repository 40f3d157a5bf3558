"""What stands under the machine it is on: every appliance names its own pools and storages.

Three Proxmox nodes each have a ``local-zfs``, so that a name alone says nothing. YAML nests them
by machine, ``pools: {nas: {tank: …}}``; within a machine they are referred to by name, from
elsewhere as ``nas.tank``.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.lab.base import Made, with_key


class OnHost(Made):
    """A record that stands under a machine and its own name."""

    host: SkipJsonSchema[str] = Field("", description="Machine it is on; never written.")

    @property
    def id(self) -> str:
        """Machine and name: ``nas.tank``."""
        return f"{self.host}.{self.name}"


Thing = TypeVar("Thing", bound=OnHost)


def _write_host(document: Any) -> Any:
    """Write the machine's name into each entry under it."""
    if not isinstance(document, dict):
        return document  # pydantic says what is wrong with it
    return {
        host: {name: with_key("host", host, entry) for name, entry in under.items()}
        if isinstance(under, dict)
        else under
        for host, under in document.items()
    }


BY_HOST = BeforeValidator(_write_host)


def every(under: Mapping[str, Mapping[str, Thing]]) -> list[Thing]:
    """All of them, of all machines, in the order of the description.

    Parameters
    ----------
    under
        What stands under machines: ``lab.pools``.
    """
    return [thing for things in under.values() for thing in things.values()]


def at(under: Mapping[str, Mapping[str, Thing]], ref: str) -> Thing | None:
    """The one that a reference from outside means; None where there is none.

    Parameters
    ----------
    under
        What stands under machines: ``lab.nfs_shares``.
    ref
        Machine and name, ``nas.media``.
    """
    host, _, name = ref.partition(".")
    return under.get(host, {}).get(name)
