"""How a machine becomes a node: by which password the server knows it, and what keeps it out.

Source: docs.k3s.io, architecture (node registration); k3s-io/k3s#802, #6054.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.kubernetes.kubectl import KUBECTL
from homelab_lib.control.linux import look_at_file
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.transport.command import change

PASSWORD = "/etc/rancher/node/password"
_SPACE = "kube-system"
_LINES = "50"
_TOLD = re.compile(r'level=(?:info|warning|error|fatal) msg="(?P<what>(?:[^"\\]|\\.)*)"')
_WAITS = "Waiting to retrieve agent configuration; server is not ready: "
_REJECTED = "Node password rejected"


def known_by_password(host: Host) -> bool:
    """Whether a machine has been a node before: it has the password that it was known by then."""
    return look_at_file(host, PASSWORD) is not None


@dataclass(frozen=True)
class Forgotten:
    """A server that does not take a machine which was made anew for an impostor.

    It knows each node by a password that the node has kept since it first joined, in a Secret. Of
    a machine that has none any more the Secret has to go before it joins, or it never will.

    Parameters
    ----------
    host, node
        The server, and the node's name.
    returns
        Whether the machine has its password still: then nothing has to go.
    """

    host: str
    node: str
    returns: bool
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"Secret {_SPACE}/{self._secret} of before"

    @property
    def _secret(self) -> str:
        return f"{self.node}.node-password.k3s"

    def observe(self, host: Host) -> dict[str, bool]:
        if self.returns:
            return {"known": False}
        words = (*KUBECTL, "get", "secret", self._secret, "-n", _SPACE)
        found = host.read(*words, "--ignore-not-found", "-o", "name", sudo=True).stdout
        return {"known": bool(found.strip())}

    def diff(self, observed: dict[str, bool]) -> Diff:
        if not observed["known"]:
            return Diff()
        words = (*KUBECTL, "delete", "secret", self._secret, "-n", _SPACE, "--ignore-not-found")
        return Diff(
            (
                Change(
                    f"forget the {self.node} of before, which was made anew since",
                    change(*words, sudo=True),
                    destroys=(f"Secret {_SPACE}/{self._secret}",),
                    replaces=f"the password by which the server knew a {self.node} that is gone",
                    undo=f"{NOT_UNDONE}: nobody has that password any more",
                ),
            )
        )


@dataclass(frozen=True)
class LetIn:
    """A worker whose server has let it in: what keeps it out stands in its own journal alone.

    Parameters
    ----------
    host, server
        The worker, and the server that it joins.
    """

    host: str
    server: str
    timeout_s: float = 120.0

    @property
    def name(self) -> str:
        return f"{self.host} joins {self.server}"

    def observe(self, host: Host) -> dict[str, Any]:
        words = ("journalctl", "-u", "k3s-agent", "-n", _LINES, "-o", "cat", "-q", "--no-pager")
        said = [found["what"] for found in _TOLD.finditer(host.read(*words, sudo=True).stdout)]
        last = said[-1] if said else ""
        return {"kept_out_by": last.removeprefix(_WAITS) if last.startswith(_WAITS) else ""}

    def diff(self, observed: dict[str, Any]) -> Diff:
        why = observed["kept_out_by"]
        if why.startswith(_REJECTED):
            secret = f"{self.host}.node-password.k3s"
            return Diff(
                conflict=f"{self.server} takes {self.host} for an impostor: it knew a node of that "
                f"name by another password. If {self.host} was made anew or restored: k3s kubectl "
                f"delete secret {secret} -n {_SPACE} on {self.server}; if another machine has that "
                "name, give one of them another"
            )
        return Diff(waiting=f"{self.host} is not let in yet: {why}") if why else Diff()
