"""`iperf3`: what gets from here to a server that somebody runs elsewhere.

Source: iperf3(1); its ``--json`` as 3.18 prints it, of which only what sums it up.
"""

import json

from homelab_lib.models.ethernet import tcp_share
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import Usage

iperf = Commands()

PORT = 5201
_IPERF = Usage(
    "J c: p: t: P: json client: port: time: parallel: connect-timeout:", most=0, operand="word"
)


@iperf("iperf3")
def iperf3(machine: Machine, call: Call) -> Reply:
    """A client's run; a server is a listener of the machine that it is asked at."""
    if "iperf3" not in machine.packages:
        return Reply(127, stderr="sh: 1: iperf3: not found\n")
    given = _IPERF.of(call)
    asked = given.get("client") or given.get("c")
    if asked is None:
        return Reply(1, stderr="iperf3: parameter error - must either be a client (-c) or server\n")
    target = machine.world.resolve(machine, asked)
    why = machine.world.reach(machine, target, PORT) if target else "no such name"
    if why:
        said: dict[str, object] = {"start": {}, "intervals": [], "end": {}}
        text = (
            "error - unable to connect to server - server may have stopped running or use a "
            "different port, firewall issue, etc.: Connection refused"
        )
        return Reply(1, json.dumps(said | {"error": text}) + "\n", takes_s=3.0)
    bps = machine.world.carries_bps(machine, target) * tcp_share()
    ended = {"sum_sent": {"bits_per_second": bps}, "sum_received": {"bits_per_second": bps}}
    seconds = float(given.get("time") or given.get("t") or 10)
    return Reply(
        0, json.dumps({"start": {}, "intervals": [], "end": ended}) + "\n", takes_s=seconds
    )
