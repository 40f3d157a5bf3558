"""What each call of a TrueNAS rests on."""

from homelab_lib.twin.fidelity import Grounds

GROUNDS: tuple[Grounds, ...] = ()
