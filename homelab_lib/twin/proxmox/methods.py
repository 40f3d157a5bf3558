"""All that the API of a node does."""

from homelab_lib.twin.proxmox import agent, guest_calls, making, node_calls, storage_calls
from homelab_lib.twin.proxmox.api import Methods

METHODS = Methods(
    node_calls.calls | storage_calls.calls | guest_calls.calls | making.calls | agent.calls
)
