"""What decays of a firewall."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.twin.decays import decay
from homelab_lib.twin.opnsense.web import WEB_DAYS, shows


def _inspects(machine: Any) -> bool:
    suricata = getattr(machine, "suricata", None)
    return suricata is not None and bool(suricata.runs)


@decay("ids-dies", r"Suricata runs on", fits=_inspects)
def ids_dies(box: Any) -> Iterator[None]:
    """Suricata ends at a night's rule update, and nothing is inspected any more."""
    box.started["ids"] = False
    yield
    box.suricata.restart()


@decay("opnsense-certificate-ends", r"web interface and API of \S+ is good for a while",
       on="opnsense")  # fmt: skip
def certificate_ends(box: Any) -> Iterator[None]:
    """Nobody renews the certificate of the firewall's web interface: it does not do so itself."""
    shows(box, days=27.0)
    yield
    shows(box, days=WEB_DAYS, key=1)  # configctl webgui restart renew


@decay(
    "ips-holds-back",
    r"reaches the internet",
    r"reaches|answers|in the cluster|repository|copy|webhook|was shown none|behind port",
    r"fetch the configuration of \S+ onto \S+: the newest is \d+ (h|days) old, and the last time "
    r"failed",
    fits=lambda machine: _inspects(machine) and machine.suricata.mode != "pcap",
    hides=("restic-half-locked",),  # whose repositories are out there
)
def ips_holds_back(box: Any) -> Iterator[None]:
    """Suricata runs, and passes on nothing of what waits for it."""
    box.holds_back = "Suricata runs inline and passes nothing on"
    yield
    box.suricata.restart()
