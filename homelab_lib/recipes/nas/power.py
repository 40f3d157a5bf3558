"""What keeps a NAS going and in time: its UPS, and the clocks that it goes by."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from homelab_lib.control.truenas.clock import time_server
from homelab_lib.control.truenas.midclt import release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.control.truenas.settings import Settings
from homelab_lib.control.truenas.ups import driver_of, readings
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.lab.naming import TimeServer
from homelab_lib.lab.power import Nut, Ups
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted

MAKES = ("upses", "ntp")
_PORT = 3493  # NUT's


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """A step for each NAS that asks for the time, and for each that a UPS concerns."""
    for name, client in lab.ntp.items():
        host = lab.hosts[name]
        if client.phase == phase and host.os.kind == "truenas":
            yield Step(
                f"nas-time-{name}",
                f"Have {host.title} go by the house's clock",
                why="Files, snapshots and logs of several machines only tell what came first if "
                "their clocks agree; and a certificate is no good to one that is years behind. "
                "Servers that it asks besides stay.",
                ensure=partial(_clocks, lab, name),
            )
    for ups in lab.upses.values():
        if ups.phase != phase or ups.nut is None:
            continue
        for name in dict.fromkeys((ups.nut.host, *ups.nut.tells)):
            host = lab.hosts.get(name)
            if host is not None and host.os.kind == "truenas":
                yield Watch(lab, host, ups, ups.nut).step()


def _clocks(lab: Lab, name: str, ctx: Context) -> Iterator[Wanted]:
    nas = release(ctx.host(name))
    for address, asked in lab.ntp[name].servers.items():
        how = asked or TimeServer()
        yield time_server(
            name,
            lab.name,
            nas,
            address,
            prefer=how.prefer,
            iburst=how.iburst,
            burst=how.burst,
            polls=(how.minpoll, how.maxpoll),
        )


@dataclass(frozen=True)
class Watch:
    """A NAS that watches a UPS itself, or hears of it from the machine that does."""

    lab: Lab
    host: Host
    ups: Ups
    nut: Nut

    @property
    def _itself(self) -> bool:
        return self.nut.host == self.host.name

    @property
    def _server(self) -> str:
        """Where the UPS is watched, seen from the NAS."""
        if self._itself:
            return "localhost"
        other = self.lab.hosts[self.nut.host]
        return other.ssh.address if other.ssh else self.nut.host

    def step(self) -> Step:
        """It is told of the UPS, and asked what that says."""
        how = "watches it" if self._itself else f"hears of it from {self.nut.host}"
        return Step(
            f"ups-{self.ups.name}-{self.host.name}",
            f"Have {self.host.title} go down in time when {self.ups.title} runs out",
            why=f"{self.host.title} {how}. Disks that lose power while they write lose what they "
            "were writing; a NAS that is told goes down by itself while there is still time, and "
            "after those that depend on it.",
            ensure=self._ensure,
            check=self._check,
            measure=self._measure,
        )

    def _ensure(self, ctx: Context) -> Iterator[Wanted]:
        nas, name = ctx.host(self.host.name), self.host.name
        secrets = {"monpwd": ctx.secret(self.nut.password)} if self.nut.password else {}
        wanted: dict[str, Any] = {
            "identifier": self.nut.identifier,
            "monuser": self.nut.user,
            "shutdown": self.nut.shutdown,
            "shutdowntimer": int(self.nut.shutdown_after_s),
            "description": self.ups.title,
        }
        if self._itself:
            driver = self.nut.driver or self.ups.part.nut_driver or "usbhid-ups"
            wanted |= {
                "mode": "MASTER",
                "driver": driver_of(nas, driver, self.ups.part.title),
                "port": self.nut.port,
                "hostsync": int(self.nut.wait_for_others_s),
                "powerdown": self.nut.power_off,
                "rmonitor": bool(self.nut.tells),
                "options": self.nut.options,
            }
        else:
            wanted |= {"mode": "SLAVE", "remotehost": self._server, "remoteport": _PORT}
        yield Settings(name, "ups", wanted, secrets)
        yield NasService(name, release(nas), "ups")

    def _check(self, ctx: Context) -> Iterator[Check]:
        found = readings(ctx.host(self.host.name), self.nut.identifier, self._server)
        status = found.get("ups.status", "")
        title = f"{self.host.name} hears {self.ups.title}, and that is on mains"
        says = status or "it says nothing: look at its cable, and at the driver that it was given"
        yield Check(title, "OL" in status.split(), says)

    def _measure(self, ctx: Context) -> Iterator[Measurement]:
        found = readings(ctx.host(self.host.name), self.nut.identifier, self._server)
        for key, unit in (("battery.runtime", "s"), ("battery.charge", "%"), ("ups.load", "%")):
            if found.get(key, "").replace(".", "", 1).isdigit():
                yield Measurement(f"{key} of {self.ups.name}", float(found[key]), unit)
