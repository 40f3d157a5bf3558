"""The programs of every Linux machine."""

from homelab_lib.twin.machine.accounts import accounts
from homelab_lib.twin.machine.addresses import addresses
from homelab_lib.twin.machine.archives import archives
from homelab_lib.twin.machine.blocks import blocks
from homelab_lib.twin.machine.cloudflared import cloudflared_programs
from homelab_lib.twin.machine.conditions import conditions
from homelab_lib.twin.machine.copying import copying
from homelab_lib.twin.machine.digests import digests
from homelab_lib.twin.machine.disks import disk_programs
from homelab_lib.twin.machine.exporter import exporter_programs
from homelab_lib.twin.machine.exportfs import exportfs_programs
from homelab_lib.twin.machine.fileutils import fileutils
from homelab_lib.twin.machine.finding import finding
from homelab_lib.twin.machine.firmware import firmware
from homelab_lib.twin.machine.git import git_programs
from homelab_lib.twin.machine.graphics_drivers import graphics_drivers
from homelab_lib.twin.machine.haproxy import haproxy_programs
from homelab_lib.twin.machine.iperf import iperf
from homelab_lib.twin.machine.journal import journal
from homelab_lib.twin.machine.kernel import kernel
from homelab_lib.twin.machine.links import links
from homelab_lib.twin.machine.listing import listing
from homelab_lib.twin.machine.llama_rpc import rpc_programs
from homelab_lib.twin.machine.llama_server import llama_server_programs
from homelab_lib.twin.machine.lspci import lspci_programs
from homelab_lib.twin.machine.markup import markup
from homelab_lib.twin.machine.mounts import mounts
from homelab_lib.twin.machine.netutils import netutils
from homelab_lib.twin.machine.ollama_service import ollama_programs
from homelab_lib.twin.machine.packages import packages
from homelab_lib.twin.machine.permissions import permissions
from homelab_lib.twin.machine.pinging import pinging
from homelab_lib.twin.machine.processes import processes
from homelab_lib.twin.machine.processors import processors
from homelab_lib.twin.machine.restic import restic_programs
from homelab_lib.twin.machine.running import running
from homelab_lib.twin.machine.samba import samba_programs
from homelab_lib.twin.machine.searching import searching
from homelab_lib.twin.machine.sed import sed_programs
from homelab_lib.twin.machine.shadow import shadow
from homelab_lib.twin.machine.system import system
from homelab_lib.twin.machine.systemd import systemd
from homelab_lib.twin.machine.tailscale import tailscale_programs
from homelab_lib.twin.machine.textutils import textutils
from homelab_lib.twin.machine.wireguard import wireguard
from homelab_lib.twin.machine.zpool import zfs_programs

COREUTILS = (
    running,
    textutils,
    searching,
    sed_programs,
    conditions,
    listing,
    digests,
    finding,
    fileutils,
    copying,
    permissions,
)
"""What is in a container image too, however small."""

UNIX = (
    *COREUTILS,
    systemd,
    markup,
    journal,
    accounts,
    system,
    processes,
    processors,
    firmware,
    lspci_programs,
    packages,
    archives,
    kernel,
    graphics_drivers,
    addresses,
    netutils,
    git_programs,
    pinging,
    iperf,
    links,
    blocks,
    disk_programs,
    mounts,
    exporter_programs,
    exportfs_programs,
    samba_programs,
    shadow,
    cloudflared_programs,
    haproxy_programs,
    rpc_programs,
    llama_server_programs,
    ollama_programs,
    restic_programs,
    tailscale_programs,
    wireguard,
    zfs_programs,
)
