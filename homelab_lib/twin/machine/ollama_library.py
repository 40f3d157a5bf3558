"""Ollama's library of models, as far as a lab asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from homelab_lib.lab.llm import ModelPart
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.wiring.serving import weights


@dataclass(frozen=True)
class Published:
    """A model of the library: what its tag leads to.

    Parameters
    ----------
    digest
        Of its manifest.
    part, quant
        What it is.
    """

    digest: str
    part: ModelPart
    quant: str

    @property
    def size_bytes(self) -> int:
        return weights(self.part, self.quant).file_bytes


def library_of(machine: Machine) -> dict[str, Published]:
    """The library of models, as far as anybody here asks for one; a tag may have been moved."""
    moved: Mapping[str, str] = machine.world.habits.get("ollama_tags", {})
    found = {}
    for model in machine.world.lab.models.values():
        if model.published is not None:
            tag = model.published.tag
            found[tag] = Published(moved.get(tag, model.published.digest), model.part, model.quant)
    return found
