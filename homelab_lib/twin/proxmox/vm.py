"""A VM as Proxmox keeps it: its configuration, and what is told of it."""

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.twin.proxmox.archives import Inside
from homelab_lib.twin.proxmox.guest import Guest
from homelab_lib.twin.proxmox.schema import flag, split_properties
from homelab_lib.twin.proxmox.storage import parse_size

_QUIET = ("cpu", "diskread", "diskwrite", "mem", "memhost", "netin", "netout")
_PRESSURES = tuple(
    f"pressure{of}{how}" for of in ("cpu", "io", "memory") for how in ("some", "full")
)


@dataclass
class VirtualMachine:
    """A VM.

    Parameters
    ----------
    vmid, config
        Its number, and its options as they are stored.
    running
        Whether it is switched on.
    booted
        Digest of the image that its disk was made from.
    guest
        What runs in it, or has.
    started
        The configuration that it runs with.
    firmware
        What its system was installed under; empty: nothing is installed yet.
    inside
        What is on its disks while no guest has run on them here.
    told, changed_s
        What the last broadcast said of it, and since when that is not so any more.
    since_s
        When it was switched on.
    unseen
        Whether the real one was off when its node was asked: what is on its disks nobody knows.
    """

    vmid: int
    config: dict[str, str]
    running: bool = False
    booted: str = ""
    guest: Guest | None = None
    started: dict[str, str] = field(default_factory=dict)
    firmware: str = ""
    inside: Inside = field(default_factory=Inside)
    told: dict[str, Any] = field(default_factory=dict)
    changed_s: float = -math.inf
    since_s: float = 0.0
    unseen: bool = False

    @property
    def memory_bytes(self) -> int:
        """What it may use [bytes]."""
        return _memory_bytes(self.config)

    @property
    def held_bytes(self) -> int:
        """What it keeps from others just now [bytes]."""
        return _memory_bytes(self.started) if self.running else 0

    @property
    def cores(self) -> int:
        """How many virtual processors it has."""
        count = int(self.config.get("cores", 1)) * int(self.config.get("sockets", 1))
        return int(self.config.get("vcpus", count))

    @property
    def agent(self) -> bool:
        """Whether it is said to have a guest agent."""
        return flag(split_properties(self.config.get("agent", "0"), "enabled").get("enabled"))

    def row(self, now_s: float) -> dict[str, Any]:
        """What the node itself says of it."""
        found: dict[str, Any] = {
            "vmid": self.vmid,
            "name": self.config.get("name", f"VM {self.vmid}"),
            "status": "running" if self.running else "stopped",
            "cpus": self.cores,
            "maxmem": self.memory_bytes,
            "maxdisk": self._first_disk_bytes(),
            "disk": 0,
            "uptime": int(now_s - self.since_s) if self.running else 0,
        } | dict.fromkeys(_QUIET, 0)
        if self.running:
            found |= {"pid": 10_000 + self.vmid, "mem": self.held_bytes, "memhost": self.held_bytes}
            found |= dict.fromkeys(_PRESSURES, 0)
        if any(re.fullmatch(r"serial\d", key) for key in self.config):
            found["serial"] = 1
        return found | self.live

    def summary(self, now_s: float) -> dict[str, Any]:
        """What the node broadcasts of it."""
        row = self.row(now_s)
        kept = ("name", "status", "maxmem", "maxdisk", "disk", "uptime", *_QUIET)
        template = int(flag(self.config.get("template")))
        return {key: row[key] for key in kept} | {"maxcpu": self.cores, "template": template}

    @property
    def live(self) -> dict[str, Any]:
        """What is never old."""
        kept = {key: self.config[key] for key in ("tags", "lock") if key in self.config}
        return kept | ({"template": 1} if flag(self.config.get("template")) else {})

    def _first_disk_bytes(self) -> int:
        order = split_properties(self.config.get("boot", ""), "legacy").get("order", "")
        for drive in (*order.split(";"), "scsi0", "virtio0", "sata0", "ide0"):
            size = split_properties(self.config.get(drive, ""), "file").get("size")
            if size and "media=cdrom" not in self.config[drive]:
                return parse_size(size)
        return 0


def _memory_bytes(config: dict[str, str]) -> int:
    return int(split_properties(config.get("memory", "512"), "current")["current"]) * 2**20


def digest_of(config: dict[str, str]) -> str:
    """By which the API tells one configuration of a guest from another."""
    text = json.dumps(config, sort_keys=True)
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
