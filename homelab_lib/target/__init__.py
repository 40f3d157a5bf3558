"""Where a runbook runs: an embedded twin, one that stands by itself, or the real hosts."""

from homelab_lib.target.ssh import SshTarget
from homelab_lib.target.twin import Decayed, TwinTarget

__all__ = ["Decayed", "SshTarget", "TwinTarget"]
