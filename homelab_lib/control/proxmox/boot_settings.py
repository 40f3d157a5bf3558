"""What a node's kernel is told when it starts, so that cards are kept for VMs.

Options go on the kernel's command line, in the file of whichever boot loader is in use; they are
added, and never is one taken away. Cards whose driver would not let go of them are kept by
vfio-pci from the start: it is loaded before that driver, and told their numbers. Both count after a
restart, which comes last, into a kernel that is pinned: the one that runs.

Sources: Administration Guide, "Editing the Kernel Commandline" and "PCI(e) Passthrough"; vfio-pci's
``disable_idle_d3`` keeps AMD's cards from a sleep that some don't wake from.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux import File, read_file
from homelab_lib.control.proxmox.api import CONFIG, api
from homelab_lib.control.proxmox.boot_loader import boot_loader, kernels, lacking_room
from homelab_lib.control.proxmox.nics import running_kernel
from homelab_lib.control.proxmox.pci import HELD, functions
from homelab_lib.errors import Unreachable
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import Command, change

SETTINGS = "/etc/modprobe.d/homelab-vfio.conf"
_CMDLINE = "/etc/kernel/cmdline"
_GRUB = "/etc/default/grub.d/homelab.cfg"
_DONE = "/var/lib/homelab/boot-settings"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_REMEMBER = f"mkdir -p /var/lib/homelab && cat {_BOOT_ID} > {_DONE}"
_GROUPS = "which devices share an IOMMU group shows only once the IOMMU is on"
_LISTED: Shape = [{"vmid": whole, "name?": str, "template?": (int, bool, str)}]


@dataclass(frozen=True)
class BootSettings:
    """What a node's kernel is told when it starts, in force.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    options
        Of the kernel's command line: ``intel_iommu=on``.
    ids
        Maker and device of the functions that vfio-pci keeps: ``1002:744c``.
    before
        Drivers that would take them, and have to come later.
    lab
        The lab whose settings these are.
    """

    host: str
    node: str
    options: tuple[str, ...]
    ids: tuple[str, ...]
    before: tuple[str, ...]
    timeout_s: float = 1800.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"settings of the kernel of {self.node}"

    # ------------------------------------------------------------------ observe

    def observe(self, host: Host) -> dict[str, Any]:
        """What is written, what is in force, and what a restart would mean."""
        try:
            return self._observe(host)
        except Unreachable as error:
            if self._restart.line not in host.sent(self.name):
                raise
            raise Unreachable(
                f"{error.what}, after the restart with other settings of the kernel",
                where=error.where,
                fix="go to its console. Does the boot menu come? Take the pinned kernel there. If "
                f"it hangs after that, press e and take {' '.join(self.options) or 'vfio'} off "
                f"its command line; once it is up, remove {SETTINGS} and run update-initramfs -u "
                "-k all. If it is up and does not answer, look at `ip addr`: a network card may "
                "have another name. Then run the same command again",
            ) from None

    def _observe(self, host: Host) -> dict[str, Any]:
        loader = boot_loader(host)
        there = kernels(host)
        files = self._files(host, loader.kinds)
        seen = {file.path: file.observe(host) for file in files}
        done, now = (read_file(host, path).strip() for path in (_DONE, _BOOT_ID))
        wanted = [each for each in functions(host, self.node) if each.id in self.ids]
        command_line = read_file(host, "/proc/cmdline").split()
        return {
            "loader": list(loader.kinds),
            "skipped": list(loader.skipped),
            "command_line": read_file(host, _CMDLINE),
            "files": seen,
            "done": "" if not done else "now" if done == now else "before",
            "lacks_options": [each for each in self.options if each not in command_line],
            "not_held": [str(each) for each in wanted if each.driver not in ("", HELD)],
            "runs": running_kernel(host),
            "pinned": there.pinned,
            "lacks_room": lacking_room(host, loader, there),
            "guests": self._guests(host),
        }

    def _guests(self, host: Host) -> list[str]:
        """The VMs and containers of the node, and what becomes of each when it restarts."""
        told = []
        for kind, called in (("qemu", "name"), ("lxc", "hostname")):
            for row in api(host, f"/nodes/{self.node}/{kind}", shape=_LISTED):
                if row.get("template"):
                    continue
                path = f"/nodes/{self.node}/{kind}/{row['vmid']}/config"
                config = api(host, path, shape=CONFIG)
                stays = str(config.get("onboot", "0")) != "1"
                back = ", which stays off afterwards" if stays else ""
                told.append(f"{config.get(called, row['vmid'])} ({row['vmid']}){back}")
        return sorted(told)

    def _files(self, host: Host, kinds: Sequence[str]) -> list[File]:
        return self._wanted_files(kinds, read_file(host, _CMDLINE))

    def _wanted_files(self, kinds: Sequence[str], command_line: str) -> list[File]:
        files = []
        if self.options and "systemd-boot" in kinds:
            text = with_options(command_line, self.options)
            what = "the kernel's command line"
            files.append(File(self.host, _CMDLINE, text, what=what, adopt=True, lab=self.lab))
        if self.options and "grub" in kinds:
            line = f'"$GRUB_CMDLINE_LINUX_DEFAULT {" ".join(self.options)}"'
            text = f"GRUB_CMDLINE_LINUX_DEFAULT={line}\n"
            what = "options for the kernel's command line, beside those of GRUB"
            files.append(File(self.host, _GRUB, text, what=what, lab=self.lab))
        if self.ids:
            files.append(
                File(self.host, SETTINGS, self._vfio, what="what vfio-pci keeps", lab=self.lab)
            )
        return files

    @property
    def _vfio(self) -> str:
        lines = [f"options vfio-pci ids={','.join(self.ids)} disable_idle_d3=1"]
        lines += [f"softdep {module} pre: vfio-pci" for module in self.before]
        return "".join(f"{line}\n" for line in lines)

    # --------------------------------------------------------------------- diff

    def diff(self, observed: dict[str, Any]) -> Diff:
        files = self._wanted_files(observed["loader"], observed["command_line"])
        kept = [file.diff(observed["files"][file.path]) for file in files]
        written = all(each.clean for each in kept) and bool(observed["done"])
        in_force = not (observed["lacks_options"] or observed["not_held"])
        if written and in_force:
            return Diff()
        conflict = self._conflict(observed, kept, files)
        if conflict:
            return Diff(conflict=conflict)
        changes = [] if written else self._writing(observed, kept)
        if in_force:
            return Diff(tuple(changes))
        if written and observed["done"] == "before":
            what = [f"{each} is not on its command line" for each in observed["lacks_options"]]
            what += [f"{HELD} does not keep {each}" for each in observed["not_held"]]
            return Diff(
                conflict=f"{self.host} was restarted with these settings, and they are not in "
                f"force: {'; '.join(what)}. Look at `journalctl -k -b | grep -i vfio` there, and "
                "whether it started from the boot loader that was written to"
            )
        return Diff((*self._pinning(observed), *changes, self._restarting(observed)))

    def _conflict(
        self, observed: dict[str, Any], kept: Sequence[Diff], files: Sequence[File]
    ) -> str:
        if observed["skipped"]:
            which = ", ".join(observed["skipped"])
            return (
                f"proxmox-boot-tool can't get at the EFI partition {which}, from which the old "
                "kernel and settings would start: replace the disk, or run proxmox-boot-tool clean"
            )
        if observed["lacks_room"]:
            return (
                f"there is no room for new initial file systems: "
                f"{'; '.join(observed['lacks_room'])}. Remove kernels that are not needed "
                "(apt autoremove), then run the same command again"
            )
        empty = any(file.path == _CMDLINE for file in files)
        if empty and not re.search(r"\broot=", observed["command_line"]):
            return f"{_CMDLINE} names no root: write the options of /proc/cmdline there first"
        return next((each.conflict for each in kept if each.conflict), "")

    def _writing(self, observed: dict[str, Any], kept: Sequence[Diff]) -> list[Change]:
        """The files, and what takes them up. That all of it was done is written last: until then
        it is done again."""
        changes = []
        if observed["done"]:
            forget = change("rm", "-f", _DONE, sudo=True)
            undo = f"{NOTHING_TO_UNDO}: a note of ours, which is written again at the end"
            summary = "remember that the settings are being changed"
            changes.append(Change(summary, forget, undo=undo))
        changes += [each for diff in kept for each in diff.changes]
        if self.options and "systemd-boot" in observed["loader"]:
            what = "have the boot partitions take the command line"
            changes.append(self._taking(what, "proxmox-boot-tool", "refresh"))
        if self.options and "grub" in observed["loader"]:
            what = "have GRUB take the command line"
            changes.append(self._taking(what, "update-grub"))
        if self.ids:
            what = "have vfio-pci loaded early"
            changes.append(self._taking(what, "update-initramfs", "-u", "-k", "all"))
        done = change("sh", "-c", _REMEMBER, sudo=True)
        summary = "remember in which boot that was done"
        return [*changes, Change(summary, done, undo=f"rm {_DONE}")]

    def _taking(self, summary: str, *words: str) -> Change:
        """What has the next boot go by the files."""
        undo = f"the files of before, and {' '.join(words)} again"
        return Change(summary, self._slow(*words), detached=True, undo=undo)

    def _slow(self, *words: str) -> Command:
        return change(*words, sudo=True, timeout_s=300.0)

    def _pinning(self, observed: dict[str, Any]) -> list[Change]:
        """The kernel that runs is the one that is started, whatever happens on the way."""
        if observed["pinned"] == observed["runs"]:
            return []
        return [
            Change(
                f"pin kernel {observed['runs']}, which is known to start",
                self._slow("proxmox-boot-tool", "kernel", "pin", observed["runs"]),
                replaces=f"pinned: {observed['pinned'] or 'none, so the newest starts'}",
                undo="proxmox-boot-tool kernel unpin",
                detached=True,
            )
        ]

    def _restarting(self, observed: dict[str, Any]) -> Change:
        guests = "; ".join(observed["guests"]) or "none"
        return Change(
            f"restart {self.host}",
            self._restart,
            replaces=f"guests that are shut down for it: {guests}",
            undo="at the console: take the pinned kernel, and press e to edit its options",
            starts=self.host,
            unseen=_GROUPS if observed["lacks_options"] else "",
        )

    @property
    def _restart(self) -> Command:
        return change("systemctl", "reboot", sudo=True)


def with_options(command_line: str, options: Sequence[str]) -> str:
    """A kernel's command line with options added at its end, where it has not got them."""
    there = command_line.split()
    return " ".join([*there, *(each for each in options if each not in there)]) + "\n"
