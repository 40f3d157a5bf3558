"""All hosts of a run: one connection each, and the promise that a plan sends no change."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from homelab_lib.errors import BadParameter, HomelabError, Refused
from homelab_lib.transport import many
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.library import paramiko
from homelab_lib.transport.many import Outcome
from homelab_lib.transport.request import Request
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
    certificates
        Files that hold the certificates of the hosts' HTTPS services; see `certificates`.
    left_alone
        Hosts that are only looked at, whatever a run may change elsewhere.
    sleep
        Waits [s] between attempts to come back to a host.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        allow_changes: bool,
        known_hosts: Sequence[Path] = (),
        certificates: Sequence[Path] = (),
        left_alone: Collection[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.allow_changes = allow_changes
        self._endpoints = dict(endpoints)
        self._known_hosts = list(known_hosts)
        self._certificates = list(certificates)
        self._left_alone = frozenset(left_alone)
        self._sleep = sleep
        self._connections: dict[Endpoint, Connection] = {}
        self._lock = threading.RLock()

    def run(self, host: str, call: Call) -> Result:
        """Send a command or a request to a host, and wait for its end.

        Raises
        ------
        Refused
            It is a change, and this run may change nothing; nothing was sent.
        HomelabError
            As `Connection.run` and `https.send`.
        """
        self._permit(host, call)
        connection = self._connection(self._endpoint(host))
        if isinstance(call, Request):
            return self._ask(connection, call)
        return connection.run(call)

    def run_many(self, host: str, calls: Sequence[Call]) -> list[Outcome]:
        """Send several calls to a host in as few round trips as it takes, in order.

        A change that fails, and any call without an answer, ends it: what comes later may stand
        on it. A read that ends with another status than 0 ends nothing.

        Returns
        -------
        list
            For each call a `Result`; `OutcomeUnknown` where it was sent and no answer came;
            `NotSent` where it was not run; or the error that it met.

        Raises
        ------
        Refused
            One of them is a change, and this run may change nothing; none was sent.
        HomelabError
            As `run`, and nothing that changes was sent.
        """
        for call in calls:
            self._permit(host, call)
        connection = self._connection(self._endpoint(host))
        return many.run_many(connection, calls, lambda request: self._ask(connection, request))

    def _ask(self, connection: Connection, request: Request) -> Result:
        from homelab_lib.transport import https  # who has no requests need not load it

        return https.send(connection, request, self._certificates)

    def run_all(self, calls: Mapping[str, Call]) -> dict[str, Result | HomelabError]:
        """Send one call to each host, side by side; an error takes the place of a result.

        Raises
        ------
        Refused
            One of them is a change, and this run may change nothing; none was sent.
        """
        for host, call in calls.items():
            self._permit(host, call)

        def attempt(host: str) -> Result | HomelabError:
            try:
                return self.run(host, calls[host])
            except HomelabError as error:
                return error

        with ThreadPoolExecutor(max(len(calls), 1)) as pool:
            return dict(zip(calls, pool.map(attempt, calls), strict=True))

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

    def _permit(self, host: str, call: Call) -> None:
        if call.kind == "change" and host in self._left_alone:
            raise Refused(
                f"not sent, since {host} is kept apart and is only looked at: {call.line}",
                where=host,
                fix=f"do it there by hand; or take `standalone` from hosts.{host}, if it is ours",
            )
        if call.kind == "change" and not self.allow_changes:
            raise Refused(
                f"not sent, since this run may change nothing: {call.line}",
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
