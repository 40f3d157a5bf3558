"""What runs on a machine as processes: of each service its own, and how much memory it holds.

A service that leaks holds more the longer it runs, until it is started anew.

Source: ps(1) of procps-ng; for k3s, docs.k3s.io, resource profiling.
"""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.unit import Unit

processes = Commands()

_MIB = 2**20
_HELD_BYTES = {"k3s": 768 * _MIB, "k3s-agent": 275 * _MIB}
_SMALL_BYTES = 12 * _MIB


def pid(unit: Unit) -> int:
    """The process that a service began; 0 for none."""
    runs = unit.active == "active" and not unit.oneshot and bool(unit.invocation)
    return 600 + int(unit.invocation[:4], 16) if runs else 0


def held_bytes(machine: Machine, unit: Unit) -> int:
    """How much memory a service's process holds [bytes]."""
    held = _HELD_BYTES.get(unit.name, _SMALL_BYTES)
    invocation, since_s, rate = machine.kept.get("leaks", {}).get(unit.name, ("", 0.0, 0.0))
    if invocation == unit.invocation:
        held += int((machine.now_s() - since_s) * rate)
    return min(held, machine.memory_bytes)


def leak(machine: Machine, name: str, bytes_per_s: float) -> None:
    """From now on a service holds more and more, as long as it runs."""
    invocation = machine.units[name].invocation
    machine.kept.setdefault("leaks", {})[name] = (invocation, machine.now_s(), bytes_per_s)


@processes("ps")
def ps(machine: Machine, call: Call) -> Reply:
    """What memory a process holds [KiB]: ``-o rss= -p PID``."""
    said = machine.said(*call.argv)
    if said is not None:
        return said
    words, options = operands(call, "-o -p")
    wanted = options.get("-p", "")
    if words or options.get("-o") != "rss=" or not wanted.isdecimal():
        return Reply(127, stderr="twin: its ps knows -o rss= -p PID alone\n")
    known = {pid(unit): unit for unit in machine.units.values()}
    unit = known.get(int(wanted)) if wanted != "0" else None
    if unit is None:
        return Reply(1)
    return Reply(0, f"{held_bytes(machine, unit) // 1024}\n")
