"""An OPNsense's filter rules, as our recipe writes them and as it would tell them."""

import ipaddress
from collections.abc import Mapping, Sequence

from homelab_lib.lab import Lab
from homelab_lib.models.packet_filter import Rule
from homelab_lib.recipes.firewall import readback
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.policy import filter_rules
from homelab_lib.recipes.firewall.translation import aliases
from real import nft
from twin.neighbours import with_rules


def told(lab: Lab, rules: Sequence[tuple], subnets: Mapping[int, Sequence[str]]) -> list[Rule]:
    """Its rules for a policy; an interface is called as the router's leg is.

    Parameters
    ----------
    lab
        Whose firewall.
    rules
        The policy, as `vlan_reachability` takes it.
    subnets
        By VLAN, of both families.
    """
    vlans = {
        number: lab.vlans[number].model_copy(update={"subnet6": nets[1]})
        for number, nets in subnets.items()
    }
    ruled = with_rules(lab, rules).model_copy(update={"vlans": vlans})
    gateway = Gateway(ruled, "firewall", 1)
    legs = {zone.device: nft.leg(number) for number, zone in gateway.zones.items()}
    names = Names(gateway, legs | dict.fromkeys(gateway.outside.values(), nft.WAN))
    rows = [
        {"uuid": "", "description": each.title, "sequence": str(at), **each.fields}
        for at, each in enumerate(filter_rules(gateway, names), 1)
    ]
    own = {
        nft.leg(number): {"ipaddr": _first(v4), "subnet": v4.partition("/")[2]}
        | {"ipaddrv6": _first(v6), "subnetv6": v6.partition("/")[2]}
        for number, (v4, v6) in subnets.items()
    }
    own[nft.WAN] = {"ipaddr": "dhcp"}
    known = readback.networks(own, [dict(each.fields) for each in aliases(gateway)])
    return readback.filter_rules(rows, known, {})


def _first(subnet: str) -> str:
    return str(ipaddress.ip_network(subnet)[1])
