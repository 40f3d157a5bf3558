"""What the design foretells: numbers in its tables that models can be held against."""

from typing import Literal

from pydantic import Field

from homelab_lib.lab.base import Number, Record
from homelab_lib.lab.quantities import LinkSpeed, MemorySize, ModelSize, PathRate


class LinkBudget(Record):
    """A row of the design's bandwidth analysis: what a device needs and what its slot gives."""

    device: str = Field(description="The device: 'host.device'.")
    link: str = Field(description="The link the design assumes, such as 'PCIe 3.0 x2'.")
    needed_bytes_per_s: PathRate | None = Field(
        None, description="What the device is said to need [B/s]."
    )
    ideal_bytes_per_s: PathRate | None = Field(
        None, description="What is said to be ideal for it, and not needed [B/s]."
    )
    provided_bytes_per_s: PathRate = Field(description="What the link is said to give [B/s].")
    verdict: str = Field(description="The design's own judgement.")


class CodecSupport(Record):
    """A row of the transcoding capabilities."""

    device: str = Field(description="The device: 'host.device'.")
    codec: Literal["H.264", "HEVC", "AV1", "VP9"] = Field(description="Codec.")
    decode: bool = Field(description="Said to decode it.")
    encode: bool = Field(description="Said to encode it.")


class TranscodeEstimate(Record):
    """A cell of the transcoding performance table."""

    device: str = Field(description="'host.device', or 'host.cpu' for integrated graphics.")
    scenario: str = Field(description="Row of the table, such as '4K streams'.")
    says: str = Field(description="The cell as written.")
    streams_low: Number | None = Field(None, description="Fewest streams at once.")
    streams_high: Number | None = Field(None, description="Most streams; none: open upwards.")


class InspectionEstimate(Record):
    """A row of the Suricata table."""

    host: str = Field(description="The firewall.")
    internet_bps: LinkSpeed = Field(description="Internet speed [bit/s].")
    says: str = Field(description="The promised performance, as written.")


class ModelClass(Record):
    """A row of the table of memory that models need."""

    size: str = Field(description="Class as written, such as '30-34B'.")
    parameters_low: ModelSize = Field(description="Fewest weights in it.")
    parameters_high: ModelSize = Field(description="Most weights in it.")
    quant: str = Field(description="Quantisation the table assumes.")
    vram_low_bytes: MemorySize = Field(description="Least memory as written [bytes].")
    vram_high_bytes: MemorySize | None = Field(
        None, description="Most; none: open upwards [bytes]."
    )
    suitable: str = Field(description="Suitable cards as written.")
    devices: tuple[str, ...] = Field((), description="The same as devices: 'host.device'.")
    needs_several: bool = Field(False, description="Said to need several cards.")


class PooledVram(Record):
    """What the design adds up from several cards."""

    devices: tuple[str, ...] = Field(description="The cards: 'host.device'.")
    claimed_bytes: MemorySize = Field(description="Sum as written [bytes].")
    by: str = Field(description="What is to join them.")
    claim: str = Field(description="What it is said to run.")


class Estimates(Record):
    """All of them, as keys of the lab's document."""

    link_budgets: tuple[LinkBudget, ...] = Field((), description="Bandwidth analysis.")
    codecs: tuple[CodecSupport, ...] = Field((), description="Transcoding capabilities.")
    transcoding: tuple[TranscodeEstimate, ...] = Field((), description="Transcoding performance.")
    inspection: tuple[InspectionEstimate, ...] = Field((), description="Suricata performance.")
    model_classes: tuple[ModelClass, ...] = Field((), description="Memory that models need.")
    pooled_vram: tuple[PooledVram, ...] = Field((), description="Memory added up over cards.")
