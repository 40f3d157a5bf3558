"""`ping`: whether an address answers, and to packets of what size.

Source: ping(8); what iputils 20221126 prints. A packet larger than the own interface takes is an
error of one's own; one that is larger than the other end takes is lost without a word.
"""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.usage import Usage

pinging = Commands()

_PING = Usage(
    "4 6 A D L O R U a b d f h n q r v V B c: i: I: l: m: M: p: Q: s: S: t: T: w: W:",
    least=1,
    most=1,
    operand="destination",
    status=2,
)
_HEADERS_BYTES = 28  # of IPv4 and ICMP
_USUAL_BYTES = 56
_REFUSED = 2  # exit status for what can't be tried


@pinging("ping")
def ping(machine: Machine, call: Call) -> Reply:
    """Whether an address answers."""
    given = _PING.of(call)
    target = machine.world.resolve(machine, given.words[0])
    if not target:
        name = given.words[0]
        return Reply(_REFUSED, stderr=f"ping: {name}: Name or service not known\n")
    size = int(given.get("s") or _USUAL_BYTES)
    count = int(given.get("c") or 3)
    wait_s = float(given.get("W") or 10)
    packet = size + _HEADERS_BYTES
    head = f"PING {given.words[0]} ({target}) {size}({packet}) bytes of data.\n"
    own, through = machine.world.packets(machine, target)
    why = machine.world.reach(machine, target, 0)
    if "route" in why and not why.startswith("nobody"):
        return Reply(_REFUSED, stderr="ping: connect: Network is unreachable\n")
    if given.get("M") == "do" and packet > own:
        error = f"ping: local error: message too long, mtu={own}\n" * count
        return Reply(1, head + _ended(target, count, 0, f", +{count} errors"), error, takes_s=count)
    if why or min(packet, own) > through:
        return Reply(1, head + _ended(target, count, 0, ""), takes_s=count - 1 + wait_s)
    lines = "".join(
        f"{size + 8} bytes from {target}: icmp_seq={number} ttl=64 time=0.300 ms\n"
        for number in range(1, count + 1)
    )
    shown = "" if "q" in given else lines
    return Reply(0, head + shown + _ended(target, count, count, ""), takes_s=count - 1.0)


def _ended(target: str, sent: int, came: int, errors: str) -> str:
    lost = 100 * (sent - came) // sent
    text = f"\n--- {target} ping statistics ---\n{sent} packets transmitted, {came} received"
    text += f"{errors}, {lost}% packet loss, time {max(sent - 1, 0) * 1000}ms\n"
    return text + ("rtt min/avg/max/mdev = 0.300/0.300/0.300/0.000 ms\n" if came else "\n")
