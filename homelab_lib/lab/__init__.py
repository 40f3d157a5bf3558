"""The description of a lab: its schema, its catalog of parts, the loader and the topology."""

from homelab_lib.lab.lab import Lab
from homelab_lib.lab.loader import load_lab

__all__ = ["Lab", "load_lab"]
