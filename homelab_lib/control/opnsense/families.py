"""The families of rows and the settings that OPNsense keeps, as tables.

Sources: the models and controllers of 26.1 and 26.7 below ``src/opnsense/mvc/app``. A new family is
an entry here.
"""

from homelab_lib.control.opnsense.row import Family, Field
from homelab_lib.control.opnsense.section import Settings

_ON = Field("1")
_OFF = Field("0")
_TEXT = Field()
_ANY = Field("any")

VLAN = Family(
    "VLAN",
    "interfaces/vlan_settings/searchItem",
    "interfaces/vlan_settings/setItem",
    "vlan",
    key=("if", "tag"),
    mark="descr",
    fields={
        "if": _TEXT,
        "tag": _TEXT,
        "pcp": Field("0"),
        "proto": _TEXT,
        "descr": _TEXT,
        "vlanif": Field(until=" ["),  # the interface's description is appended
    },
)

ALIAS = Family(
    "alias",
    "firewall/alias/searchItem",
    "firewall/alias/setItem",
    "alias",
    key=("name",),
    mark="description",
    fields={
        "name": _TEXT,
        "type": _TEXT,
        "content": Field(joined_by="\n"),
        "enabled": _ON,
        "updatefreq": _TEXT,
        "description": _TEXT,
    },
)

FILTER_RULE = Family(
    "filter rule",
    "firewall/filter/searchRule",
    "firewall/filter/setRule",
    "rule",
    key=("description",),
    mark="description",
    fields={
        "enabled": _ON,
        "action": Field("pass"),
        "quick": _ON,
        "interface": Field(joined_by=","),
        "direction": Field("in"),
        "ipprotocol": Field("inet"),
        "protocol": Field("any", any_case=True),
        "source_net": Field("any", joined_by=","),
        "source_not": _OFF,
        "source_port": _TEXT,
        "destination_net": Field("any", joined_by=","),
        "destination_not": _OFF,
        "destination_port": _TEXT,
        "gateway": _TEXT,
        "log": _OFF,
        "sequence": Field(once=True),
        "sort_order": Field(once=True),
        "description": _TEXT,
    },
    drop="firewall/filter/delRule",
)

PORT_FORWARD = Family(
    "port forward",
    "firewall/d_nat/searchRule",
    "firewall/d_nat/setRule",
    "rule",
    key=("descr",),
    mark="descr",
    fields={
        "disabled": _OFF,
        "sequence": Field(once=True),
        "interface": Field(joined_by=","),
        "ipprotocol": Field("inet"),
        "protocol": Field(any_case=True),
        "source.network": _ANY,
        "source.not": _OFF,
        "destination.network": _TEXT,
        "destination.port": _TEXT,
        "target": _TEXT,
        "local-port": _TEXT,
        "pass": _TEXT,
        "natreflection": _TEXT,
        "log": _OFF,
        "descr": _TEXT,
    },
)

OUTBOUND_RULE = Family(
    "outbound rule",
    "firewall/source_nat/searchRule",
    "firewall/source_nat/setRule",
    "rule",
    key=("description",),
    mark="description",
    fields={
        "enabled": _ON,
        "nonat": _OFF,
        "sequence": Field(once=True),
        "interface": _TEXT,
        "ipprotocol": Field("inet"),
        "protocol": Field("any", any_case=True),
        "source_net": _ANY,
        "source_not": _OFF,
        "source_port": _TEXT,
        "destination_net": _ANY,
        "destination_not": _OFF,
        "destination_port": _TEXT,
        "target": _TEXT,
        "target_port": _TEXT,
        "staticnatport": _OFF,
        "log": _OFF,
        "description": _TEXT,
    },
)

DNSMASQ_RANGE = Family(
    "DHCP range",
    "dnsmasq/settings/searchRange",
    "dnsmasq/settings/setRange",
    "range",
    key=("description",),
    mark="description",
    fields={
        "interface": _TEXT,
        "start_addr": _TEXT,
        "end_addr": _TEXT,
        "lease_time": _TEXT,
        "domain_type": Field("range"),
        "domain": _TEXT,
        "prefix_len": _TEXT,
        "ra_mode": Field(joined_by=","),
        "description": _TEXT,
    },
)

DNSMASQ_HOST = Family(
    "DHCP lease",
    "dnsmasq/settings/searchHost",
    "dnsmasq/settings/setHost",
    "host",
    key=("descr",),
    mark="descr",
    fields={
        "host": _TEXT,
        "ip": Field(joined_by=","),
        "hwaddr": Field(joined_by=",", any_case=True),
        "client_id": Field(any_case=True),
        "lease_time": _TEXT,
        "descr": _TEXT,
    },
)

DNSMASQ_OPTION = Family(
    "DHCP option",
    "dnsmasq/settings/searchOption",
    "dnsmasq/settings/setOption",
    "option",
    key=("description",),
    mark="description",
    fields={
        "type": Field("set"),
        "option": _TEXT,
        "interface": _TEXT,
        "value": _TEXT,
        "description": _TEXT,
    },
)

KEA_SUBNET = Family(
    "DHCP subnet",
    "kea/dhcpv4/searchSubnet",
    "kea/dhcpv4/setSubnet",
    "subnet4",
    key=("subnet",),
    mark="description",
    fields={
        "subnet": _TEXT,
        "pools": Field(joined_by="\n"),
        "valid_lifetime": _TEXT,
        "option_data_autocollect": _ON,
        "option_data.routers": Field(joined_by=","),
        "option_data.domain_name_servers": Field(joined_by=","),
        "option_data.ntp_servers": Field(joined_by=","),
        "option_data.domain_name": _TEXT,
        "description": _TEXT,
    },
)

KEA_RESERVATION = Family(
    "DHCP lease",
    "kea/dhcpv4/searchReservation",
    "kea/dhcpv4/setReservation",
    "reservation",
    key=("description",),
    mark="description",
    fields={
        "subnet": Field(shown=True),
        "ip_address": _TEXT,
        "hw_address": Field(any_case=True),
        "client_id": Field(any_case=True),
        "hostname": _TEXT,
        "description": _TEXT,
    },
)

HOST_OVERRIDE = Family(
    "name",
    "unbound/settings/searchHostOverride",
    "unbound/settings/setHostOverride",
    "host",
    key=("hostname", "domain", "rr", "server"),
    mark="description",
    fields={
        "enabled": _ON,
        "hostname": _TEXT,
        "domain": _TEXT,
        "rr": Field("A"),
        "server": _TEXT,
        "ttl": _TEXT,
        "addptr": _ON,
        "description": _TEXT,
    },
)

DNS_FORWARD = Family(
    "forward",
    "unbound/settings/searchForward",
    "unbound/settings/setForward",
    "dot",
    key=("domain", "server"),
    mark="description",
    fields={
        "enabled": _ON,
        "domain": _TEXT,
        "server": _TEXT,
        "port": _TEXT,
        "verify": _TEXT,
        "description": _TEXT,
    },
)

DNS_OVER_TLS = Family(
    "forward over TLS",
    # The same rows: what they are is decided by the path, and a type in the body is overwritten.
    "unbound/settings/searchDot",
    "unbound/settings/setDot",
    "dot",
    key=DNS_FORWARD.key,
    mark=DNS_FORWARD.mark,
    fields=DNS_FORWARD.fields,
)

IDS_POLICY = Family(
    "policy",
    "ids/settings/searchPolicy",
    "ids/settings/setPolicy",
    "policy",
    key=("description",),
    mark="description",
    fields={
        "enabled": _ON,
        "prio": Field("0"),
        "action": Field(joined_by=","),
        "rulesets": Field(joined_by=",", shown=True),
        "content": Field(joined_by=","),
        "new_action": Field("alert"),
        "description": _TEXT,
    },
)

SIGNATURE = Family(
    "signature",
    "ids/settings/searchPolicyRule",
    "ids/settings/setPolicyRule",
    "rule",
    key=("sid",),
    mark="",
    anybodys=True,  # a number is one signature, whoever set it
    fields={"enabled": _ON, "sid": _TEXT, "action": Field("alert")},
)

CRON_JOB = Family(
    "cron job",
    "cron/settings/searchJobs",
    "cron/settings/setJob",
    "job",
    key=("description",),
    mark="description",
    fields={
        "enabled": _ON,
        "minutes": Field("0"),
        "hours": Field("0"),
        "days": Field("*"),
        "months": Field("*"),
        "weekdays": Field("*"),
        "who": Field("root"),
        "command": _TEXT,
        "parameters": _TEXT,
        "description": _TEXT,
    },
    add="cron/settings/addJob",  # its set makes none
)

DNSMASQ = Settings(
    "dnsmasq",
    "dnsmasq/settings/get",
    "dnsmasq/settings/set",
    "dnsmasq",
    lists=frozenset({"interface"}),
    grows=frozenset({"interface"}),
)
KEA = Settings(
    "Kea",
    "kea/dhcpv4/get",
    "kea/dhcpv4/set",
    "dhcpv4",
    lists=frozenset({"general.interfaces"}),
    grows=frozenset({"general.interfaces"}),
)
UNBOUND = Settings("Unbound", "unbound/settings/get", "unbound/settings/set", "unbound")
INSPECTION = Settings(
    "Suricata",
    "ids/settings/get",
    "ids/settings/set",
    "ids",
    lists=frozenset({"general.interfaces", "general.homenet"}),
    switch="general.enabled",
    nobodys=frozenset({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}),
)
OFFLOADS = Settings(
    "network cards", "interfaces/settings/get", "interfaces/settings/set", "settings"
)
OUTBOUND = Settings(
    "outbound translation",
    "firewall/source_nat/get",
    "firewall/source_nat/set",
    "filter",
)
OUTBOUND_26_1 = Settings(
    OUTBOUND.noun, "firewall/source_nat/get", "firewall/source_nat/setGeneral", "filter"
)


def _wireguard(noun: str, which: str, fields: dict[str, Field]) -> Family:
    """A family of WireGuard's: known by its name, and without room for a mark."""
    return Family(
        f"WireGuard {noun}",
        f"wireguard/{which}/search{which.capitalize()}",
        f"wireguard/{which}/set{which.capitalize()}",
        which,
        key=("name",),
        mark="",
        fields={
            "enabled": _ON,
            "name": _TEXT,
            "pubkey": _TEXT,
            "tunneladdress": Field(joined_by=","),
            **fields,
        },
    )


WIREGUARD_PEER = _wireguard(
    "peer", "client", {"serveraddress": _TEXT, "serverport": _TEXT, "keepalive": _TEXT}
)
WIREGUARD_INSTANCE = _wireguard(
    "instance",
    "server",
    {"port": _TEXT, "mtu": _TEXT, "peers": Field(joined_by=",", shown=True)},
)

WIREGUARD = Settings("WireGuard", "wireguard/general/get", "wireguard/general/set", "general")
