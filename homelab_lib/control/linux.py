"""Plain Linux: files, downloads, packages, services, kernel settings and modules."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

# Written beside its place, with its final owner and mode, and moved over it in one step: whoever
# reads it gets the old file or the new one, whatever is cut off when. `install` keeps the file to
# its owner until all of it is there.
_WRITE = (
    'set -e; d="${1%/*}"; '
    '[ -d "$d" ] || install -d -m 755 -o "${3%:*}" -g "${3#*:}" "$d"; umask 077; '
    'install -m "$2" -o "${3%:*}" -g "${3#*:}" /dev/stdin "$1.homelab-new"; '
    'sync "$1.homelab-new"; mv -fT "$1.homelab-new" "$1"'
)
_FETCH = (
    'set -e; d="${1%/*}"; [ -d "$d" ] || mkdir -p "$d"; umask 077; rm -f "$1.homelab-new"; '
    'curl -fsSL --retry 3 -o "$1.homelab-new" "$2"; echo "$3  $1.homelab-new" | sha256sum -c -; '
    'chmod "$4" "$1.homelab-new"; sync "$1.homelab-new"; mv -fT "$1.homelab-new" "$1"'
)


Facts = dict[str, str]


def look_at_file(host: Host, path: str) -> Facts | None:
    """Kind, mode, owners and digest of a file; None where there is nothing."""
    return look_at_files(host, [path])[0]


def look_at_files(host: Host, paths: Sequence[str]) -> list[Facts | None]:
    """The same of many files, by two commands for all of them."""
    form = r"%F|%a|%U|%G|%n\0"  # names may hold anything but a NUL
    shown = host.read("stat", "--printf", form, "--", *paths, ok=(0, 1), sudo=True)
    found: dict[str, Facts] = {}
    for line in shown.stdout.split("\0")[:-1]:
        kind, mode, user, group, path = line.split("|", 4)
        found[path] = {"kind": kind, "mode": mode, "owner": f"{user}:{group}", "sha256": ""}
    regular = [path for path, facts in found.items() if facts["kind"].startswith("regular")]
    if regular:
        # One that vanishes in between has no digest, and so is not as desired.
        summed = host.read("sha256sum", "-z", "--", *regular, ok=(0, 1), sudo=True)
        for line in summed.stdout.split("\0")[:-1]:
            digest, _, path = line.partition("  ")
            found[path]["sha256"] = digest
    return [found.get(path) for path in paths]


def read_file(host: Host, path: str, *, secret: bool = False) -> str:
    """The text of a file; empty where there is none."""
    shown = host.read("cat", "--", path, ok=(0, 1), sudo=True, secret_output=secret)
    return shown.stdout if shown.exit_status == 0 else ""


@dataclass(frozen=True)
class File:
    """A file with a given content.

    Parameters
    ----------
    host, path
        Where it is.
    content
        What is in it; a `Secret` goes there by standard input and is shown nowhere.
    mode, owner
        Permissions in octal, and ``user:group``.
    what
        What it is, for the plan; default: its path.
    """

    host: str
    path: str
    content: str | Secret
    mode: str = "644"
    owner: str = "root:root"
    what: str = ""
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"file {self.path}"

    def _sha256(self) -> str:
        text = self.content.reveal() if isinstance(self.content, Secret) else self.content
        return hashlib.sha256(text.encode()).hexdigest()

    def observe(self, host: Host) -> dict[str, Any] | None:
        return look_at_file(host, self.path)

    @staticmethod
    def observe_together(host: Host, files: Sequence["File"]) -> list[Any]:
        """All of them at once: what one of them changes does not concern the others."""
        return list(look_at_files(host, [file.path for file in files]))

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        wanted = {"mode": self.mode, "owner": self.owner, "sha256": self._sha256()}
        if observed is not None:
            if not observed["kind"].startswith("regular"):
                return Diff(conflict=f"{self.path} is a {observed['kind']}, and should be a file")
            if {key: observed[key] for key in wanted} == wanted:
                return Diff()
        verb = "write" if observed is None else "rewrite"
        command = change(
            "sh",
            "-c",
            _WRITE,
            "sh",
            self.path,
            self.mode,
            self.owner,
            stdin=self.content,
            sudo=True,
        )
        return Diff((Change(f"{verb} {self.what or self.path}", command),))


@dataclass(frozen=True)
class Download:
    """A file from the internet, with the digest that it must have.

    Parameters
    ----------
    host, path, url
        Where it goes, and where it is from.
    sha256
        Its digest; nothing else is put in place.
    mode
        Permissions in octal.
    what
        What it is, for the plan; default: its path.
    """

    host: str
    path: str
    url: str
    sha256: str
    mode: str = "644"
    what: str = ""
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"download {self.path}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        return look_at_file(host, self.path)

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is not None and not observed["kind"].startswith("regular"):
            return Diff(conflict=f"{self.path} is a {observed['kind']}, and should be a file")
        if observed is not None and (observed["sha256"], observed["mode"]) == (
            self.sha256,
            self.mode,
        ):
            return Diff()
        words = ("sh", "-c", _FETCH, "sh", self.path, self.url, self.sha256, self.mode)
        command = change(*words, sudo=True, timeout_s=self.timeout_s)
        return Diff((Change(f"download {self.what or self.path}, and check it", command),))


@dataclass(frozen=True)
class Packages:
    """Packages of the distribution that are installed, in whichever version it has."""

    host: str
    names: tuple[str, ...]
    timeout_s: float = 900.0

    @property
    def name(self) -> str:
        return f"packages {' '.join(self.names)}"

    def observe(self, host: Host) -> dict[str, str]:
        form = "${Package} ${db:Status-Status}\n"
        shown = host.read("dpkg-query", "-W", "-f", form, "--", *self.names, ok=(0, 1))
        pairs = dict(line.split(" ", 1) for line in shown.stdout.splitlines() if " " in line)
        return {name: pairs.get(name, "not-installed") for name in self.names}

    def diff(self, observed: dict[str, str]) -> Diff:
        missing = [name for name in self.names if observed[name] != "installed"]
        if not missing:
            return Diff()
        words = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", *missing)
        command = change(*words, sudo=True, timeout_s=self.timeout_s)
        return Diff((Change(f"install {', '.join(missing)}", command, detached=True),))


@dataclass(frozen=True)
class Service:
    """A systemd service that runs, and starts with the machine."""

    host: str
    unit: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"service {self.unit}"

    def observe(self, host: Host) -> dict[str, str]:
        return look_at_unit(host, self.unit)

    def diff(self, observed: dict[str, str]) -> Diff:
        if observed["LoadState"] == "not-found":
            return Diff(conflict=f"there is no service {self.unit}; which package has it?")
        if observed["ActiveState"] == "activating":
            return Diff(waiting=f"{self.unit} is starting")
        changes = []
        if observed["UnitFileState"] != "enabled":
            words = ("systemctl", "enable", self.unit)
            changes.append(Change(f"start {self.unit} with the machine", change(*words, sudo=True)))
        if observed["ActiveState"] != "active":
            words = ("systemctl", "start", self.unit)
            changes.append(Change(f"start {self.unit}", change(*words, sudo=True)))
        return Diff(tuple(changes))


def look_at_unit(host: Host, unit: str) -> dict[str, str]:
    """Whether a unit is there, runs, and is enabled, in systemd's words."""
    properties = ("LoadState", "ActiveState", "UnitFileState")
    words = [word for name in properties for word in ("-p", name)]
    shown = host.read("systemctl", "show", f"{unit}.service", *words)
    pairs = dict(line.partition("=")[::2] for line in shown.stdout.splitlines())
    return {name: pairs.get(name, "") for name in properties}


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting, now and after the next boot."""

    host: str
    key: str
    value: str
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"sysctl {self.key}"

    @property
    def _kept(self) -> File:
        path = f"/etc/sysctl.d/90-homelab-{self.key.replace('.', '-').replace('/', '-')}.conf"
        return File(self.host, path, f"{self.key} = {self.value}\n")

    def observe(self, host: Host) -> dict[str, Any]:
        shown = host.read("sysctl", "-n", self.key, ok=(0, 1, 255))
        now = " ".join(shown.stdout.split()) if shown.exit_status == 0 else None
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

    @property
    def name(self) -> str:
        return f"kernel module {self.module}"

    @property
    def _kept(self) -> File:
        return File(
            self.host, f"/etc/modules-load.d/homelab-{self.module}.conf", f"{self.module}\n"
        )

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
        return Diff((*kept.changes, Change(f"load {self.module}", command)))
