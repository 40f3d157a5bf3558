"""k3s on a machine, put there by its own installer."""

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from homelab_lib import answers
from homelab_lib.control import mark
from homelab_lib.control.linux import look_at_file, look_at_unit, read_file
from homelab_lib.control.linux.units import with_the_machine
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

BINARY = "/usr/local/bin/k3s"
CONFIG = "/etc/rancher/k3s/config.yaml"
INSTALLER = "/var/lib/homelab/k3s-install.sh"
KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
TOKEN = "/var/lib/rancher/k3s/server/token"
AGENT_TOKEN = "/etc/rancher/k3s/homelab-token"
_UNITS = {"server": "k3s", "agent": "k3s-agent"}


def configuration(lab: str, settings: dict[str, Any]) -> str:
    """A k3s configuration file; JSON values are YAML, and say plainly what is text."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
    first = f"# {mark.text(lab)}; changes made by hand are overwritten"
    return "\n".join([first, *lines]) + "\n"


def node_token(host: Host) -> Secret:
    """The server's own token, by which agents join; read when it is sent, and kept nowhere."""

    def fetch() -> str:
        shown = host.read("cat", "--", TOKEN, sudo=True, secret_output=True)
        return shown.stdout.strip() + "\n"

    return Secret(f"{host.name}:{TOKEN}", fetch)


@dataclass(frozen=True)
class Unclaimed:
    """A machine on which nobody else has installed Kubernetes. It is only looked at.

    Parameters
    ----------
    host, lab, role
        The machine, the lab it belongs to, and what k3s is to be on it.
    """

    host: str
    lab: str
    role: Literal["server", "agent"]
    timeout_s: float = 10.0

    @property
    def name(self) -> str:
        return f"no foreign k3s on {self.host}"

    def observe(self, host: Host) -> dict[str, Any]:
        config = read_file(host, CONFIG)
        other = "agent" if self.role == "server" else "server"
        return {
            "binary": look_at_file(host, BINARY) is not None,
            "config": bool(config),
            "ours": mark.marks(config.partition("\n")[0].lstrip("# "), self.lab),
            "other_role": look_at_unit(host, _UNITS[other])["LoadState"] == "loaded",
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["other_role"]:
            return Diff(conflict=f"{self.host} runs k3s in another role; take it out by hand first")
        if (observed["binary"] or observed["config"]) and not observed["ours"]:
            return Diff(
                conflict=f"{self.host} has a k3s that we did not install for lab {self.lab}; "
                f"uninstall it by hand, or take {self.host} out of the cluster in the lab. If it "
                f"is to be ours, write “# {mark.text(self.lab)}” as the first line of {CONFIG}"
            )
        return Diff()


@dataclass(frozen=True)
class K3sNode:
    """k3s of one version, running with one configuration.

    Parameters
    ----------
    host, role, version
        Where, as what, and which: ``v1.34.4+k3s1``.
    """

    looks_at: ClassVar[str] = "runs"
    host: str
    role: Literal["server", "agent"]
    version: str
    timeout_s: float = 600.0

    @property
    def name(self) -> str:
        return f"k3s {self.role} on {self.host}"

    def observe(self, host: Host) -> dict[str, Any]:
        if look_at_file(host, BINARY) is None:
            version = ""
        else:
            said = host.read(BINARY, "--version").stdout
            version = [*said.split(), "", "", ""][2]
            if not version:  # what can't be read is not "not installed"
                why = f"expected is `k3s version v1…`: {host.cut(said, 100)!r}"
                raise answers.not_understood(host.name, f"{BINARY} --version", why)
        return {"version": version} | look_at_unit(host, _UNITS[self.role])

    def diff(self, observed: dict[str, Any]) -> Diff:
        unit = _UNITS[self.role]
        if observed["version"] and not is_version(observed["version"]):
            return Diff(
                conflict=f"{self.host} has a k3s whose version is no release's: "
                f"{observed['version']!r}; put a release there by hand"
            )
        if observed["version"] and version_order(observed["version"]) > version_order(self.version):
            return Diff(
                conflict=f"{self.host} has k3s {observed['version']}, newer than {self.version}; "
                "k3s can't go back: put the newer version into the lab"
            )
        if observed["version"] != self.version or observed["LoadState"] == "not-found":
            words = ("env", f"INSTALL_K3S_VERSION={self.version}", "sh", INSTALLER, self.role)
            verb = "install" if not observed["version"] else "upgrade to"
            call = change(*words, sudo=True, timeout_s=self.timeout_s)
            undo = (
                f"{BINARY.rpartition('/')[0]}/{unit}-uninstall.sh (first see that no NFS mount is "
                "under /var/lib/kubelet)"
            )
            if observed["version"]:
                undo = f"{NOT_UNDONE}: k3s does not go back to what it was"
            return Diff(
                (
                    Change(
                        f"{verb} k3s {self.version} as {self.role}",
                        call,
                        replaces=f"k3s {observed['version']}" if observed["version"] else "",
                        undo=undo,
                        detached=True,
                    ),
                )
            )
        if observed["ActiveState"] == "activating":
            return Diff(waiting=f"{unit} is starting")
        changes = []
        if observed["UnitFileState"] != "enabled":
            changes.append(with_the_machine(unit))
        if observed["ActiveState"] != "active":
            command = change("systemctl", "start", unit, sudo=True, timeout_s=300)
            undo = f"systemctl stop {unit}"
            changes.append(Change(f"start {unit}", command, detached=True, undo=undo))
        return Diff(tuple(changes))


_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+k3s(\d+))?")


def is_version(version: str) -> bool:
    """Whether it is one that can be compared."""
    return _VERSION.fullmatch(version) is not None


def version_order(version: str) -> tuple[Any, ...]:
    """``v1.34.4+k3s1`` as something that can be compared; a candidate is below its release.

    Raises
    ------
    ValueError
        It is no version of k3s.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"no version of k3s: {version!r}")
    major, minor, patch, candidate, build = found.groups()
    words = re.findall(r"\d+|[A-Za-z]+", candidate or "")
    # As semantic versions have it: a number is below a word, and no candidate is above any.
    parts = tuple((0, int(word), "") if word.isdigit() else (1, 0, word) for word in words)
    return int(major), int(minor), int(patch), not candidate, parts, int(build or 0)
