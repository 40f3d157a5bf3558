"""What the rules of the packet filter and of the translations share."""

from dataclasses import dataclass

from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.fields.choices import (
    Interface,
    Offer,
    Option,
    Relation,
)
from homelab_lib.twin.opnsense.fields.network import Port
from homelab_lib.twin.opnsense.fields.texts import StrictText

MODES = {
    "automatic": "Automatic Source NAT rule generation",
    "hybrid": "Hybrid Source NAT rule generation",
    "advanced": "Manual Source NAT rule generation",
    "disabled": "Disable Source NAT rule generation",
}
CATEGORIES = Relation(
    model="Firewall.Category",
    items="categories.category",
    display=("name",),
    multiple=True,
    message="Related category not found.",
)
INTERFACES = Interface(multiple=True, where={"if": "/^(?!lo0$).*/"}, dynamic="Y")
BAD_PORT = "Please specify a valid portnumber, name, alias or range."
PORT = Port(well_known=True, ranges=True, aliases=True, message=BAD_PORT)
TAG = StrictText(mask=r"/^([0-9a-zA-Z.,_\-]){0,512}$/u")


@dataclass(frozen=True)
class NatMode(Option):
    """Kept where it always was."""

    def after_loading(self, leaf: Leaf) -> None:
        mode = leaf.tree.config.findtext("nat/outbound/mode") or ""
        leaf.set(mode if mode in MODES else "automatic")


def diverts(leaf: Leaf) -> Offer:
    return {"8000": "Intrusion Detection"}


def schedules(leaf: Leaf) -> Offer:
    names = [each.findtext("name") for each in leaf.tree.config.findall("schedules/schedule")]
    return {name: name for name in names if name}
