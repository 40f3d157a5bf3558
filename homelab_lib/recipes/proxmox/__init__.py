"""Proxmox hosts, their network, and the machines on them."""
