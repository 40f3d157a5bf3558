"""Settings and modules of the kernel, now and after the next boot."""

from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.linux.files import File
from homelab_lib.control.linux.looking import ENGLISH, all_absent
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting, now and after the next boot."""

    host: str
    key: str
    value: str
    timeout_s: float = 30.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"sysctl {self.key}"

    @property
    def _kept(self) -> File:
        path = f"/etc/sysctl.d/90-homelab-{self.key.replace('.', '-').replace('/', '-')}.conf"
        return File(self.host, path, f"{self.key} = {self.value}\n", lab=self.lab)

    def observe(self, host: Host) -> dict[str, Any]:
        shown = host.read(*ENGLISH, "sysctl", "-n", self.key, ok=(0, 1, 255), sudo=True)
        now = " ".join(shown.stdout.split()) if shown.exit_status == 0 else None
        if now is None:
            all_absent(host, shown, "sysctl", [self.key])
        return {"now": now, "kept": self._kept.observe(host)}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["now"] is None:
            return Diff(conflict=f"this kernel has no setting {self.key}")
        kept = self._kept.diff(observed["kept"])
        if kept.conflict or observed["now"] == " ".join(self.value.split()):
            return kept
        command = change("sysctl", "-w", f"{self.key}={self.value}", sudo=True)
        undo = f"sysctl -w {self.key}={observed['now']}"
        return Diff((*kept.changes, Change(f"set {self.key} to {self.value}", command, undo=undo)))


@dataclass(frozen=True)
class KernelModule:
    """A kernel module that is loaded, now and after the next boot."""

    host: str
    module: str
    timeout_s: float = 30.0
    lab: str = field(kw_only=True)

    @property
    def name(self) -> str:
        return f"kernel module {self.module}"

    @property
    def _kept(self) -> File:
        path = f"/etc/modules-load.d/homelab-{self.module}.conf"
        return File(self.host, path, f"{self.module}\n", lab=self.lab)

    def observe(self, host: Host) -> dict[str, Any]:
        listed = host.read("lsmod").stdout.splitlines()[1:]
        loaded = {line.split()[0] for line in listed if line.strip()}
        return {
            "loaded": self.module.replace("-", "_") in loaded,
            "kept": self._kept.observe(host),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        kept = self._kept.diff(observed["kept"])
        if kept.conflict or observed["loaded"]:
            return kept
        command = change("modprobe", "--", self.module, sudo=True)
        undo = f"modprobe -r {self.module}"
        return Diff((*kept.changes, Change(f"load {self.module}", command, undo=undo)))
