"""The programs of every Linux machine."""

from homelab_lib.twin.machine.accounts import accounts
from homelab_lib.twin.machine.conditions import conditions
from homelab_lib.twin.machine.fileutils import fileutils
from homelab_lib.twin.machine.kernel import kernel
from homelab_lib.twin.machine.listing import listing
from homelab_lib.twin.machine.mounts import mounts
from homelab_lib.twin.machine.netutils import netutils
from homelab_lib.twin.machine.packages import packages
from homelab_lib.twin.machine.permissions import permissions
from homelab_lib.twin.machine.system import system
from homelab_lib.twin.machine.systemd import systemd
from homelab_lib.twin.machine.textutils import textutils

COREUTILS = (textutils, conditions, listing, fileutils, permissions)
"""What is in a container image too, however small."""

UNIX = (*COREUTILS, systemd, accounts, system, packages, kernel, netutils, mounts)
