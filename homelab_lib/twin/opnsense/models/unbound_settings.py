"""Unbound: what it is set to as a whole."""

from homelab_lib.twin.opnsense.fields.choices import Option, same
from homelab_lib.twin.opnsense.fields.network import Network, Port
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Numeric
from homelab_lib.twin.opnsense.fields.texts import Csv, StrictText, Text
from homelab_lib.twin.opnsense.model import Section
from homelab_lib.twin.opnsense.models.unbound_names import LISTENS

DOMAIN = (
    r"/^(?:(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*(?:[a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])$/i"
)


GENERAL = Section(
    {
        "enabled": Boolean(required=True),
        "port": Port(default="53", required=True),
        "stats": Boolean(),
        "active_interface": LISTENS,
        "dnssec": Boolean(),
        "dns64": Boolean(),
        "dns64prefix": Network(mask_required=True, family="ipv6"),
        "noarecords": Boolean(),
        "regdhcp": Boolean(),
        "regdhcpdomain": Text(mask=DOMAIN, message="A valid domain must be specified."),
        "regdhcpstatic": Boolean(),
        "noreglladdr6": Boolean(),
        "noregrecords": Boolean(),
        "txtsupport": Boolean(),
        "cacheflush": Boolean(),
        "safesearch": Boolean(),
        "local_zone_type": Option(
            default="transparent",
            required=True,
            options=same(
                "transparent always_nxdomain always_refuse always_transparent deny inform "
                "inform_deny nodefault refuse static typetransparent"
            ),
        ),
        "outgoing_interface": LISTENS,
        "enable_wpad": Boolean(),
    }
)

ADVANCED = Section(
    {
        "hideidentity": Boolean(),
        "hideversion": Boolean(),
        "prefetch": Boolean(),
        "prefetchkey": Boolean(),
        "dnssecstripped": Boolean(),
        "belownxdomain": Boolean(required=True, default="1"),
        "aggressivensec": Boolean(required=True, default="1"),
        "serveexpired": Boolean(),
        "serveexpiredreplyttl": Numeric(),
        "serveexpiredttl": Numeric(),
        "serveexpiredttlreset": Boolean(),
        "serveexpiredclienttimeout": Numeric(),
        "qnameminstrict": Boolean(),
        "extendedstatistics": Boolean(),
        "logqueries": Boolean(),
        "logreplies": Boolean(),
        "logtagqueryreply": Boolean(),
        "logservfail": Boolean(),
        "loglocalactions": Boolean(),
        "logverbosity": Option(
            default="1",
            required=True,
            options={
                "0": "Level 0",
                "1": "Level 1 (Default)",
                "2": "Level 2",
                "3": "Level 3",
                "4": "Level 4",
                "5": "Level 5",
            },
        ),
        "valloglevel": Option(
            default="0",
            required=True,
            options={"0": "Level 0 (Default)", "1": "Level 1", "2": "Level 2"},
        ),
        "privatedomain": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
        "privateaddress": Network(
            required=True,
            wildcard=False,
            default="0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,"
            "192.0.2.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,"
            "233.252.0.0/24,::1/128,2001:db8::/32,fc00::/8,fd00::/8,fe80::/10",
            as_list=True,
        ),
        "insecuredomain": Csv(mask=r"/\A[^\r\n]*\z/", each=True),
        "msgcachesize": StrictText(
            mask="/[0-9]+[kmg]?/i",
            message="The cache size should be numeric, optionally appended with 'k', 'm', or 'g'.",
        ),
        "rrsetcachesize": StrictText(
            mask="/[0-9]+[kmg]?/i",
            message="The cache size should be numeric, optionally appended with 'k', 'm', or 'g'.",
        ),
        "outgoingnumtcp": Numeric(),
        "incomingnumtcp": Numeric(),
        "numqueriesperthread": Numeric(),
        "outgoingrange": Numeric(),
        "jostletimeout": Numeric(),
        "discardtimeout": Numeric(),
        "cachemaxttl": Numeric(),
        "cachemaxnegativettl": Numeric(),
        "cacheminttl": Numeric(),
        "infrahostttl": Numeric(),
        "infrakeepprobing": Boolean(),
        "infracachenumhosts": Numeric(),
        "unwantedreplythreshold": Numeric(),
    }
)
