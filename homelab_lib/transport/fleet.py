"""All hosts of a run: one connection each, and the promise that a plan sends no change."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko

from homelab_lib.errors import BadParameter, HomelabError, Refused
from homelab_lib.transport.command import Command, Result
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.ssh import Connection

TWIN = "homelab_twin"  # in the version by which a twin's SSH server gives itself away


class Fleet:
    """The hosts a run may talk to. Threads may share it.

    Parameters
    ----------
    endpoints
        Where each host is reached.
    allow_changes
        False refuses every change before anything is sent, whoever asks.
    known_hosts
        Files that hold host keys, besides those of the endpoints.
    sleep
        Waits [s] between attempts to come back to a host.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        allow_changes: bool,
        known_hosts: Sequence[Path] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.allow_changes = allow_changes
        self._endpoints = dict(endpoints)
        self._known_hosts = list(known_hosts)
        self._sleep = sleep
        self._connections: dict[Endpoint, Connection] = {}
        self._lock = threading.RLock()

    def run(self, host: str, command: Command) -> Result:
        """Run a command on a host.

        Raises
        ------
        Refused
            It is a change, and this run may change nothing; nothing was sent.
        HomelabError
            As `Connection.run`.
        """
        self._permit(host, command)
        return self._connection(self._endpoint(host)).run(command)

    def run_many(self, host: str, commands: Sequence[Command]) -> list[Result | HomelabError]:
        """Run several commands on a host, in order; after one that fails none is sent."""
        results: list[Result | HomelabError] = []
        for command in commands:
            results.append(self.run(host, command))
        return results

    def run_all(self, commands: Mapping[str, Command]) -> dict[str, Result | HomelabError]:
        """Run one command on each host, side by side; an error takes the place of a result.

        Raises
        ------
        Refused
            One of them is a change, and this run may change nothing; none was sent.
        """
        for host, command in commands.items():
            self._permit(host, command)

        def attempt(host: str) -> Result | HomelabError:
            try:
                return self.run(host, commands[host])
            except HomelabError as error:
                return error

        with ThreadPoolExecutor(max(len(commands), 1)) as pool:
            return dict(zip(commands, pool.map(attempt, commands), strict=True))

    def tunnel(self, host: str, address: str, port: int) -> paramiko.Channel:
        """A connection to `address`:`port` as `host` sees it, as something like a socket."""
        return self._connection(self._endpoint(host)).tunnel(address, port)

    def reconnect(self, host: str) -> None:
        """Log in anew: shows that a change to the network has left the way open."""
        self._connection(self._endpoint(host)).reconnect()

    def add(self, endpoint: Endpoint) -> None:
        """Take in one more host, or another way to one we have."""
        with self._lock:
            self._endpoints[endpoint.name] = endpoint

    def says_it_is_a_twin(self) -> bool:
        """Whether any host that we have talked to gives itself away as a twin."""
        with self._lock:
            return any(TWIN in link.server_version for link in self._connections.values())

    def close(self) -> None:
        """Let go of every connection."""
        with self._lock:
            for connection in self._connections.values():
                connection.close()

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _permit(self, host: str, command: Command) -> None:
        if command.kind == "change" and not self.allow_changes:
            raise Refused(
                f"not sent, since this run may change nothing: {command.line}",
                where=host,
                fix="mode=apply carries out changes",
            )

    def _endpoint(self, host: str) -> Endpoint:
        with self._lock:
            if host not in self._endpoints:
                raise BadParameter(
                    f"there is no way to a host called {host!r}",
                    fix=f"known are: {', '.join(sorted(self._endpoints)) or 'none'}",
                )
            return self._endpoints[host]

    def _connection(self, endpoint: Endpoint) -> Connection:
        with self._lock:
            if endpoint not in self._connections:
                jump = endpoint.proxy_jump
                self._connections[endpoint] = Connection(
                    endpoint,
                    self._known_hosts,
                    via=self._connection(jump) if jump else None,
                    sleep=self._sleep,
                )
            return self._connections[endpoint]
