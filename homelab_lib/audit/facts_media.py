"""Streams and packets as facts: what was promised, and what it asks of engines, links and cores."""

from dataclasses import dataclass

from homelab_lib.lab import Lab
from homelab_lib.models import inspection, transcode
from homelab_lib.wiring.pcie_link import carries, link_of

FILM = {
    "1080p": transcode.Stream("hevc", "h264", transcode.PIXELS["1080p"],
                              transcode.PIXELS["1080p"], 24.0, 10e6, 8e6),
    "4K": transcode.Stream("hevc", "h264", transcode.PIXELS["4K"],
                           transcode.PIXELS["1080p"], 24.0, 60e6, 8e6),
}  # fmt: skip
"""A film as families have them: HEVC on the disk, H.264 at 1080p on the screen."""


@dataclass(frozen=True)
class StreamFacts:
    """A promised number of streams, and what it takes.

    Parameters
    ----------
    device, scenario, says
        As written.
    streams
        The least that was promised.
    engines
        Independent video engines; one where the catalog is silent.
    pixels_per_s
        What each engine has to turn over [1/s].
    link_bps, raw_bps
        What crosses the card's link: compressed video, or every raw frame [bit/s].
    """

    device: str
    scenario: str
    says: str
    streams: float
    engines: int
    pixels_per_s: float
    link_bps: float
    raw_bps: float


def stream_facts(lab: Lab) -> list[StreamFacts]:
    """What each promised number of streams asks of engine and link."""
    found = []
    for row in lab.transcoding:
        film = next(
            (FILM[size] for size in FILM if size.casefold() in row.scenario.casefold()), None
        )
        if film is None or not row.streams_low:
            continue
        host, _, name = row.device.partition(".")
        device = lab.hosts[host].devices.get(name)
        engines = (getattr(device.part, "media_engines", None) if device else None) or 1
        found.append(
            StreamFacts(
                row.device, row.scenario, row.says, row.streams_low, engines,
                row.streams_low * film.source_pixels * film.frames_per_second / engines,
                row.streams_low * transcode.bus_need_bps(film),
                row.streams_low * transcode.bus_need_bps(film, frames_on_card=False),
            )
        )  # fmt: skip
    return found


def card_link_bps(lab: Lab, device: str) -> float | None:
    """What the PCI Express link of ``host.device`` is sure to carry [bit/s]; None: not known."""
    host_name, _, name = device.partition(".")
    host = lab.hosts[host_name]
    link = link_of(host, host.devices[name]) if name in host.devices else None
    payload = carries(link) if link else None
    return payload.lower * 1e9 if payload else None


def inspection_bounds(
    lab: Lab, host: str, rules: int, *, inline: bool = True
) -> tuple[inspection.Bound, dict[str, float]]:
    """What a firewall passes with so many rules, and the ports on the way.

    The way in is the fastest port without an address, the way out the one that has the lab's
    networks behind it.

    Raises
    ------
    ValueError
        The host has no ports, or its processor is not described.
    """
    machine = lab.hosts[host]
    if machine.threads is None:
        raise ValueError(f"the processor of {host} is not described")
    inner = {n: float(max(p.speeds_bps)) for n, p in machine.ports.items() if p.address}
    outer = {n: float(max(p.speeds_bps)) for n, p in machine.ports.items() if not p.address}
    ways = dict(inner)
    if outer:
        best = max(outer, key=lambda name: outer[name])
        ways[best] = outer[best]
    rate = inspection.bps_per_thread(rules=rules, inline=inline)
    return inspection.inspection_bound(machine.threads, ways, thread_bps=rate), ways


def codec_faults(lab: Lab) -> list[tuple[str, str, str, str]]:
    """Each promised codec beside what the catalog says: device, codec, promise, catalog."""
    found: list[tuple[str, str, str, str]] = []
    for row in lab.codecs:
        host, _, name = row.device.partition(".")
        device = lab.hosts[host].devices.get(name)
        part = device.part if device else lab.hosts[host].cpu
        ways = (
            ("decode", row.decode, getattr(part, "decodes", ())),
            ("encode", row.encode, getattr(part, "encodes", ())),
        )
        said = [way for way, promised, _ in ways if promised]
        known = [way for way, _, able in ways if row.codec in able]
        found.append((row.device, row.codec, " and ".join(said), " and ".join(known) or "neither"))
    return found
