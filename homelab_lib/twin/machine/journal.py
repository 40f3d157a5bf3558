"""`journalctl`: what services and the system have written.

Source: journalctl(1), systemd.journal-fields(7).
"""

import json
from datetime import UTC, datetime
from typing import Any

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Usage, misused

journal = Commands()

_JOURNALCTL = Usage(
    "u,unit: o,output: n,lines: q,quiet no-pager b? k,dmesg r,reverse a,all p,priority: "
    "t,identifier: S,since: U,until: utc output-fields: x e f,follow"
)
_FORMS = ("short", "short-iso", "cat", "json", "json-pretty")
_INFO = "6"


@journal("journalctl")
def journalctl(machine: Machine, call: Call) -> Reply:
    """The journal, of one invocation, of units, or all of it."""
    given = _JOURNALCTL.of(call)
    form = given.get("o") or "short"
    if form not in _FORMS:
        return fails(call, f"Unknown output '{form}'.")
    wanted = {w.partition("=")[2] for w in given.words if w.startswith("_SYSTEMD_INVOCATION_ID=")}
    if odd := [w for w in given.words if not w.startswith("_SYSTEMD_INVOCATION_ID=")]:
        return Reply(1, stderr=f"Failed to add match '{odd[0]}': Invalid argument\n")
    for option, name in given.all:
        if option == "u":
            unit = machine.units.get(name.removesuffix(".service"))
            wanted.add(unit.invocation if unit else "-")
    lines = [line for line in machine.journal if not wanted or line[0] in wanted]
    if "k" in given:
        lines = [line for line in lines if line[0] == "kernel"]
    count = given.get("n")
    if count is not None and not (count.isdigit() or count == "all"):
        raise misused(call, f"Failed to parse lines '{count}'")
    if count and count.isdigit():
        lines = lines[len(lines) - int(count) :] if int(count) < len(lines) else lines
    if "r" in given:
        lines = lines[::-1]
    if not lines:
        return Reply(0, "" if "q" in given else "-- No entries --\n")
    names = {unit.invocation: unit.name for unit in machine.units.values() if unit.invocation}
    return Reply(0, "".join(_shown(machine, line, names, form) for line in lines))


def _shown(machine: Machine, line: tuple[str, str], names: dict[str, str], form: str) -> str:
    invocation, text = line
    if form == "cat":
        return f"{text}\n"
    name = names.get(invocation, "")
    now = machine.world.clock.now()
    if form.startswith("json"):
        entry = _entry(machine, invocation, text, name, now)
        return json.dumps(entry, indent=8 if form == "json-pretty" else None) + "\n"
    stamp = "%Y-%m-%dT%H:%M:%S+0000" if form == "short-iso" else "%b %d %H:%M:%S"
    moment = datetime.fromtimestamp(now, UTC).strftime(stamp)
    return f"{moment} {machine.name} {name or 'systemd'}[{_pid(name)}]: {text}\n"


def _pid(name: str) -> int:
    return 1000 + sum(name.encode()) if name else 1


def _entry(machine: Machine, invocation: str, text: str, name: str, now: float) -> dict[str, Any]:
    """An entry with its fields, all of them text; what is no UTF-8 as the numbers of its bytes."""
    raw = text.encode(errors="surrogateescape")
    try:
        message: str | list[int] = raw.decode()
    except UnicodeDecodeError:
        message = list(raw)
    identity = machine.identity
    micro = int(now * 1e6)
    entry: dict[str, Any] = {
        "__CURSOR": f"s={identity};i=1;b={identity};m={micro:x};t={micro:x};x=0",
        "__REALTIME_TIMESTAMP": str(micro),
        "__MONOTONIC_TIMESTAMP": str(int((now - machine.booted_s) * 1e6)),
        "_BOOT_ID": identity,
        "_MACHINE_ID": identity,
        "_HOSTNAME": machine.name,
        "_TRANSPORT": "stdout" if name else "journal",
        "PRIORITY": _INFO,
        "SYSLOG_IDENTIFIER": name or "systemd",
        "_PID": str(_pid(name)),
        "_UID": "0",
        "_GID": "0",
        "_COMM": (name or "systemd")[:15],
        "MESSAGE": message,
    }
    if name:
        entry |= {"_SYSTEMD_UNIT": f"{name}.service", "_SYSTEMD_INVOCATION_ID": invocation}
    return entry
