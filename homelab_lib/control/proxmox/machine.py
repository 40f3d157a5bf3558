"""VMs on a Proxmox node."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from homelab_lib.control import mark
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.made_guest import MadeGuest, gib
from homelab_lib.transport.command import Command, change

_FIRMWARE = ("bios", "machine")
"""Compared even where nothing is said of them: a guest that was installed under another firmware
or chipset does not start, or finds its network card under another name."""


@dataclass(frozen=True)
class VirtualMachine(MadeGuest):
    """A VM made from an image or with an installer in its drive, that runs.

    Parameters
    ----------
    host, lab, node, vmid, vm_name
        Where it is, the lab it belongs to, and how it is called.
    options
        Options of `qm create` without its disks, in order: ``("cores", "4")`` …
    keys_file, public_keys
        The file on the host with the login keys, and what is in it; both empty for a VM that
        cloud-init does not set up.
    storage, image
        Where its first disk is, and the volume it is made from; empty for an empty disk.
    disk_bytes
        Size of its first disk [bytes].
    drives
        Further disks: Proxmox's name, storage, and size [bytes].
    whole_disks
        Disks of the node that it gets as they are: Proxmox's name of the drive, the path that names
        the disk by its serial number, and that number, which the guest is to see, too.
    cdroms
        What is in its CD drives when it is made, by drive. It is not looked at later: whoever has
        installed from it takes it out.
    """

    kind: ClassVar[str] = "qemu"
    tool: ClassVar[str] = "qm"
    name_key: ClassVar[str] = "name"
    first_disk: ClassVar[str] = "scsi0"
    not_edited: ClassVar[str] = (
        "an edit here would give cloud-init another instance, with new host keys"
    )

    host: str
    lab: str
    node: str
    vmid: int
    vm_name: str
    options: tuple[tuple[str, str], ...]
    keys_file: str
    public_keys: str
    storage: str
    image: str
    disk_bytes: int
    drives: tuple[tuple[str, str, int], ...] = ()
    cdroms: tuple[tuple[str, str], ...] = ()
    whole_disks: tuple[tuple[str, str, str], ...] = ()
    timeout_s: float = 900.0

    @property
    def guest_name(self) -> str:
        return self.vm_name

    @property
    def _create(self) -> Command:
        words = [word for key, value in self.options for word in (f"--{key}", value)]
        if self.keys_file:
            words += ["--sshkeys", self.keys_file]
        first = f"0,import-from={self.image}" if self.image else str(gib(self.disk_bytes))
        words += ["--scsi0", f"{self.storage}:{first}{_disk_options('scsi0')}"]
        for drive, storage, size_bytes in self.drives:
            words += [f"--{drive}", f"{storage}:{gib(size_bytes)}{_disk_options(drive)}"]
        for drive, path, serial in self.whole_disks:
            # What is on it is the guest's own affair: a backup of the VM would not hold it.
            words += [f"--{drive}", f"{path},backup=0,serial={serial}"]
        if self.keys_file:
            words += ["--ide2", f"{self.storage}:cloudinit"]
        for drive, volume in self.cdroms:
            words += [f"--{drive}", f"{volume},media=cdrom"]
        # From the disk where there is a system on it, and else from the installer.
        order = ["scsi0", *(drive for drive, _ in self.cdroms[:1] if not self.image)]
        return change(
            *("qm", "create", str(self.vmid)),
            *("--name", self.vm_name),
            *words,
            *("--boot", f"order={';'.join(order)}"),
            *("--tags", f"{mark.TAG};{mark.tag(self.lab)}"),
            *("--protection", "1"),
            sudo=True,
            timeout_s=self.timeout_s,
        )

    @property
    def _clear(self) -> Command:
        return change("qm", "destroy", str(self.vmid), "--skiplock", "1", sudo=True)

    def _from(self) -> str:
        if not self.image:
            return "with its installer in the drive"
        return "from the cloud image" if self.keys_file else "from its image"

    def _sizes(self) -> Iterator[tuple[str, int]]:
        yield self.first_disk, self.disk_bytes
        for drive, _, wanted_bytes in self.drives:
            yield drive, wanted_bytes

    def _wrong(self, observed: dict[str, Any]) -> list[str]:
        """What of its configuration is not as wanted."""
        config: Mapping[str, Any] = observed["config"]
        wanted: dict[str, str | None] = dict.fromkeys(_FIRMWARE)
        wanted |= dict(self.options)
        if any(key.startswith("hostpci") for key in config):
            del wanted["onboot"]  # of one with a card that is set when the card has proved itself
        wrong = [
            f"{key} is {config.get(key)!r}, and should be {value or 'as Proxmox has it'!r}"
            for key, value in wanted.items()
            if opts.differs(key, config.get(key), value)
        ]
        wrong += [f"{drive} is missing" for drive, _, _ in self.drives if drive not in config]
        for drive, path, _ in self.whole_disks:
            if str(config.get(drive, "")).partition(",")[0].removeprefix("file=") != path:
                wrong.append(f"{drive} is {config.get(drive)!r}, and should be {path}")
        keys = opts.login_keys(str(config.get("sshkeys", "")))
        return wrong + ["its login keys are others"] * (keys != self.public_keys.split())


def _disk_options(drive: str) -> str:
    threaded = re.match("scsi|virtio", drive)
    return ",discard=on,iothread=1" if threaded else ",discard=on"
