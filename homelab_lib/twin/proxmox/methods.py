"""All that the API of a node does."""

from homelab_lib.twin.proxmox import (
    agent,
    guest_calls,
    making,
    network_calls,
    nics,
    node_calls,
    storage_calls,
)
from homelab_lib.twin.proxmox.api import Methods

METHODS = Methods(
    node_calls.calls
    | network_calls.calls
    | nics.calls
    | storage_calls.calls
    | guest_calls.calls
    | making.calls
    | agent.calls
)
