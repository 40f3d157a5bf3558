"""What makes a cluster fit for daily use: its ingress, its certificates, who watches it and who is
told, and the repository that it is kept by."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from homelab_lib.lab.base import (
    AbsolutePath,
    Address,
    DnsName,
    Form,
    Positive,
    Record,
    SecretReference,
    Slug,
    Url,
)

_YEAR_H = 365 * 24


class Ingress(Record):
    """The way in to a cluster's web services, which k3s brings along."""

    service: Slug = Field(description="The service that it is.")
    class_name: Slug = Field("traefik", description="Its ingress class.")
    redirect_to_https: bool = Field(True, description="Whether http:// is sent on to https://.")


class Authority(Record):
    """A certificate authority of the house's own."""

    name: Slug = Field("homelab-ca", description="Its name in the cluster.")
    common_name: str = Field(description="Its name in certificates.", min_length=1, max_length=64)
    valid_h: Positive = Field(10 * _YEAR_H, description="How long it is valid [h].")
    renew_before_h: Positive = Field(_YEAR_H, description="How long before its end it renews [h].")


class Acme(Record):
    """Certificates that everybody trusts, by proving that a DNS zone is ours."""

    name: Slug = Field("letsencrypt", description="Its name in the cluster.")
    server: Url = Field(description="Directory of the authority; begin with its staging one.")
    email: str = Field(description="Whom it writes to.")
    zones: tuple[DnsName, ...] = Field(min_length=1, description="DNS zones that are ours.")
    token: SecretReference = Field(description="Cloudflare token: Zone DNS Edit, Zone Read.")
    resolvers: tuple[str, ...] = Field(
        ("1.1.1.1:53", "9.9.9.9:53"),
        description="DNS servers that see the zone as the world does: 'address:port'.",
    )


class Certificates(Record):
    """Who issues the certificates of a cluster's services, and who trusts them."""

    service: Slug = Field(description="The service that asks for them.")
    authority: Authority = Field(description="The house's own authority.")
    acme: Acme | None = Field(None, description="A public one, for names in its zones.")
    valid_h: Positive = Field(2160, description="How long a service's certificate is valid [h].")
    trusted_by: tuple[Slug, ...] = Field((), description="Hosts that get the authority's root.")


class Target(Record):
    """Something outside of the cluster that tells numbers of itself."""

    name: Slug = Field(description="What it is called.")
    address: Address = Field(description="Where it is asked.")
    exporter: Literal["node", "graphite", "nut", "pve"] = Field(
        "node",
        description="By what: the node exporter on it, which a TrueNAS gets as an app; or one in "
        "the cluster that is told by a TrueNAS and hears nothing of pools (graphite), asks a UPS's "
        "server (nut), or Proxmox's API (pve).",
    )
    port: Positive = Field(9100, description="TCP port of a node exporter.")
    node_port: Annotated[int, Field(ge=30000, le=32767)] | None = Field(
        None, description="Port of the nodes to which a TrueNAS sends its numbers."
    )
    token_id: Annotated[str, Form(r"[\w.-]+@[\w-]+![\w.-]+", "USER@REALM!TOKEN")] | None = Field(
        None, description="Token of Proxmox's API, of a user with the role PVEAuditor alone."
    )
    token: SecretReference | None = Field(None, description="The token's value.")
    watches: tuple[Literal["host", "pool", "link", "ups"], ...] = Field(
        ("host",), description="What its numbers are about."
    )

    @model_validator(mode="after")
    def _has_what_its_exporter_needs(self) -> Self:
        needs = {"graphite": ("node_port",), "pve": ("token_id", "token")}
        for key in ("node_port", "token_id", "token"):
            wanted = key in needs.get(self.exporter, ())
            if wanted and getattr(self, key) is None:
                raise ValueError(f"target {self.name!r} by {self.exporter} needs a {key}")
            if not wanted and getattr(self, key) is not None:
                raise ValueError(f"target {self.name!r} by {self.exporter} has no {key}")
        if self.exporter != "node" and {"pool", "link"} & set(self.watches):
            raise ValueError(f"a {self.exporter} exporter tells nothing of pool or link")
        if "ups" in self.watches and self.exporter not in ("node", "nut"):
            raise ValueError("ups is watched by the exporter nut")
        return self


class Receiver(Record):
    """Who is told of alerts, and how."""

    kind: Literal["webhook", "telegram"] = Field("webhook", description="How.")
    secret: SecretReference = Field(description="The webhook's address, or the bot's token.")
    chat: int | None = Field(None, description="Telegram's number of the chat.")


class Monitoring(Record):
    """Who watches the house."""

    service: Slug = Field(description="The service that does.")
    storage_class: Slug = Field("local-path", description="Where it keeps its numbers.")
    storage: Annotated[str, Form(r"[1-9]\d*[GT]i", "a size such as 50Gi")] = Field(
        "50Gi", description="How much it keeps, in quotes."
    )
    retention_d: Positive = Field(15, description="How long it keeps them [d].")
    targets: tuple[Target, ...] = Field((), description="What it asks besides the cluster.")
    nvidia: Slug | None = Field(None, description="The service that tells of NVIDIA's cards.")
    receiver: Receiver | None = Field(None, description="Who is told.")


class GitOps(Record):
    """The repository that a cluster is kept by."""

    service: Slug = Field(description="The service that keeps it.")
    host: Slug = Field(description="The machine with the repository.")
    address: Address = Field(description="Where the cluster reaches that machine.")
    user: Slug = Field(description="The user that the repository belongs to.")
    path: AbsolutePath = Field(description="The bare repository.")
    branch: Slug = Field("main", description="Its branch.")
    deploy_key: SecretReference = Field(description="The private key that may read it by SSH.")
    deploy_key_public: SecretReference = Field(
        description="Its public half: no secret, and had from where the other is."
    )


class Move(Record):
    """A claim whose data go to another storage class; the old one is kept."""

    namespace: Slug = Field(description="Its namespace.")
    claim: Slug = Field(description="The claim.")
    to: Slug = Field(description="The new claim beside it.")
    storage_class: Slug = Field(description="The class of the new claim.")
    node: Slug | None = Field(
        None,
        description="The machine on which the new claim is to lie, of a class that is a folder of "
        "one; none: where the cluster puts it.",
    )
    phase: Positive = Field(description="Phase that does it.")
