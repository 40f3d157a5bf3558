"""A firewall that restarts in the middle of a step: the same command, and all is as if nothing had
happened.

A boot applies all that is written, half of it or whole. So it is not enough that the last rule is
written in the end: what is in force has to be what an undisturbed run leaves, and nothing may lie
there that a later boot, or a timer, would bring back.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from homelab_lib.errors import HomelabError, Unreachable
from homelab_lib.twin.faults import plain
from recipes.firewall_box import Box
from standing import differences

RELEASES = ("26.7", "26.1")
STEPS = ("vlans", "interfaces", "dhcp", "names", "time", "rules", "inspection", "prevention")
CHANGES = r"(POST|/bin/sh -c|rm|configctl|pluginctl -s|/usr/local/bin/php)( |$)"
"""The beginnings of what changes something on a firewall; all else that is sent looks."""
SAMPLE = [("26.7", "rules", 12), ("26.7", "interfaces", 3), ("26.1", "rules", 20)]
TRIES = 3
OUT_S = 400.0
"""Longer than any timer of ours takes."""
_DRAWN = ("revision", "modified", "created", "updated")
CONFIG, BACKUPS = "/conf/config.xml", "/conf/backup"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_AT_BOOT = "/usr/local/etc/rc.syshook.d/early"


def told(root: ET.Element) -> list[str]:
    """A configuration, line by line, without the times at which something was written; what a
    firewall draws an id for is known by its place."""
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in _DRAWN]:
            parent.remove(child)
    ids: dict[str, str] = {}
    text = ET.tostring(root, encoding="unicode")
    return _ID.sub(lambda found: ids.setdefault(found[0], f"id {len(ids)}"), text).split("\n")


def stands(box: Box) -> dict[str, Any]:
    """What is written, what is in force, and what lies there besides."""
    machine = box.target.world.machines["firewall"]
    return {
        "config": told(machine.config.load()),
        "rules": [rule.label + rule.description for rule in machine.pf.rules],
        "addresses": sorted(f"{one.name} {one.cidr}" for one in machine.interfaces),
        "runs": dict(machine.started),
        "suricata": (machine.suricata.command, sorted(machine.suricata.rules)),
        "aside": [name for name in machine.files.listdir("/conf") if "homelab" in name],
        "at boot": machine.files.listdir(_AT_BOOT),
        "timers": [job.call.argv for job in machine.jobs if not job.ended],
    }


@dataclass(frozen=True)
class Before:
    """A firewall before a step: what lies in /conf, the rule files that Suricata has, and the
    time."""

    conf: dict[str, str]
    fetched: frozenset[str]
    now_s: float


@cache
def before(release: str) -> dict[str, Before]:
    """A firewall before each step."""
    box, found = Box(release), {}
    try:
        machine = box.target.world.machines["firewall"]
        box.run("firewall-key")
        for step in STEPS:
            paths = [CONFIG, *(f"{BACKUPS}/{name}" for name in machine.files.listdir(BACKUPS))]
            conf = {path: machine.files.text(path) for path in paths}
            now_s = box.target.clock.now()
            found[step] = Before(conf, frozenset(machine.suricata.fetched), now_s)
            box.run(step)
        return found
    finally:
        box.target.close()


def standing_before(release: str, step: str) -> Box:
    """A firewall on which all steps before one were carried out, and which has booted since."""
    was = before(release)[step]
    box = Box(release)
    machine = box.target.world.machines["firewall"]
    box.target.clock.sleep(was.now_s - box.target.clock.now() + 60.0)
    for path, text in was.conf.items():
        machine.files.put(path, text, mode=0o640, mtime_s=was.now_s)
    machine.suricata.fetched = set(was.fetched)
    machine.apply_all()
    return box


def at_change(box: Box, nth: int, then: Callable[[], object] = lambda: None) -> list[str]:
    """Have the firewall restart at the nth change; the lines of all that come are noted."""
    lines: list[str] = []

    def strike(machine: str, line: str) -> str | None:
        if not re.match(CHANGES, plain(line)):
            return None
        lines.append(line)
        if len(lines) != nth:
            return None
        then()
        return "reboot"

    box.target.world.faults.strike = strike
    return lines


@cache
def undisturbed(release: str, step: str) -> tuple[dict[str, Any], int]:
    """What a run of a step leaves that nothing disturbs, and how many changes it takes."""
    box = standing_before(release, step)
    try:
        lines = at_change(box, 0)
        box.run(step)
        return stands(box), len(lines)
    finally:
        box.target.close()


def ends_like(release: str, step: str, nth: int, *, dead: bool) -> list[str]:
    """Where it ends otherwise than undisturbed, if the firewall restarts at the nth change: under
    a run that waits for it, or under one that is dead from then on."""
    box, off = standing_before(release, step), []
    link = box.target.link

    def unless_off(send: Callable[..., Any]) -> Callable[..., Any]:
        def sent(host: str, *what: Any) -> Any:
            if off:
                raise Unreachable("nobody is there", where=host)
            return send(host, *what)

        return sent

    for name in ("run", "run_many", "reconnect"):
        setattr(link, name, unless_off(getattr(link, name)))
    try:
        at_change(box, nth, (lambda: off.append("dead")) if dead else lambda: None)
        for _ in range(TRIES):
            try:
                box.run(step)
                break
            except HomelabError as error:
                stopped = str(error)
            off.clear()
            box.target.clock.sleep(OUT_S)
        else:
            return [f"not done after {TRIES} tries: {stopped}"]
        box.target.clock.sleep(OUT_S)
        left = differences(stands(box), undisturbed(release, step)[0])
        (looked,) = box.run(step, mode="verify")
        return left + ([] if looked.status == "already" else [f"a look says {looked.status}"])
    finally:
        box.target.close()


@pytest.mark.long
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("step", STEPS)
def test_at_every_change_of_every_step(release: str, step: str) -> None:
    """Every other one kills whoever runs the runbook, too."""
    count = undisturbed(release, step)[1]
    assert count > 1
    found = {nth: ends_like(release, step, nth, dead=nth % 2 == 0) for nth in range(1, count + 1)}
    assert {nth: left for nth, left in found.items() if left} == {}


@pytest.mark.sample
@pytest.mark.parametrize(("release", "step", "nth"), SAMPLE)
def test_at_some(release: str, step: str, nth: int) -> None:
    assert nth <= undisturbed(release, step)[1]
    assert ends_like(release, step, nth, dead=False) == []
    assert ends_like(release, step, nth, dead=True) == []
