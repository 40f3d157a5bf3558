"""What each call of Kubernetes and k3s rests on."""

from homelab_lib.twin.fidelity import Grounds

GROUNDS: tuple[Grounds, ...] = ()
