"""Time servers and UPSes of a NAS: the API of both, and `upsc`.

Source: TrueNAS middleware 25.04 to 26: `system.ntpserver`, `ups.driver_choices`; upsc(8), in the
keys that real UPSes have.
"""

from homelab_lib.lab.power import Ups
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.truenas.arguments.clock import TimeServerCreate, TimeServerUpdate
from homelab_lib.twin.truenas.errors import ValidationErrors
from homelab_lib.twin.truenas.kept import Family, Row
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import FANGTOOTH, method

power = Commands()

_LEAST_POLL, _MOST_POLL = 4, 17
_DRIVERS = {
    "usbhid-ups$(various)": "APC ups USB / various (usbhid-ups)",
    "usbhid-ups$5E": "Eaton ups USB / 5E (usbhid-ups)",
    "snmp-ups$(various)": "APC ups SNMP / various (snmp-ups)",
    "apcsmart$Smart-UPS": "APC ups serial / Smart-UPS (apcsmart)",
}


def _polls(nas: TrueNas, row: Row, place: str, others: list[Row]) -> None:
    row.pop("force", None)
    errors = ValidationErrors()
    if not _LEAST_POLL <= row["minpoll"] <= _MOST_POLL:
        text = f"Must be greater or equal than {_LEAST_POLL} and lesser or equal than {_MOST_POLL}"
        errors.add(f"{place}.minpoll", text)
    if not row["minpoll"] < row["maxpoll"] <= _MOST_POLL:
        errors.add(f"{place}.maxpoll", "Must be greater than minpoll")
    errors.check()


TIME_SERVERS = Family(
    "system.ntpserver",
    "NTPServer",
    "ntp_server",
    {FANGTOOTH: TimeServerCreate},
    {FANGTOOTH: TimeServerUpdate},
    check=_polls,
    argument="",
)
TIME_SERVERS.register()


@method("ups.driver_choices")
def driver_choices(nas: TrueNas) -> Row:
    """The drivers that it has, with the models that each is for."""
    return dict(_DRIVERS)


@power("upsc")
def upsc(nas: TrueNas, call: Call) -> Reply:
    """What a UPS says of itself."""
    words, _ = operands(call)
    name, _, server = (words[0] if words else "").partition("@")
    found = _watched(nas, name, server or "localhost")
    if found is None:
        return Reply(1, stderr="Init SSL without certificate database\nError: Unknown UPS\n")
    facts = {
        "battery.charge": "100",
        "battery.runtime": "1572",
        "device.model": found.part.title,
        "driver.name": str(nas.config.get("ups", {}).get("driver", "")).partition("$")[0],
        "ups.load": "18",
        "ups.status": "OL",
    }
    return Reply(0, "".join(f"{key}: {value}\n" for key, value in sorted(facts.items())))


def _watched(nas: TrueNas, name: str, server: str) -> Ups | None:
    """The UPS of that name on a machine: it is asked where somebody watches it."""
    config = nas.config.get("ups", {})
    for ups in nas.world.lab.upses.values():
        if ups.nut is None or ups.nut.identifier != name:
            continue
        own = server == "localhost" and ups.nut.host == nas.name and config.get("mode") == "MASTER"
        far = server != "localhost" and not nas.world.reach(nas, server, 0)
        if nas.services["ups"].running and (own or far):
            return ups
    return None
