"""Rooms, one for each control plane. Whoever enters one has each room's word on what only reads."""

from homelab_lib.control import reads_kubernetes, reads_proxmox, reads_truenas

__all__ = ["reads_kubernetes", "reads_proxmox", "reads_truenas"]
