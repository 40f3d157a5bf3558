"""Resource mappings: a name for a PCI card, and what it has to be when a VM takes it.

At a VM's start Proxmox compares maker, device, card and IOMMU group with what sits at the path, as
text, and refuses to start where one differs or was left out (`PVE::Mapping::PCI::assert_valid`):
that is what keeps a VM from another device once numbers on the bus have moved. Making a mapping
checks none of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.proxmox.api import api, changing
from homelab_lib.runbook.resource import Change, Diff, Host

_PATH = "/cluster/mapping/pci"
_CHECK: Shape = {"severity": str, "message": str}
_MAPPINGS: Shape = [{"id": str, "map": [str], "description?": str, "checks?": [_CHECK]}]


@dataclass(frozen=True)
class PciMapping:
    """A card's mapping on one node; what it has on others stays.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    mapping
        The mapping's name.
    path
        The card: ``0000:03:00``, with all of its functions.
    id, subsystem
        Of its first function; the latter is empty where it has none.
    group
        Its IOMMU group.
    lab
        The lab whose mapping it is.
    """

    host: str
    node: str
    mapping: str
    path: str
    id: str
    subsystem: str
    group: int
    lab: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"mapping {self.mapping}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        rows = api(host, _PATH, "--check-node", self.node, shape=_MAPPINGS)
        row = next((row for row in rows if row["id"] == self.mapping), None)
        if row is None:
            return None
        return {
            "description": row.get("description", ""),
            "map": row["map"],
            "wrong": [
                re.sub(r"\s+", " ", each["message"]).strip()
                for each in row.get("checks", ())
                if each["severity"] == "error"
            ],
        }

    @property
    def _wanted(self) -> dict[str, str]:
        found = {"node": self.node, "path": self.path, "id": self.id}
        found |= {"iommugroup": str(self.group)}
        return found | ({"subsystem-id": self.subsystem} if self.subsystem else {})

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            undo = f"pvesh delete {_PATH}/{self.mapping}"
            return Diff((self._writing("create", _PATH, "--id", self.mapping, undo=undo),))
        entries = [_entry(each) for each in observed["map"]]
        here = [each for each in entries if each.get("node") == self.node]
        if [_facts(each) for each in here] == [self._wanted]:
            if observed["wrong"]:
                return Diff(conflict=f"Proxmox finds in {self.name}: {observed['wrong'][0]}")
            return Diff()
        if not mark.marks(observed["description"], self.lab):
            return Diff(
                conflict=f"there is a mapping {self.mapping} already, which we did not make for "
                f"lab {self.lab}: remove or rename it in Proxmox (Datacenter, Resource Mappings); "
                f"if it is to be ours, write {mark.text(self.lab)!r} into its description"
            )
        others = [text for text, each in zip(observed["map"], entries, strict=True)
                  if each.get("node") != self.node]  # fmt: skip
        replaces = "; ".join(_text(_facts(each)) for each in here)
        maps = " ".join(f"--map {text}" for text in observed["map"])
        return Diff((self._writing("set", f"{_PATH}/{self.mapping}", others=others,
                                   replaces=replaces,
                                   undo=f"pvesh set {_PATH}/{self.mapping} {maps}"),))  # fmt: skip

    def _writing(
        self, verb: str, path: str, *more: str, undo: str, others: Sequence[str] = (),
        replaces: str = "",
    ) -> Change:  # fmt: skip
        maps = [word for text in (*others, _text(self._wanted)) for word in ("--map", text)]
        call = changing(verb, path, *more, "--description", mark.text(self.lab), *maps)
        summary = f"name the device at {self.path} {self.mapping}"
        return Change(summary, call, replaces=replaces, undo=undo)


def path_of(host: Host, node: str, mapping: str) -> str:
    """The card that a mapping names on a node: ``0000:03:00``; empty where it names none.

    Parameters
    ----------
    host, node, mapping
        The machine, its node name, and the mapping's name.
    """
    for row in api(host, _PATH, "--check-node", node, shape=_MAPPINGS):
        for entry in map(_entry, row["map"] if row["id"] == mapping else ()):
            if entry.get("node") == node:
                return entry.get("path", "").partition(".")[0]
    return ""


def _entry(text: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in text.split(","))


def _facts(entry: Mapping[str, str]) -> dict[str, str]:
    """What is compared of it; a description of the node's is a person's own."""
    return {key: value for key, value in entry.items() if key != "description"}


def _text(entry: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in entry.items())
