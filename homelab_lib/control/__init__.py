"""One room for each control plane; nothing else knows how to change a host.

Whoever enters has each room's word on what of its appliance only reads. Where an appliance keeps
many things of one shape, a room has one resource for all of them and a table of what they look
like (`truenas.families`, `proxmox.options`), so that the next one is an entry in that table.
"""

from homelab_lib.control.kubernetes import reads as _kubernetes
from homelab_lib.control.proxmox import reads as _proxmox
from homelab_lib.control.truenas import reads as _truenas

READS = (_kubernetes, _proxmox, _truenas)
"""Modules that declare which calls only read; importing them registers that."""
