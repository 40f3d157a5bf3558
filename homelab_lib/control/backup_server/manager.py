"""A Proxmox Backup Server through its own programs, which ask its API as root.

`proxmox-backup-manager` lists and sets up; what its jobs came to the API alone says, which
`proxmox-backup-debug api get` asks. Both print JSON where they are told to.

Sources: proxmox-backup 3.2.4, src/bin/proxmox-backup-manager.rs and proxmox_backup_debug/api.rs;
the parameters are those of the API schema of 4.
"""

import re
import shlex
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Command, change, read

PROGRAM = "proxmox-backup-manager"
_JSON = ("--output-format", "json")
_FINGERPRINT = re.compile(r"^Fingerprint \(sha256\): ((?:[0-9a-f]{2}:){31}[0-9a-f]{2})$", re.M)


def listed(host: Host, *words: str, shape: Shape) -> Any:
    """What `proxmox-backup-manager` lists.

    Parameters
    ----------
    words
        ``datastore list``, say.
    shape
        What is read from it; see `answers`.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    line = (PROGRAM, *words, *_JSON)
    said = host.json(*line, sudo=True)
    return answers.expected(said, shape, host=host.name, line=read(*line).line)


def asked(host: Host, path: str, *, shape: Shape) -> Any:
    """What its API says at `path`.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    line = ("proxmox-backup-debug", "api", "get", path, *_JSON)
    said = host.json(*line, sudo=True)
    return answers.expected(said, shape, host=host.name, line=read(*line).line)


def changing(*words: str, timeout_s: float = 60.0) -> Command:
    """A call that changes something."""
    return change(PROGRAM, *words, sudo=True, timeout_s=timeout_s)


def before(what: str, name: str, values: dict[str, str]) -> str:
    """The line by which a thing gets back the values that it had; those that it had not go.

    Parameters
    ----------
    what, name
        ``datastore``, ``prune-job``; and its name.
    values
        What they were before; empty: not set.
    """
    words = [PROGRAM, what, "update", name]
    for key, value in sorted(values.items()):
        words += (f"--{key}", value) if value else ("--delete", key)
    return shlex.join(words)


def fingerprint(host: Host) -> str:
    """SHA-256 of its certificate, in small letters.

    Raises
    ------
    NotUnderstood
        It says none.
    """
    line = (PROGRAM, "cert", "info")
    found = _FINGERPRINT.search(host.read(*line, sudo=True).stdout)
    if found is None:
        raise answers.not_understood(host.name, " ".join(line), "expected a fingerprint")
    return found[1]
