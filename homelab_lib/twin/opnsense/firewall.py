"""An OPNsense: its configuration, what of it is in force, and its REST side."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.appliance import Appliance
from homelab_lib.twin.machine.https import Answered, Asked
from homelab_lib.twin.machine.program import Commands
from homelab_lib.twin.machine.surroundings import Surroundings
from homelab_lib.twin.opnsense.config import Config
from homelab_lib.twin.opnsense.credentials import Doorman
from homelab_lib.twin.opnsense.syshook import run_hooks

_SETTLES_S = 20.0  # from sshd's start to the end of rc.bootup: guessed


@dataclass(frozen=True)
class Device:
    """A network device.

    Parameters
    ----------
    name
        As the kernel calls it: ``ix0``, ``vlan0.10``.
    mac
        Its hardware address; none of a loop.
    physical
        Whether it is a card.
    """

    name: str
    mac: str = ""
    physical: bool = True


Hook = Callable[["OpnSense"], None]
"""What happens when a service takes over what is written; `OpnSense.running` has it by then."""

SERVICES = (
    *("interfaces", "vlan", "lagg", "bridge", "vip", "filter", "alias", "dnsmasq", "kea"),
    *(
        "unbound",
        "ids",
        "ids-rules",
        "cron",
        "wireguard",
        "routing",
        "routes",
        "syslog",
        "monit",
        "tunables",
    ),
    *("ntpd", "system"),
)
"""What takes over the configuration by itself, each when it is told to."""


class OpnSense(Appliance):
    """The firewall.

    What is written is in the configuration and nowhere else. It is in force once the service it
    belongs to was told to take it over (`apply`), or after a boot, which tells all of them.

    Parameters
    ----------
    name, world, user, version, commands
        As for `Appliance`.
    """

    def __init__(
        self,
        name: str,
        world: Surroundings,
        *,
        user: str,
        version: str,
        commands: Iterable[Commands] = (),
    ) -> None:
        super().__init__(name, world, user=user, version=version, commands=commands)
        self.config = Config(self.files, world.clock.now)
        self.doorman = Doorman()
        self.running: dict[str, ET.Element] = {}  # the whole configuration, by service
        self.hooks: dict[str, list[Hook]] = defaultdict(list)
        self.started: dict[str, bool] = {}  # services that run
        self.leases: list[dict[str, Any]] = []  # that its DHCP server has given, as it tells them
        self.devices: list[Device] = []  # network devices that are there
        self.routers: dict[str, str] = {}  # that a provider has told, by device
        self.firmware_log = ""  # what the last work on packages has said
        self.packages_free_s = 0.0  # until when somebody is at work on packages
        self.configd_back_s = 0.0  # until when the system daemon does not answer
        self.rollback: str | None = None  # the backup that a timer of 26.1 goes back to

    def serve(self, handler: Callable[[Asked], Answered]) -> None:
        """Have its REST side answer on port 443."""
        self.https[443] = handler
        self.listeners[443] = lambda: self.up

    def apply(self, service: str) -> None:
        """Have a service take over what is written.

        Parameters
        ----------
        service
            One of `SERVICES`.
        """
        self.running[service] = self.config.read()
        for hook in self.hooks[service]:
            hook(self)

    def boots_still(self) -> bool:
        """Whether its start goes on, though it lets one in: until then what configures it ends well
        and does nothing (`exit_on_bootup`)."""
        return self.boots > 0 and self.world.clock.now() < self.booted_s + _SETTLES_S

    def reload_filter(self) -> bool:
        """Have the system daemon load rules and aliases; whether it answers."""
        answers = self.world.clock.now() >= self.configd_back_s
        if answers and not self.boots_still():
            self.apply("filter")
        return answers

    @property
    def works_on_packages(self) -> bool:
        """Whether somebody updates it, or installs something."""
        begun = bool(self.firmware_log) and "***DONE***" not in self.firmware_log
        return begun or self.world.clock.now() < self.packages_free_s

    def apply_all(self) -> None:
        """As a boot does."""
        self.apply_all_but()

    def apply_all_but(self, *others: str) -> None:
        """Have every service but these take over what is written."""
        for service in SERVICES:
            if service not in others:
                self.apply(service)

    def power_off(self) -> None:
        super().power_off()
        self.rollback = None

    def _booted(self, boots: int) -> None:
        if boots != self.boots or self.up:
            return
        run_hooks(self, "early")
        super()._booted(boots)
        self.apply_all()
        run_hooks(self, "start")

    def state(self) -> dict[str, Any]:
        in_force = {name: ET.tostring(root) for name, root in sorted(self.running.items())}
        return super().state() | {"in force": in_force}
