"""One room for each control plane; nothing else knows how to change a host.

Whoever enters has each room's word on what of its appliance only reads, and on which of its answers
mean "not yet", and how it is told that a machine has come up whole. Where an appliance keeps
many things of one shape, a room has one resource for all of them and a table of what they look
like (`truenas.families`, `proxmox.options`), so that the next one is an entry in that table.
"""

from homelab_lib.control.backup_server import reads as _backup_server
from homelab_lib.control.kubernetes import busy as _kubernetes_busy
from homelab_lib.control.kubernetes import reads as _kubernetes
from homelab_lib.control.linux import afterwards as _linux_afterwards
from homelab_lib.control.linux import busy as _linux_busy
from homelab_lib.control.opnsense import afterwards as _opnsense_afterwards
from homelab_lib.control.opnsense import busy as _opnsense_busy
from homelab_lib.control.opnsense import probe as _opnsense_probe
from homelab_lib.control.opnsense import reads as _opnsense
from homelab_lib.control.proxmox import afterwards as _proxmox_afterwards
from homelab_lib.control.proxmox import busy as _proxmox_busy
from homelab_lib.control.proxmox import reads as _proxmox
from homelab_lib.control.truenas import afterwards as _truenas_afterwards
from homelab_lib.control.truenas import busy as _truenas_busy
from homelab_lib.control.truenas import reads as _truenas

READS = (_backup_server, _kubernetes, _opnsense, _opnsense_probe, _proxmox, _truenas)
"""Modules that declare which calls only read; importing them registers that."""

BUSY = (_kubernetes_busy, _linux_busy, _opnsense_busy, _proxmox_busy, _truenas_busy)
"""Modules that declare which answers mean "not yet"; importing them registers that."""
AFTERWARDS = (
    _linux_afterwards,
    _opnsense_afterwards,
    _proxmox_afterwards,
    _truenas_afterwards,
)
"""Modules that compare what runs with what is written after a start; importing registers that."""
