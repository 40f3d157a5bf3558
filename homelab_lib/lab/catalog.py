"""The catalog: every part by its name, and what a lab may ask of it."""

from typing import Annotated, Any

from pydantic import Field
from pydantic_core import PydanticCustomError

from homelab_lib.lab.base import BY_NAME, Form, Record
from homelab_lib.lab.cabling import CablePart, SwitchPart, TransceiverPart
from homelab_lib.lab.devices import (
    AcceleratorPart,
    AdapterPart,
    BackplanePart,
    DiskPart,
    GpuPart,
    HbaPart,
    NicPart,
)
from homelab_lib.lab.llm import ModelPart
from homelab_lib.lab.near import near
from homelab_lib.lab.part import Part, kinds_of
from homelab_lib.lab.platforms import (
    AccessoryPart,
    BoardPart,
    CpuPart,
    MemoryPart,
    PsuPart,
    SystemPart,
    UpsPart,
)

PartName = Annotated[
    str, Form(r"[a-z0-9][a-z0-9.+-]{0,63}", "lower-case letters, digits and any of . + -")
]


class Catalog(Record):
    """Parts by kind and name. A name is unique over all kinds."""

    cpus: Annotated[dict[PartName, CpuPart], BY_NAME] = Field({}, description="Processors.")
    memory: Annotated[dict[PartName, MemoryPart], BY_NAME] = Field({}, description="Modules.")
    boards: Annotated[dict[PartName, BoardPart], BY_NAME] = Field({}, description="Main boards.")
    systems: Annotated[dict[PartName, SystemPart], BY_NAME] = Field(
        {}, description="Single-board computers and whole machines."
    )
    gpus: Annotated[dict[PartName, GpuPart], BY_NAME] = Field({}, description="Graphics cards.")
    accelerators: Annotated[dict[PartName, AcceleratorPart], BY_NAME] = Field(
        {}, description="Inference accelerators."
    )
    nics: Annotated[dict[PartName, NicPart], BY_NAME] = Field(
        {}, description="Network chips and cards, wireless ones too."
    )
    disks: Annotated[dict[PartName, DiskPart], BY_NAME] = Field({}, description="Drives.")
    adapters: Annotated[dict[PartName, AdapterPart], BY_NAME] = Field(
        {}, description="Splitters, risers, docks, hats."
    )
    hbas: Annotated[dict[PartName, HbaPart], BY_NAME] = Field(
        {}, description="Host bus adapters for SAS and SATA drives."
    )
    backplanes: Annotated[dict[PartName, BackplanePart], BY_NAME] = Field(
        {}, description="Backplanes and SAS expanders."
    )
    psus: Annotated[dict[PartName, PsuPart], BY_NAME] = Field({}, description="Power supplies.")
    upses: Annotated[dict[PartName, UpsPart], BY_NAME] = Field(
        {}, description="Uninterruptible power supplies."
    )
    accessories: Annotated[dict[PartName, AccessoryPart], BY_NAME] = Field(
        {}, description="Cases, coolers and the like."
    )
    cables: Annotated[dict[PartName, CablePart], BY_NAME] = Field({}, description="Cables.")
    transceivers: Annotated[dict[PartName, TransceiverPart], BY_NAME] = Field(
        {}, description="Modules for cages."
    )
    switches: Annotated[dict[PartName, SwitchPart], BY_NAME] = Field({}, description="Switches.")
    models: Annotated[dict[PartName, ModelPart], BY_NAME] = Field(
        {}, description="Language models."
    )

    def kind(self, kind: str) -> dict[str, Part]:
        """All parts of a kind, such as ``gpus``, by name."""
        return getattr(self, kind)

    def find(self, name: str, wanted: Any = Part) -> Part:
        """The part of that name.

        Parameters
        ----------
        name
            Its name in the catalog.
        wanted
            Class of the part, or a union of classes.

        Raises
        ------
        PydanticCustomError
            No such part, or one of another kind.
        """
        for kind in type(self).model_fields:
            part = self.kind(kind).get(name)
            if part is None:
                continue
            if isinstance(part, wanted):
                return part
            raise PydanticCustomError(
                "wrong_kind",
                "{found} is one of the catalog's {kind}; wanted here: {wanted}",
                {"found": repr(name), "kind": kind, "wanted": _kinds(wanted)},
            )
        fitting = [
            other
            for kind in type(self).model_fields
            for other, part in self.kind(kind).items()
            if isinstance(part, wanted)
        ]
        raise PydanticCustomError(
            "unknown_part",
            "{found} is not in the catalog under {wanted}{hint}",
            {"found": repr(name), "wanted": _kinds(wanted), "hint": near(name, fitting)},
        )


def _kinds(wanted: Any) -> str:
    return ", ".join(kinds_of(wanted)) or "any kind"
