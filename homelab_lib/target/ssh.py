"""The real hosts of a lab, as `ssh` would reach them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.runbook.clock import WallClock
from homelab_lib.runbook.plan import PlannedHost
from homelab_lib.seal import Seal
from homelab_lib.secret import Secret, resolve
from homelab_lib.target.login_keys import operator_key
from homelab_lib.target.logins import endpoints, resolve_login, vouched
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.hostkeys import HostKey, check, keys_for, pin
from homelab_lib.transport.identities import public_half
from homelab_lib.transport.request import Request


def left_alone(lab: Lab) -> list[str]:
    """The hosts that nothing is ever changed on."""
    return [name for name, host in lab.hosts.items() if host.standalone]


class SshTarget:
    """The hosts of the lab, reached as `ssh` would reach them.

    Parameters
    ----------
    lab
        The lab; a machine's name in it is its name in the SSH configuration, too.
    ssh_config
        The configuration to use; empty for ``~/.ssh/config`` and the machine's.
    allow_changes
        False refuses every change before it is sent.
    """

    name = "ssh"

    def __init__(self, lab: Lab, ssh_config: str, *, allow_changes: bool) -> None:
        self.lab = lab
        self.clock = WallClock()
        config = Path(ssh_config).expanduser() if ssh_config else None
        if config is not None and not config.exists():
            raise BadParameter("there is no such ssh_config", where=str(config))
        self._config = config
        self._pins = paths.pins(lab.name, config)
        self.seal = Seal(paths.state(lab.name))
        self._endpoints = endpoints(lab, config)
        self.link = Fleet(
            self._endpoints,
            allow_changes=allow_changes,
            known_hosts=[self._pins],
            certificates=vouched(lab, config),
            left_alone=left_alone(lab),
            sleep=self.clock.sleep,
        )

    @property
    def evidence(self) -> str:
        """``measured``, unless what answers says that it is a twin."""
        return "rehearsed" if self.link.says_it_is_a_twin() else "measured"

    @property
    def logins(self) -> dict[str, str]:
        """Who has said how each host is logged into: `ssh` itself, or our reading."""
        return {name: endpoint.settled_by for name, endpoint in self._endpoints.items()}

    def hosts(self) -> tuple[PlannedHost, ...]:
        """Whom a run would meet: where, as whom, and by which keys they are known."""
        return tuple(
            PlannedHost(
                name,
                endpoint.address,
                endpoint.port,
                endpoint.user,
                ", ".join(
                    sorted(
                        f"CA {key.fingerprint}" if key.authority else key.fingerprint
                        for key in self._known(endpoint)
                    )
                ),
            )
            for name, endpoint in sorted(self._endpoints.items())
        )

    def _known(self, endpoint: Endpoint) -> list[HostKey]:
        files = [*map(Path, endpoint.known_hosts_files), self._pins]
        return [key for key in keys_for(endpoint, files) if not key.revoked]

    def trust(self, name: str, key: str, made: bool) -> None:
        """Take a host key that was learnt on a trusted way.

        Parameters
        ----------
        name, key
            The machine, and its key.
        made
            Whether this very run made the machine: then the key is pinned. Else it has to be the
            one that is known.

        Raises
        ------
        HostKeyRefused
            It is another one, or nobody has vouched for the machine.
        """
        endpoint = self._endpoints[name]
        if made:
            pin(self._pins, endpoint, key)
            return
        known = self._known(endpoint)
        if not known or not all(each.authority for each in known):  # else its certificate tells
            files = [*map(Path, endpoint.known_hosts_files), self._pins]
            check(endpoint, HostKey.parse(key), files)

    def locate(self, name: str, address: str) -> None:
        """Reach a machine at the address that DHCP has given it, unless the SSH configuration says
        where it is. Its key stays filed under its name."""
        endpoint = self._endpoints[name]
        if endpoint.address == name:
            found = resolve_login(name, self.lab.machines()[name], self._config, address)
            self.link.add(replace(found, host_key_alias=endpoint.key_name))

    def secret(self, reference: str) -> Secret:
        """The secret behind a reference."""
        return resolve(reference)

    def public_key(self, name: str) -> str:
        """The key we will come with: the public half of the identity for `name`, or the lab's."""
        files = self._endpoints[name].identity_files if name in self._endpoints else ()
        halves = map(public_half, files)
        return next(filter(None, halves), None) or operator_key(self.lab)

    def close(self) -> None:
        self.link.close()

    def meet(self, names: Iterable[str]) -> None:
        """See that the HTTPS services of hosts are whom somebody has vouched for, without telling
        them anything: better before a plan is approved than in the middle of it.

        Raises
        ------
        CertificateRefused
            One is not, or nobody has.
        """
        for name in names:
            host = self.lab.hosts.get(name)
            if host is not None and host.api is not None and host.os.kind == "opnsense":
                path = "/api/core/firmware/running"
                self.link.run(name, Request("opnsense", "GET", path, "read", port=host.api.port))
