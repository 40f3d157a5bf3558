"""What each call of a Proxmox node rests on."""

from homelab_lib.twin.fidelity import Grounds

GROUNDS: tuple[Grounds, ...] = ()
