"""How large ZFS may let its cache grow, now and after the next boot.

Sources: Administration Guide, "Limit ZFS Memory Usage"; zfs(4): a limit of `zfs_arc_min` or less is
passed over, and that is a thirty-second of the memory unless somebody says otherwise. With the root
on ZFS the module is loaded from the initramfs, which has its own copy of the settings.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux import File, read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

SETTINGS = "/etc/modprobe.d/zfs.conf"
LIMIT = "/sys/module/zfs/parameters/zfs_arc_max"
_OPTION = re.compile(r"\bzfs_arc_max=\S+")
_LEAST_SHARE = 32


@dataclass(frozen=True)
class ArcLimit:
    """The limit of ZFS's cache.

    Parameters
    ----------
    host
        The machine.
    limit_bytes
        What it may grow to [bytes].
    memory_bytes
        What the machine has [bytes].
    """

    host: str
    limit_bytes: int
    memory_bytes: int
    timeout_s: float = 300.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return "limit of ZFS's cache"

    def observe(self, host: Host) -> dict[str, Any]:
        """The limit that counts now, the settings for the next boot, and what the root is on."""
        settings = read_file(host, SETTINGS)
        return {
            "now": read_file(host, LIMIT).strip(),
            "settings": settings,
            "kept": self._kept(settings).observe(host),
            "root": host.read("findmnt", "-n", "-o", "FSTYPE", "/").stdout.strip(),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["now"]:
            return Diff(conflict=f"{self.host} has no ZFS loaded: there is no {LIMIT}")
        if self.limit_bytes <= self.memory_bytes // _LEAST_SHARE:
            least = self.memory_bytes // _LEAST_SHARE / 2**30
            return Diff(
                conflict=f"{self.limit_bytes / 2**30:.1f} GiB for ZFS's cache is not above its "
                f"least of {least:.1f} GiB, so it would be passed over: promise VMs less memory"
            )
        kept = self._kept(observed["settings"]).diff(observed["kept"])
        if kept.conflict or (kept.clean and observed["now"] == str(self.limit_bytes)):
            return kept
        # What counts now is set last: as long as it is another, all of this is done again.
        changes = list(kept.changes)
        if observed["root"] == "zfs":
            words = ("update-initramfs", "-u", "-k", "all")
            call = change(*words, sudo=True, timeout_s=self.timeout_s)
            undo = f"the file of before, and {' '.join(words)} again"
            summary = "have the next boot know of it"
            changes.append(Change(summary, call, detached=True, undo=undo))
        write = f'echo "$1" > {LIMIT}'
        changes.append(
            Change(
                f"let ZFS's cache grow to {self.limit_bytes / 2**30:.1f} GiB",
                change("sh", "-c", write, "sh", str(self.limit_bytes), sudo=True),
                replaces=f"{LIMIT}: {observed['now']}",
                undo=f"echo {observed['now']} > {LIMIT}",
            )
        )
        return Diff(tuple(changes))

    def _kept(self, settings: str) -> File:
        """The settings as they are to be: one option of them is ours, the rest stays."""
        wanted = f"zfs_arc_max={self.limit_bytes}"
        text, count = _OPTION.subn(wanted, settings)
        if not count:
            text = f"{settings}options zfs {wanted}\n"
        what = "ZFS's settings for the next boot"
        return File(self.host, SETTINGS, text, what=what, adopt=True, lab=self.lab)
