"""What is to be seen to before a part is sold: what still needs it, and what lies on it."""

from collections.abc import Iterator
from html import escape
from typing import Any

from homelab_lib.lab import Lab
from homelab_lib.lab.devices import DiskPart
from homelab_lib.lab.project import Sale
from homelab_lib.units import format_bytes

_NOT_A_NEED = ("sales", "claims", "decisions", "purchases", "references")


def needs(lab: Lab, place: str) -> list[str]:
    """Where a lab still counts on a part, by its keys.

    Parameters
    ----------
    lab
        The lab.
    place
        Where the part is: ``host.device``.
    """
    host, _, device = place.partition(".")
    document = lab.model_dump(exclude=set(_NOT_A_NEED))
    found = [key for key in _named(document, place) if not key.startswith(f"hosts.{host}.")]
    found += [
        f"vms.{vm.name}"
        for vm in lab.vms.values()
        if vm.host == host and f"vms.{vm.name}" not in found and device in _words(vm.model_dump())
    ]
    return sorted(dict.fromkeys(found))


def _named(value: Any, text: str, place: str = "") -> Iterator[str]:
    """The keys of things that name a text; lists by the thing that they are in."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _named(each, text, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _named(each, text, place)
    elif value == text:
        yield place


def _words(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {word for each in value.values() for word in _words(each)}
    if isinstance(value, list | tuple):
        return {word for each in value for word in _words(each)}
    return {value} if isinstance(value, str) else set()


def to_see_to(lab: Lab, sale: Sale) -> list[str]:
    """What a person sees to before a part is sold, a line each.

    Parameters
    ----------
    lab, sale
        The lab, and the part that is to go.
    """
    host, _, name = sale.taken_from.partition(".")
    machine = lab.hosts.get(host)
    where = machine.title if machine is not None else host
    lines = [f"still needed by {key}: change that first" for key in needs(lab, sale.taken_from)]
    disk = machine.disks.get(name) if machine is not None else None
    if isinstance(sale.part, DiskPart):
        serial = disk.serial if disk is not None and disk.serial else "its serial number"
        size = format_bytes(sale.part.capacity_bytes)
        lines += [
            f"the disk ({size}, {serial}) is in no pool any more, and its data lies elsewhere",
            f"wipe {serial} by its own command (`nvme format --ses=1`, or `hdparm "
            "--security-erase`), and read some of it back: zeros",
        ]
    else:
        lines.append("it keeps no data of yours; note its serial number, and a picture of it")
    lines += [
        f"{where} is shut down and without power before {sale.part.title} is taken out",
        f"run the runbooks of {where} with mode=verify afterwards: what misses it says so",
    ]
    return lines


def sales_list(lab: Lab) -> str:
    """The checklist of all that is to be sold, as HTML."""
    parts = []
    for sale in lab.sales:
        price = f"{sale.price.low_usd:g} to {sale.price.high_usd:g} dollars"
        items = "".join(f"<li>☐ {escape(line)}</li>" for line in to_see_to(lab, sale))
        head = f"<b>{escape(sale.title)}</b> from {escape(sale.taken_from)}, {escape(price)}"
        parts.append(f"<p>{head}</p><ul class='plain'>{items}</ul>")
    return "".join(parts)
