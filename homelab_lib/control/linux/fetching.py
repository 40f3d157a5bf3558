"""What fetches files on a machine: curl, or wget where there is none."""

from homelab_lib.runbook.resource import Host

PATIENCE_S = 60
"""How long is waited beyond what the program is given, for digests and the disk [s]."""


def can_fetch(host: Host) -> bool:
    """Whether one of them is there."""
    # GNU's `which` ends with how many are nowhere, Debian's with 1 where any is.
    return bool(host.read("which", "curl", "wget", ok=(0, 1, 2)).stdout.strip())


def nothing_fetches(host: str, path: str) -> str:
    """What to say where none of them is there."""
    return (
        f"{host} has neither curl nor wget to fetch {path}; install one there, such as with: "
        "apt-get install curl"
    )
