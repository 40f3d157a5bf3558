"""Graphics cards: given to VMs, driven there, and shown to containers."""
