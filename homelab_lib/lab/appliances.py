"""What is set up on firewalls, NASes and other machines, each under the machine that does it."""

from typing import Annotated

from pydantic import Field

from homelab_lib.lab.backup_server import BackupServer
from homelab_lib.lab.backups import Backups
from homelab_lib.lab.base import BY_NAME, Interface, Record, Slug
from homelab_lib.lab.firewall import Firewall
from homelab_lib.lab.naming import DhcpServer, DnsServer, TimeClient
from homelab_lib.lab.nas import Nas
from homelab_lib.lab.power import ProxmoxCluster, Ups
from homelab_lib.lab.remote import CloudflareTunnel, InternetAccess, Tailscale, WireGuard

Tunnels = Annotated[dict[Interface, WireGuard], BY_NAME]


class Appliances(Record):
    """All of it, as keys of the lab's document."""

    internet: Annotated[dict[Slug, InternetAccess], BY_NAME] = Field(
        {}, description="Lines to internet providers."
    )
    firewalls: Annotated[dict[Slug, Firewall], BY_NAME] = Field(
        {}, description="Packet filter, translation and inspection, by host."
    )
    dhcp: Annotated[dict[Slug, DhcpServer], BY_NAME] = Field(
        {}, description="Addresses that are given out, by the host that serves them."
    )
    dns: Annotated[dict[Slug, DnsServer], BY_NAME] = Field(
        {}, description="Names of the house, by the host that serves them."
    )
    ntp: Annotated[dict[Slug, TimeClient], BY_NAME] = Field(
        {}, description="Where hosts get the time, by host."
    )
    wireguard: dict[Slug, Tunnels] = Field(
        {}, description="WireGuard, by host and interface, such as 'wg0'."
    )
    tailscale: Annotated[dict[Slug, Tailscale], BY_NAME] = Field(
        {}, description="Tailscale, by host or VM."
    )
    cloudflare_tunnels: Annotated[dict[Slug, CloudflareTunnel], BY_NAME] = Field(
        {}, description="Tunnels to Cloudflare."
    )
    nas: Annotated[dict[Slug, Nas], BY_NAME] = Field(
        {}, description="Users, copies and tests of NASes, by host."
    )
    upses: Annotated[dict[Slug, Ups], BY_NAME] = Field(
        {}, description="Uninterruptible power supplies."
    )
    proxmox_clusters: Annotated[dict[Slug, ProxmoxCluster], BY_NAME] = Field(
        {}, description="Proxmox hosts that are one cluster."
    )
    backup_servers: Annotated[dict[Slug, BackupServer], BY_NAME] = Field(
        {}, description="Proxmox Backup Servers, by the host or VM that is one."
    )
    backups: Backups = Field(
        Backups(), description="What is kept besides itself, and brought back to see that it can."
    )
