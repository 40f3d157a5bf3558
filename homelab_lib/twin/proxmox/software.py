"""What software a node may have: Proxmox's packages, and modules built beside its kernels.

Source: repositories of Proxmox VE 8 and 9; dkms(8).
"""

from collections.abc import Iterable
from typing import Any

_KERNELS = ("proxmox-kernel-6.14", "proxmox-kernel-6.17", "proxmox-default-headers")
_HEADERS = "proxmox-headers-"


def is_proxmoxs(package: str) -> bool:
    """Whether Proxmox's own sources have a package, as far as anybody here asks for it."""
    return package in _KERNELS or package.startswith(_HEADERS)


def switched_on(files: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of Proxmox's sources that are switched on."""
    sources = [source for file in files for source in file["repositories"]]
    on = [source for source in sources if str(source["Enabled"]) in ("1", "True")]
    return [source for source in on if "/debian/pve" in source["URIs"][0]]


def read_at(source: dict[str, Any]) -> str:
    """Where apt keeps what it has read of a package source."""
    place = str(source["URIs"][0]).partition("://")[2].replace("/", "_")
    return f"/var/lib/apt/lists/{place}_dists_{source['Suites'][0]}_InRelease"


def built_apart(packages: Iterable[str]) -> dict[str, set[str]]:
    """Modules that DKMS builds, each for the kernels whose headers are installed."""
    names = list(packages)
    kernels = {name.removeprefix(_HEADERS) for name in names if name.startswith(_HEADERS)}
    modules = (name.removesuffix("-dkms") for name in names if name.endswith("-dkms"))
    return {name.rpartition("-")[2]: kernels for name in modules}
