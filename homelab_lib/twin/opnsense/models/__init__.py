"""The appliance's models, by the names that it gives them."""

from homelab_lib.twin.opnsense.models.accounts import USER, USER_GROUP
from homelab_lib.twin.opnsense.models.alias import ALIAS
from homelab_lib.twin.opnsense.models.assignment import ASSIGNMENT
from homelab_lib.twin.opnsense.models.bundles import BRIDGE, LAGG
from homelab_lib.twin.opnsense.models.cron import CRON
from homelab_lib.twin.opnsense.models.dnsmasq import DNSMASQ
from homelab_lib.twin.opnsense.models.filter import FILTER
from homelab_lib.twin.opnsense.models.grouping import CATEGORY, GROUP
from homelab_lib.twin.opnsense.models.ids import IDS
from homelab_lib.twin.opnsense.models.interfaces import SETTINGS, VLAN
from homelab_lib.twin.opnsense.models.kea import KEA
from homelab_lib.twin.opnsense.models.monit import MONIT
from homelab_lib.twin.opnsense.models.nat import DNAT
from homelab_lib.twin.opnsense.models.routing import GATEWAY_GROUPS, GATEWAYS, ROUTE
from homelab_lib.twin.opnsense.models.system import SYSLOG, TUNABLES
from homelab_lib.twin.opnsense.models.unbound import UNBOUND
from homelab_lib.twin.opnsense.models.virtual_ips import VIP
from homelab_lib.twin.opnsense.models.wireguard import INSTANCE, PEER, WIREGUARD

_ALL = (
    *(VLAN, ASSIGNMENT, SETTINGS, ALIAS, CATEGORY, GROUP, FILTER, DNAT),
    *(DNSMASQ, UNBOUND, IDS, CRON, KEA, PEER, INSTANCE, WIREGUARD),
    *(GATEWAYS, GATEWAY_GROUPS, ROUTE, USER, USER_GROUP, BRIDGE, LAGG, VIP, MONIT, SYSLOG),
    TUNABLES,
)
MODELS = {each.name: each for each in _ALL}
