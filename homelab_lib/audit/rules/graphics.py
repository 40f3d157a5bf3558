"""Graphics cards by their makers: Resizable BAR, resets, and runtimes that support them."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.audit.rules.compute import users
from homelab_lib.lab.lab import Lab


@rule("resizable-bar-not-sure")
def bars_resize(lab: Lab) -> Iterator[Finding]:
    """A card that needs Resizable BAR on a board that lacks it, or of which nobody knows."""
    for host in lab.hosts.values():
        for name, card in host.gpus.items():
            if not card.needs_resizable_bar or host.board is None:
                continue
            if host.board.resizable_bar:
                continue
            unknown = host.board.resizable_bar is None
            yield Finding(
                "resizable-bar-not-sure",
                "risks" if unknown else "stops",
                f"hosts.{host.name}.devices.{name}",
                f"{card.title} needs Resizable BAR, and "
                + (
                    f"nobody says whether the firmware of {host.board.title} has it."
                    if unknown
                    else f"{host.board.title} has none."
                ),
                evidence=(
                    fact(card, "needs Resizable BAR"),
                    fact(host.board, f"Resizable BAR: {'not known' if unknown else 'no'}"),
                ),
                fix=Fix("measure it first: lspci -vv shows the size of region 2, dmesg says BAR 2"),
            )


@rule("card-does-not-reset")
def cards_reset(lab: Lab) -> Iterator[Finding]:
    """A passed-through card that a VM's shutdown leaves unusable until the host restarts."""
    for vm in lab.vms.values():
        for name in vm.gpus:
            device = lab.hosts[vm.host].devices[name]
            if getattr(device.part, "resets_cleanly", None) is False:
                others = [v.name for v in lab.vms.values() if v.host == vm.host and v is not vm]
                yield Finding(
                    "card-does-not-reset",
                    "risks",
                    f"vms.{vm.name}",
                    f"{device.part.title} is passed to {vm.name} and does not reset: when the VM "
                    f"stops, {vm.host} has to restart, and {', '.join(others) or 'nothing'} "
                    "with it.",
                    len(others),
                    "VMs besides",
                    (fact(device.part, "does not survive its VM's shutdown"),),
                    Fix("never stop that VM alone; or the card in a machine of its own"),
                )


@rule("runtime-not-supported")
def runtimes_supported(lab: Lab) -> Iterator[Finding]:
    """A card that is to compute by a runtime whose makers do not support it."""
    for host in lab.hosts.values():
        for name, part in host.gpus.items():
            wanted = users(lab, f"{host.name}.{name}")
            if part.runtime_official is not False or not wanted or not part.runtimes:
                continue
            way = f"; {part.runtime_override} makes it work" if part.runtime_override else ""
            yield Finding(
                "runtime-not-supported",
                "note",
                f"hosts.{host.name}.devices.{name}",
                f"{part.runtimes[0]}'s makers do not support the {part.title} "
                f"({part.architecture}){way}.",
                evidence=(fact(part, f"{part.architecture} is not on the list"),),
                fix=Fix(
                    f"set {part.runtime_override}"
                    if part.runtime_override
                    else f"use {part.runtimes[-1]}"
                ),
            )
