"""What each program of a Linux machine rests on."""

from homelab_lib.twin.fidelity import Grounds

GROUNDS: tuple[Grounds, ...] = ()
