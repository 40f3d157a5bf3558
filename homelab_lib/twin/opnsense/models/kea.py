"""Kea's DHCP for IPv4: subnets with their pools, and reservations."""

from collections.abc import Iterator

from homelab_lib.twin.opnsense.fields import filters
from homelab_lib.twin.opnsense.fields.choices import Interface, Option, Relation, same
from homelab_lib.twin.opnsense.fields.constraints import Depend, Unique
from homelab_lib.twin.opnsense.fields.network import Hostname, Mac, Network, Port
from homelab_lib.twin.opnsense.fields.numbers import AutoNumber, Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Base64, Description, Text, Url
from homelab_lib.twin.opnsense.model import Message, Model, Section, Table
from homelab_lib.twin.opnsense.models.kea_fields import Pairs, Pools, Routes
from homelab_lib.twin.opnsense.tree import Tree


def _check_reservations(tree: Tree, full: bool) -> Iterator[Message]:
    for row in tree.at("reservations.reservation").rows():
        if not full and not row.changed:
            continue
        subnet = tree.at("subnets.subnet4").get(row["subnet"].value)
        inside = subnet["subnet"].value if subnet else ""
        if not filters.is_in(row["ip_address"].value, inside):
            yield Message(row["ip_address"].ref, "Address not in specified subnet")
        by_client, by_mac = not row["client_id"].is_empty, not row["hw_address"].is_empty
        either = "Either a client ID or a MAC address should be specified"
        if by_client is by_mac:
            tail = ", but not both" if by_mac else "."
            yield Message(row["hw_address"].ref, either + tail)


def autocollect(tree: Tree) -> None:
    """Fill router, names and time of subnets from the firewall's address in each."""
    found = [
        address
        for each in tree.config.find("interfaces") or ()
        if filters.is_ipv4(address := each.findtext("ipaddr") or "")
    ]
    for row in tree.at("subnets.subnet4").rows():
        mine = next((a for a in found if filters.is_in(a, row["subnet"].value)), "")
        if mine and not row["option_data_autocollect"].is_empty:
            for name in ("routers", "domain_name_servers", "ntp_servers"):
                row["option_data"][name].set(mine)


_QUOTABLE = Text(mask='/^([^\\n"])*$/u')
_OPTIONS = {
    "domain_name_servers": Network(mask_allowed=False, family="ipv4", as_list=True),
    "domain_search": Hostname(
        ip=False, as_list=True, message="Please specify a valid list of domains."
    ),
    "routers": Network(mask_allowed=False, family="ipv4", as_list=True),
    "static_routes": Pairs(),
    "classless_static_route": Routes(),
    "domain_name": Hostname(ip=False),
    "ntp_servers": Network(mask_allowed=False, family="ipv4", as_list=True),
    "time_servers": Network(mask_allowed=False, family="ipv4", as_list=True),
    "tftp_server_name": _QUOTABLE,
    "boot_file_name": _QUOTABLE,
}
_MORE_OPTIONS = {
    "v6_only_preferred": Integer(300),
    "v4_dnr": _QUOTABLE,
}

KEA = Model(
    "Kea.KeaDhcpv4",
    "//OPNsense/Kea/dhcp4",
    {
        "general": Section(
            {
                "enabled": Boolean(required=True),
                "manual_config": Boolean(),
                "interfaces": Interface(multiple=True),
                "service_sockets_max_retries": Integer(0),
                "service_sockets_retry_wait_time": Integer(0),
                "valid_lifetime": Integer(0, default="4000", required=True),
                "decline_probation_period": Integer(0),
                "fwrules": Boolean(required=True, default="1"),
                "dhcp_socket_type": Option(
                    default="raw", required=True, options={"udp": "udp", "raw": "raw"}
                ),
                "compatibility": Option(
                    multiple=True,
                    options=same(
                        "exclude-first-last-24 ignore-dhcp-server-identifier "
                        "ignore-rai-link-selection lenient-option-parsing"
                    ),
                ),
            }
        ),
        "lexpire": Section(
            {
                "hold_reclaimed_time": Integer(0),
                "reclaim_timer_wait_time": Integer(1),
                "flush_reclaimed_timer_wait_time": Integer(0),
                "max_reclaim_time": Integer(0),
                "max_reclaim_leases": Integer(0),
                "unwarned_reclaim_cycles": Integer(0),
            }
        ),
        "ha": Section(
            {
                "enabled": Boolean(required=True),
                "this_server_name": Text(mask=r"/^([0-9a-zA-Z.\:\-,_]){0,1024}$/u"),
                "max_unacked_clients": Integer(0, 65535, default="2", required=True),
            }
        ),
        "subnets": Section(
            {
                "subnet4": Table(
                    {
                        "subnet_id": AutoNumber(
                            1,
                            4294967294,
                            since=(26, 7),
                            required=True,
                            constraints={"one": Unique("Subnet ID must be unique.")},
                        ),
                        "subnet": Network(
                            mask_required=True,
                            family="ipv4",
                            required=True,
                            constraints={"one": Unique("Subnet must be unique.")},
                        ),
                        "valid_lifetime": Integer(0),
                        "next_server": Network(mask_allowed=False, family="ipv4"),
                        "option_data_autocollect": Boolean(default="1", required=True),
                        "option_data": Section({**_OPTIONS, **_MORE_OPTIONS}),
                        "option": Relation(
                            items="options.option", display=("description",), multiple=True
                        ),
                        "match-client-id": Boolean(default="1", required=True),
                        "allocator": Option(
                            blank="Default",
                            options={
                                "iterative": "Iterative",
                                "random": "Random",
                                "flq": "Free Lease Queue",
                            },
                        ),
                        "pools": Pools(),
                        "ddns_forward_zone": Hostname(
                            ip=False,
                            constraints={
                                "one": Depend(
                                    "Forward zone and DNS server must either both be set or left "
                                    "empty.",
                                    ("ddns_dns_server",),
                                )
                            },
                        ),
                        "ddns_reverse_zone": Hostname(ip=False),
                        "ddns_qualifying_suffix": Hostname(),
                        "ddns_dns_server": Network(
                            mask_allowed=False,
                            constraints={
                                "one": Depend(
                                    "Forward zone and DNS server must either both be set or left "
                                    "empty.",
                                    ("ddns_forward_zone",),
                                )
                            },
                        ),
                        "ddns_dns_port": Port(),
                        "ddns_domain_key_name": Text(
                            constraints={
                                "one": Depend(
                                    "TSIG name and secret must either both be set or left empty.",
                                    ("ddns_domain_key_secret",),
                                )
                            }
                        ),
                        "ddns_domain_key_secret": Base64(
                            constraints={
                                "one": Depend(
                                    "TSIG name and secret must either both be set or left empty.",
                                    ("ddns_domain_key_name",),
                                )
                            }
                        ),
                        "ddns_domain_key_algorithm": Option(
                            options=same(
                                "hmac-md5 hmac-sha1 hmac-sha224 hmac-sha256 hmac-sha384 hmac-sha512"
                            ),
                            constraints={
                                "one": Depend(
                                    "An algorithm is required if a TSIG secret is set.",
                                    ("ddns_domain_key_secret",),
                                )
                            },
                        ),
                        "ddns_override_no_update": Boolean(),
                        "ddns_override_client_update": Boolean(),
                        "ddns_update_on_renew": Boolean(),
                        "ddns_conflict_resolution_mode": Option(
                            blank="check-with-dhcid (default)",
                            options=same(
                                "no-check-with-dhcid check-exists-with-dhcid no-check-without-dhcid"
                            ),
                        ),
                        "description": Description(),
                    }
                ),
            }
        ),
        "reservations": Section(
            {
                "reservation": Table(
                    {
                        "subnet": Relation(
                            items="subnets.subnet4",
                            display=("subnet",),
                            message="Related subnet not found.",
                            constraints={"one": "hw_address.one", "two": "client_id.one"},
                            required=True,
                        ),
                        "ip_address": Network(
                            mask_allowed=False,
                            family="ipv4",
                            constraints={"one": Unique("Duplicate entry exists.")},
                        ),
                        "hw_address": Mac(
                            constraints={
                                "one": Unique("Duplicate entry exists.", ("subnet",), any_case=True)
                            }
                        ),
                        "client_id": Text(
                            mask="/^(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})+)$/",
                            message="Value must be a colon-separated hexadecimal sequence (e.g., "
                            "01:02:f3).",
                            constraints={"one": Unique("Duplicate entry exists.", ("subnet",))},
                        ),
                        "hostname": Hostname(dns_name=True),
                        "description": Description(),
                        "next_server": Network(mask_allowed=False, family="ipv4"),
                        "option_data": Section(_OPTIONS),
                        "option": Relation(
                            items="options.option", display=("description",), multiple=True
                        ),
                    }
                ),
            }
        ),
        "ha_peers": Section(
            {
                "peer": Table(
                    {
                        "name": Text(
                            required=True, constraints={"one": Unique("Duplicate entry exists.")}
                        ),
                        "role": Option(
                            default="primary",
                            required=True,
                            options={"primary": "Primary", "standby": "Standby"},
                        ),
                        "url": Url(
                            required=True, constraints={"one": Unique("Duplicate entry exists.")}
                        ),
                    }
                ),
            }
        ),
    },
    version="1.0.6",
    checks=_check_reservations,
    title="Kea DHCPv4 configuration",
)
