"""All that the API of a node does."""

from homelab_lib.twin.proxmox import (
    agent,
    apt_calls,
    backup_calls,
    container_calls,
    disk_calls,
    guest_calls,
    making,
    mappings,
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
    | disk_calls.calls
    | apt_calls.calls
    | storage_calls.calls
    | backup_calls.calls
    | guest_calls.calls
    | container_calls.calls
    | making.calls
    | mappings.calls
    | agent.calls
)
