"""The appliance's models, by the names that it gives them."""

from homelab_lib.twin.opnsense.models.alias import ALIAS, CATEGORY, GROUP
from homelab_lib.twin.opnsense.models.filter import FILTER
from homelab_lib.twin.opnsense.models.interfaces import ASSIGNMENT, SETTINGS, VLAN
from homelab_lib.twin.opnsense.models.nat import DNAT

_ALL = (VLAN, ASSIGNMENT, SETTINGS, ALIAS, CATEGORY, GROUP, FILTER, DNAT)
MODELS = {each.name: each for each in _ALL}
