"""What a media server's container makes of the graphics it was given.

`vainfo` lists what the driver offers by profile and entry point; a transcode of a made-up film,
without a file on either side, tells how much of it there is. Both only look.

Sources: vainfo(1), libva's va.h; ffmpeg(1) with its VAAPI filters and encoders.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.reads import declare

PROGRAMS: Mapping[str, str] = {"jellyfin": "/usr/lib/jellyfin-ffmpeg"}
"""Where apps of the catalog keep `ffmpeg` and `vainfo`."""

_PROFILES = {
    "H.264": "VAProfileH264(?:Main|High)",
    "HEVC": "VAProfileHEVCMain",
    "VP9": "VAProfileVP9Profile0",
    "AV1": "VAProfileAV1Profile0",
}
_ENTRY = re.compile(r"^\s*(VAProfile\w+)\s*:\s*(VAEntrypoint\w+)", re.MULTILINE)
_SPEED = re.compile(r"speed=\s*([\d.]+)x")
_NODE = re.compile(r"/dev/dri/renderD\d+")
_SOURCE = "testsrc2=size={size}:rate=24:duration=20"
_SIZES = {"1080p": "1920x1080", "4K": "3840x2160"}
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Offered:
    """What a driver offers.

    Parameters
    ----------
    decodes, encodes
        Codecs.
    processes
        Whether it scales and maps tones, too.
    """

    decodes: frozenset[str]
    encodes: frozenset[str]
    processes: bool


def offered(host: Host, container: str, programs: str, node: str) -> Offered | None:
    """What the driver of a render node offers within a container; None where it offers nothing.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = _vainfo(container, programs, node)
    answer = host.read(*words, ok=None, sudo=True)
    if answer.exit_status:
        return None
    found = _ENTRY.findall(answer.stdout)
    if not found:
        raise answers.not_understood(host.name, " ".join(words), "it names no profile")
    return Offered(
        frozenset(_codecs(found, "VAEntrypointVLD")),
        frozenset(_codecs(found, "VAEntrypointEncSlice")),
        any(entry == "VAEntrypointVideoProc" for _, entry in found),
    )


def _codecs(found: Sequence[tuple[str, str]], begins: str) -> set[str]:
    profiles = [profile for profile, entry in found if entry.startswith(begins)]
    return {
        codec
        for codec, pattern in _PROFILES.items()
        if any(re.match(pattern, profile) for profile in profiles)
    }


def streams(host: Host, container: str, programs: str, node: str, size: str) -> float | None:
    """How many films of a size the card turns over at once in real time: made up, encoded as HEVC,
    read again and encoded as H.264 at 1080p. None where it can't."""
    words = _transcode(container, programs, node, size)
    answer = host.read(*words, ok=None, sudo=True, timeout_s=_TIMEOUT_S)
    speeds = _SPEED.findall(answer.stderr + answer.stdout)
    return float(speeds[-1]) if speeds and not answer.exit_status else None


def _vainfo(container: str, programs: str, node: str) -> tuple[str, ...]:
    words = (f"{programs}/vainfo", "--display", "drm", "--device", node)
    return ("docker", "exec", container, *words)


def _transcode(container: str, programs: str, node: str, size: str) -> tuple[str, ...]:
    ffmpeg = f"{programs}/ffmpeg -hide_banner -nostdin -vaapi_device {node}"
    script = (
        f"{ffmpeg} -v error -f lavfi -i {_SOURCE.format(size=_SIZES[size])} "
        "-vf format=nv12,hwupload -c:v hevc_vaapi -f matroska - | "
        f"{programs}/ffmpeg -hide_banner -v info -hwaccel vaapi -hwaccel_device {node} "
        "-hwaccel_output_format vaapi -i - -vf scale_vaapi=w=1920:h=1080:format=nv12 "
        "-c:v h264_vaapi -f null -"
    )
    return ("docker", "exec", container, "sh", "-c", script)


def _looks(words: Sequence[str]) -> bool:
    """Our own two looks into a container, word for word, and no others."""
    match words:
        case ["exec", container, *rest]:
            node = next(iter(_NODE.findall(" ".join(rest))), "")
            ours = [
                look[2:]
                for programs in PROGRAMS.values()
                for look in (
                    _vainfo(container, programs, node),
                    *(_transcode(container, programs, node, size) for size in _SIZES),
                )
            ]
            return not container.startswith("-") and tuple(words[1:]) in ours
    return False


declare("docker", _looks)
