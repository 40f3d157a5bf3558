"""What `health` looks at on machines that are kept apart: whether what they are for answers.

Nobody logs in there for that, and nothing is sent that could change anything: a machine of the lab
that may reach them asks for a page, as those who live in the house do.
"""

import ipaddress
from collections.abc import Collection, Iterator

from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Service
from homelab_lib.lab.host import LINUX, Host
from homelab_lib.runbook.step import Check, Context, Step

_NOBODY = (6, 7, 28)  # curl: no such name, no connection, no answer in time


def looks(lab: Lab, phases: Collection[int]) -> Iterator[Step]:
    """A step for each machine that is kept apart and serves something.

    Parameters
    ----------
    lab, phases
        The lab, and the numbers of the phases that are done.
    """
    for host in lab.hosts.values():
        served = [each for each in lab.services.values() if each.runs_on == host.name and each.port]
        if host.standalone and served and host.cidrs:
            yield _step(lab, host, served, phases)


def _step(lab: Lab, host: Host, served: list[Service], phases: Collection[int]) -> Step:
    address = ipaddress.ip_interface(host.cidrs[0]).ip
    at = f"[{address}]" if address.version == 6 else str(address)

    def check(ctx: Context) -> Iterator[Check]:
        for service in served:
            title = f"{service.title} answers on {host.name}"
            client = _who_may(lab, host, service.port or 0, phases)
            if client is None:
                says = "not looked at: no machine on which somebody logs in may reach it"
                yield Check(title, True, says)
                continue
            url = f"http://{at}:{service.port}/"  # one that wants TLS answers to that, too
            said = ctx.host(client).read("curl", "-sSI", "-m", "20", url, ok=None)
            well = said.exit_status not in _NOBODY
            says = f"asked from {client}"
            if not well:
                says += f": {said.stderr.strip()}; see its own pages or its console, since it is "
                says += "kept apart: no runbook mends it"
            yield Check(title, well, says)

    why = (
        "It stands apart so that it goes on without the rest, and so nobody sees when it does not."
    )
    return Step(f"apart-{host.name}", f"Whether {host.name} serves what it is for", why=why,
                check=check)  # fmt: skip


def _who_may(lab: Lab, host: Host, port: int, phases: Collection[int]) -> str | None:
    """A machine on which somebody logs in and that may reach a port of a host; its own network's
    first."""
    able = [
        each
        for each in lab.hosts.values()
        if each.ssh is not None
        and not each.standalone
        and each.os.kind in LINUX
        and (each.phase is None or each.phase in phases)
    ]
    near = [each.name for each in able if each.vlans & host.vlans]
    far = [each.name for each in able if _is_let(lab, each, host, port)]
    return next(iter((*near, *far)), None)


def _is_let(lab: Lab, client: Host, host: Host, port: int) -> bool:
    """Whether the first rule that is about it lets a machine reach a port of another."""
    for rule in lab.rules:
        leads = rule.source in ("any", *client.vlans) and rule.destination in ("any", *host.vlans)
        if leads and (not rule.ports or any(_covers(each, port) for each in rule.ports)):
            return rule.allow
    return False


def _covers(ports: str, port: int) -> bool:
    kind, _, numbers = ports.partition("/")
    low, _, high = numbers.partition("-")
    return kind == "tcp" and int(low) <= port <= int(high or low)
