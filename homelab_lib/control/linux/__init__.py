"""Plain Linux: files, downloads, packages, services, kernel settings and modules."""

from homelab_lib.control.linux.accounts import Account, login
from homelab_lib.control.linux.downloads import Download
from homelab_lib.control.linux.files import File
from homelab_lib.control.linux.kernel import KernelModule, Sysctl
from homelab_lib.control.linux.looking import (
    Place,
    look_at_file,
    look_at_files,
    places,
    read_file,
)
from homelab_lib.control.linux.packages import Packages
from homelab_lib.control.linux.units import SystemdService, look_at_unit

__all__ = [
    "Account",
    "Download",
    "File",
    "KernelModule",
    "Packages",
    "Place",
    "Sysctl",
    "SystemdService",
    "login",
    "look_at_file",
    "look_at_files",
    "look_at_unit",
    "places",
    "read_file",
]
