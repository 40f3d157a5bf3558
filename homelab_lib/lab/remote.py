"""Ways in from outside, and out to the world: the provider, WireGuard, Tailscale, Cloudflare."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from homelab_lib.lab.base import (
    BY_NAME,
    Cidr,
    DnsName,
    Form,
    Ip,
    Listed,
    Made,
    Mtu,
    Network,
    Positive,
    Record,
    SecretReference,
    Slug,
    Tcp,
    Url,
)
from homelab_lib.lab.quantities import LinkSpeed


def _wireguard_key(value: str) -> str:
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != 32:
        raise ValueError("write a WireGuard public key: 32 bytes in base64, 44 characters")
    return value


PublicWireGuardKey = Annotated[
    str,
    AfterValidator(_wireguard_key),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}),
]
Endpoint = Annotated[
    str,
    Form(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+):\d{1,5}", "host and port, such as vpn.example:51820"),
]


class InternetAccess(Made):
    """A line to an internet provider."""

    port: str = Field(description="Where it arrives: 'host.port'.")
    provider: str = Field("", description="Who provides it.")
    kind: Literal["dhcp", "pppoe", "static", "mobile"] = Field(
        "dhcp", description="How the address outside is come by."
    )
    down_bps: LinkSpeed | None = Field(None, description="Speed towards the house [bit/s].")
    up_bps: LinkSpeed | None = Field(None, description="Speed towards the world [bit/s].")
    public_address: bool | None = Field(
        None, description="Whether it is reached from outside; false behind a provider's NAT."
    )
    user: SecretReference | None = Field(None, description="Where a PPPoE login is kept.")
    password: SecretReference | None = Field(None, description="Where its password is kept.")


class WireGuardPeer(Made):
    """Who may come in by a WireGuard tunnel."""

    public_key: PublicWireGuardKey | None = Field(
        None, description="Its public key; none: not known yet."
    )
    private_key: SecretReference | None = Field(
        None, description="Where its private key is kept, if we make it; none: it made it itself."
    )
    preshared_key: SecretReference | None = Field(
        None, description="Where a preshared key is kept, if there is one."
    )
    addresses: tuple[Cidr, ...] = Field(
        min_length=1, description="Its addresses in the tunnel, such as 10.9.9.2/32."
    )
    routes: tuple[Network, ...] = Field(
        (), description="Networks behind it, of a site and not of a phone."
    )
    allowed: tuple[Network, ...] = Field(
        (), description="What it sends through the tunnel; empty: all of the lab's subnets."
    )
    dns: tuple[Ip, ...] = Field((), description="Name servers it is told.")
    endpoint: Endpoint | None = Field(None, description="Where it listens itself, of a site.")
    keepalive_s: Positive | None = Field(None, description="How often it shows itself [s].")


class WireGuard(Made):
    """A WireGuard interface of a host."""

    port: Tcp = Field(51820, description="UDP port it listens on.")
    addresses: tuple[Cidr, ...] = Field(
        min_length=1, description="Its own addresses in the tunnel, such as 10.9.9.1/24."
    )
    private_key: SecretReference | None = Field(
        None, description="Where its private key is kept; none: the host makes it and keeps it."
    )
    endpoint: DnsName | Ip | None = Field(
        None, description="Name or address by which peers find it from outside."
    )
    mtu: Mtu | None = Field(None, description="Largest packet in the tunnel [bytes].")
    peers: Annotated[dict[Slug, WireGuardPeer], BY_NAME] = Field({}, description="Who may come in.")


class PackageSource(Record):
    """Where packages are from that the distribution does not have."""

    keyring: Slug = Field(description="Download with the key that signs them.")
    url: Url = Field(description="Address, such as https://pkgs.tailscale.com/stable/debian.")
    suite: Annotated[str, Form(r"[a-z0-9./-]+", "a suite, such as trixie")] = Field(
        description="The distribution's release, in its source's words."
    )
    component: Annotated[str, Form(r"[a-z0-9-]+", "a component, such as main")] = Field(
        "main", description="Component of the source."
    )


class Tailscale(Made):
    """Tailscale on a host. Its key is the host's name."""

    source: PackageSource | None = Field(
        None, description="Where its package is from; none: it is there, or the distribution's."
    )

    auth_key: SecretReference | None = Field(
        None, description="Where a key for joining is kept; none: somebody logs in by hand."
    )
    login_server: Url = Field(
        "https://controlplane.tailscale.com",
        description="Who coordinates: Tailscale, or Headscale.",
    )
    hostname: Slug | None = Field(None, description="Its name there; none: the host's.")
    routes: tuple[Network, ...] = Field((), description="Subnets that it leads to.")
    exit_node: bool = Field(False, description="Whether it leads to the internet, too.")
    accept_routes: bool = Field(False, description="Whether it uses what others lead to.")
    accept_dns: bool = Field(False, description="Whether it takes Tailscale's name servers.")
    snat: bool = Field(True, description="Whether what comes through looks like its own.")
    ssh: bool = Field(False, description="Whether Tailscale answers SSH.")
    tags: tuple[
        Annotated[str, Form(r"tag:[A-Za-z][A-Za-z0-9-]*", "a tag, such as tag:server")], ...
    ] = Field((), description="Tags it asks for.")


class Ingress(Listed):
    """A name of a tunnel, and what it leads to."""

    hostname: DnsName = Field(description="Name in the world.")
    service: Annotated[
        str, Form(r"(https?|tcp|ssh|rdp)://\S+|http_status:\d{3}", "such as http://10.0.30.21:80")
    ] = Field(description="Where it leads.")
    who: str = Field(
        "", description="Policy of Cloudflare Access before it; empty: everybody in the world."
    )


class CloudflareTunnel(Made):
    """A tunnel to Cloudflare, by which a service is reached without an open port."""

    runs_on: Slug = Field(description="Host, VM or cluster where cloudflared runs.")
    token: SecretReference = Field(description="Where the tunnel's token is kept.")
    source: PackageSource | None = Field(
        None, description="Where its package is from; none: it is there, or the distribution's."
    )
    ingress: tuple[Ingress, ...] = Field((), description="What it leads to, in order.")
