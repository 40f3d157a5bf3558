"""The shipped lab, with its appliances in other releases than it has."""

import shutil
from pathlib import Path

from homelab_lib import paths

SHIPPED = ("25.10.1", "26.7", "9.1")
"""TrueNAS, OPNsense, Proxmox VE."""
RELEASES = (SHIPPED, ("25.04.2", "26.1", "9.2"), ("26.0.0-BETA.3", "26.7", "9.2"))
"""Each release of each; what is carried out on one does not hang on the release of another."""
_WRITTEN = (
    'os: {{kind: truenas, version: "{}"}}',
    'os: {{kind: opnsense, version: "{}"}}',
    'os: {{kind: proxmox, version: "{}", node: pve}}',
)


def lab_of(folder: Path, releases: tuple[str, ...]) -> Path:
    """A folder with the shipped lab in other releases."""
    shutil.copytree(paths.data(), folder, ignore=shutil.ignore_patterns("examples"))
    hosts = folder / "hosts.yaml"
    text = hosts.read_text()
    for written, shipped, wanted in zip(_WRITTEN, SHIPPED, releases, strict=True):
        assert text.count(written.format(shipped)) == 1
        text = text.replace(written.format(shipped), written.format(wanted))
    hosts.write_text(text)
    return folder
