"""How each kind of thing in a lab is made, as steps.

Things carry the phase that makes them. The runbook of a phase is the recipes of its things, in
the order in which they need each other (`phase.py`); so any lab has runbooks. What they make is
found by what it is: `nas`, `firewall`, `proxmox`, `kubernetes` …
"""

from homelab_lib.recipes.phase import first, meant, named, runbook, runbooks

__all__ = ["first", "meant", "named", "runbook", "runbooks"]
