"""`docker exec` into an app's container, as far as anybody looks at graphics there.

Source: docker(1); vainfo of libva-utils 2.22; ffmpeg(1). How fast a card is, nobody has measured:
it turns over as many films as the lab hopes for.
"""

import re
import shlex

from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.platforms import CpuPart
from homelab_lib.twin.machine.bus import SMALL_WINDOW_BYTES
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.tables import Row

containers = Commands()

_PROFILES = {
    "H.264": ("VAProfileH264Main", "VAProfileH264High"),
    "HEVC": ("VAProfileHEVCMain", "VAProfileHEVCMain10"),
    "VP9": ("VAProfileVP9Profile0", "VAProfileVP9Profile2"),
    "AV1": ("VAProfileAV1Profile0",),
}
_DENIED = "permission denied while trying to connect to the Docker daemon socket\n"
_BUS_ERROR = 135
_SIZES = {"1920x1080": "1080p", "3840x2160": "4K"}


@containers("docker")
def docker(nas: TrueNas, call: Call) -> Reply:
    """Run a program in a container: the two that tell of graphics."""
    match call.argv[1:]:
        case ["exec", name, *words] if words:
            pass
        case _:
            return Reply(127, stderr="twin: its docker knows exec alone\n")
    if call.user != "root":
        return Reply(1, stderr=_DENIED)
    app = _running(nas, name)
    if app is None:
        return Reply(1, stderr=f"Error response from daemon: No such container: {name}\n")
    text = shlex.join(words)
    node = next(iter(re.findall(r"/dev/dri/renderD\d+", text)), "")
    card = _card(nas, app, node)
    if words[0].endswith("/vainfo"):
        return _vainfo(nas, card, node)
    if words[:2] == ["sh", "-c"] and "/ffmpeg " in words[2]:
        return _ffmpeg(nas, card, words[2])
    return Reply(127, stderr=f"OCI runtime exec failed: exec: {words[0]!r}: not found\n")


def _running(nas: TrueNas, container: str) -> Row | None:
    for app in nas.apps:
        main = nas.containers_of(app["name"])
        if app["state"] == "RUNNING" and container == f"ix-{app['name']}-{main}-1":
            return app
    return None


def _card(nas: TrueNas, app: Row, node: str) -> str:
    """The lab's name of the graphics behind a node that the app was given; empty for none."""
    values = nas.app_values.get(app["name"], {})
    given = values.get("resources", {}).get("gpus", {}).get("use_all_gpus")
    return nas.render_nodes.get(node, "") if given else ""


def _part(nas: TrueNas, card: str) -> GpuPart | CpuPart | None:
    host = nas.world.lab.hosts.get(nas.name)
    if host is None:
        return None  # a VM: what is passed through to it is nobody's to compute on here
    if card == "cpu":
        return host.cpu
    part = host.devices[card].part if card in host.devices else None
    return part if isinstance(part, GpuPart) else None


def _vainfo(nas: TrueNas, card: str, node: str) -> Reply:
    part = _part(nas, card)
    if part is None:
        return Reply(2, stderr=f"Failed to open the given device! {node}\n")
    window = next((f.window_bytes for f in nas.bus if f.name == card), 0)
    if isinstance(part, GpuPart) and part.needs_resizable_bar and window <= SMALL_WINDOW_BYTES:
        return Reply(_BUS_ERROR, stderr="Bus error (core dumped)\n")
    rows = [("VAProfileNone", "VAEntrypointVideoProc")]
    for codecs, entry in (
        (part.decodes, "VAEntrypointVLD"),
        (part.encodes, "VAEntrypointEncSliceLP"),
    ):
        rows += [(profile, entry) for codec in codecs for profile in _PROFILES.get(codec, ())]
    listed = "".join(f"      {profile:<32}: {entry}\n" for profile, entry in sorted(rows))
    head = "vainfo: VA-API version: 1.22 (libva 2.22.0)\nvainfo: Driver version: Intel iHD driver "
    head += "for Intel(R) Gen Graphics - 25.2.6\nvainfo: Supported profile and entrypoints\n"
    return Reply(0, head + listed)


def _ffmpeg(nas: TrueNas, card: str, script: str) -> Reply:
    part = _part(nas, card)
    if part is None or not {"H.264", "HEVC"} <= set(part.encodes):
        return Reply(1, stderr="Error while opening encoder\nConversion failed!\n")
    size = next((name for pixels, name in _SIZES.items() if pixels in script), "")
    hoped = [
        row.streams_low
        for row in nas.world.lab.transcoding
        if row.device == f"{nas.name}.{card}" and size in row.scenario and row.streams_low
    ]
    speed = hoped[0] if hoped else 1.0
    last = f"frame=  480 fps={speed * 24:.0f} q=-0.0 Lsize=N/A time=00:00:20.00 bitrate=N/A "
    return Reply(0, stderr=f"{last}speed={speed:.2f}x\n", takes_s=20.0 / speed)
