"""llama.cpp's RPC server: it offers a machine's cards to a server elsewhere.

Sources: llama.cpp tools/rpc/rpc-server.cpp, ggml/src/ggml-rpc; outputs of a build that ran;
systemd.resource-control(5), ``IPAddressAllow=``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from homelab_lib.twin.machine.graphics_drivers import total_bytes
from homelab_lib.twin.machine.llama_programs import (
    Device,
    Ends,
    Process,
    free_bytes,
    give_back,
    protocol_of,
    unit_of,
    vulkan,
    was_there,
)
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.surroundings import FROM, Answer, NetError

rpc_programs = Commands()

_MIB = 2**20


class Client(Protocol):
    """A server that uses what is offered here."""

    @property
    def alive(self) -> bool: ...


@dataclass
class Worker:
    """An RPC server.

    Parameters
    ----------
    machine, address, port, protocol
        Where it listens, and what it speaks.
    devices
        What it offers.
    admits
        The addresses whose packets get through to it; None for all.
    """

    machine: Machine
    address: str
    port: int
    protocol: str
    devices: list[Device]
    admits: tuple[str, ...] | None
    process: Process | None = None
    client: Client | None = None
    waiting: list[str] = field(default_factory=list)  # its words that are in no journal yet

    def begins(self) -> None:
        """What it says, for the time being to itself: into a pipe it writes in blocks."""
        taken = self.machine.http.get(self.port) not in (None, self)
        if taken or self.address not in [each.address for each in self.machine.interfaces]:
            raise Ends("Failed to create server socket\n" + self._said())
        self.waiting = self._said().splitlines()

    def _said(self) -> str:
        rows = "".join(
            f"  {each.name}: {each.part.title} ({total_bytes(each.part) // _MIB} MiB, "
            f"{free_bytes(self.machine, each) // _MIB} MiB free)\n"
            for each in self.devices
        )
        return (
            f"Starting RPC server v{self.protocol}\n  endpoint       : {self.address}:{self.port}\n"
            f"  local cache    : n/a\nDevices:\n{rows}  transport      : TCP\n"
        )

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive()

    def connected(self) -> None:
        """Somebody has: what it has said is in the journal from then on."""
        assert self.process is not None
        said = [*self.waiting, "Accepted client connection"]
        self.waiting = []
        self.machine.log(self.process.unit.invocation, "\n".join(said))

    def lets_in(self, source: str) -> bool:
        """Whether packets from an address get through to it."""
        return self.admits is None or source in self.admits

    def __call__(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What a web client gets of it."""
        if not self.lets_in(headers.get(FROM, "")):
            text = f"Failed to connect to {self.address} port {self.port} after 4000 ms"
            raise NetError(28, f"{text}: Timeout was reached", takes_s=4.0)
        if self.client is not None and self.client.alive:
            raise NetError(28, "Operation timed out after 8001 milliseconds with 0 bytes received",
                           takes_s=8.0)  # fmt: skip
        self.connected()
        raise NetError(56, "Recv failure: Connection reset by peer")


@rpc_programs("ggml-rpc-server")
def rpc_server(machine: Machine, call: Call) -> Reply:
    """An RPC server, run by systemd."""
    unit = unit_of(machine, call)
    _, given = operands(call, "-H -p -d")
    if unit is None:
        return Reply(1, stderr="twin: its ggml-rpc-server is a service alone\n")
    devices = {each.name: each for each in vulkan(machine, call.env)}
    wanted = given.get("-d", "").split(",")
    missing = [name for name in wanted if name not in devices]
    admits = re.findall(r"^IPAddressAllow=(.+)$", unit.source, re.MULTILINE)
    denies = "IPAddressDeny=any" in unit.source.splitlines()
    worker = Worker(
        machine,
        given.get("-H", "127.0.0.1"),
        int(given.get("-p", "50052")),
        protocol_of(machine, call),
        [devices[name] for name in wanted if name in devices],
        tuple(admits) if denies else None,
    )

    def begins() -> None:
        if missing:
            raise Ends(f"error: unknown device: {missing[0]}\navailable devices:\nNo devices found")
        worker.begins()

    worker.process = Process(machine, unit, begins, lambda: _freed(worker))
    before = machine.http.get(worker.port)
    if isinstance(before, Worker) and before.process and before.process.unit is unit:
        before.process.stop()
        before = None
    if before is None or not machine.listeners[worker.port]():
        machine.http[worker.port] = worker
        machine.listeners[worker.port] = lambda: worker.alive
    if was_there(machine, unit):
        worker.process.goes_on()
    else:
        worker.process.start()
    return Reply()


def _freed(worker: Worker) -> None:
    """What it had for others is free."""
    for device in worker.devices:
        give_back(worker.machine, device)
