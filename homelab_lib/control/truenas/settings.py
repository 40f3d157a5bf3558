"""Settings that a TrueNAS has one of: how it speaks SMB and NFS, sends mail, answers by iSCSI."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.truenas.midclt import call, changing
from homelab_lib.control.truenas.telling import telling
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret

_CONFIG: Shape = {str: object}


@dataclass(frozen=True)
class Settings:
    """Some settings of one of its services, as wanted; all others are left as they are.

    Parameters
    ----------
    host
        Where.
    service
        Whose settings: ``smb``, ``nfs``, ``mail``, ``iscsi.global``.
    wanted
        Values by name; a list in any order.
    secrets
        Passwords that go with them. Nobody can read one back, so they are sent when anything else
        is, and when TrueNAS has none.
    """

    host: str
    service: str
    wanted: Mapping[str, Any]
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"settings of {self.service}"

    def observe(self, host: Host) -> dict[str, Any]:
        secret = bool(self.secrets)
        found = call(host, f"{self.service}.config", shape=_CONFIG, secret_output=secret)
        told = {name: _settled(found.get(name)) for name in self.wanted}
        return told | {name: bool(found.get(name)) for name in self.secrets}

    def diff(self, observed: dict[str, Any]) -> Diff:
        differing = {
            name: value
            for name, value in self.wanted.items()
            if observed.get(name) != _settled(value)
        }
        untold = [name for name in self.secrets if not observed.get(name)]
        if not differing and not untold:
            return Diff()
        told = [f"{name} {json.dumps(observed.get(name))}" for name in differing]
        summary = f"set {', '.join([*differing, *untold])} of {self.service}"
        method = f"{self.service}.update"
        if self.secrets:
            sent = telling(method, differing, secrets=self.secrets)
        else:
            sent = changing(method, differing)
        old = {name: observed.get(name) for name in differing} | dict.fromkeys(untold, "")
        undo = changing(method, old).line
        return Diff((Change(summary, sent, replaces=", ".join(told), undo=undo),))


def _settled(value: Any) -> Any:
    return sorted(value) if isinstance(value, list | tuple) else value
