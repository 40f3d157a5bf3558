"""What the methods of apps take.

Source: TrueNAS middleware 25.04 to 26, API models `docker` and `app`.
"""

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, Field, HttpUrl, StringConstraints, TypeAdapter

from homelab_lib.twin.truenas.arguments.base import (
    Arguments,
    Interface,
    LongText,
    Name,
    Text,
    absent,
    changes_of,
)

_URL = TypeAdapter(HttpUrl)


def _web_address(value: str) -> str:
    _URL.validate_python(value)
    return value


def _ipv6(value: str) -> str:
    if ipaddress.ip_interface(value).version != 6:
        raise ValueError("cidr_v6 must be an IPv6 address.")
    return value


Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2083),
    AfterValidator(_web_address),
    Field(json_schema_extra={"format": "uri"}),
]


class AddressPool(Arguments):
    """Where apps' networks get their addresses."""

    base: Interface
    size: int = Field(ge=1)


class Mirror(Arguments):
    """A registry to ask first, in 26."""

    url: Url
    insecure: bool


class OldDocker(Arguments):
    """Where apps are kept, and how they are reached, in 25.04."""

    enable_image_updates: bool
    pool: Name | None
    nvidia: bool
    address_pools: list[AddressPool]
    cidr_v6: Annotated[Interface, AfterValidator(_ipv6)]


class Docker(OldDocker):
    """The same in 25.10."""

    secure_registry_mirrors: list[Url]
    insecure_registry_mirrors: list[Url]
    migrate_applications: bool


OldDockerUpdate = changes_of(OldDocker)
DockerUpdate = changes_of(Docker)
DockerUpdate26 = changes_of(
    Docker,
    *("nvidia", "secure_registry_mirrors", "insecure_registry_mirrors"),
    registry_mirrors=(list[Mirror], absent()),
)


class AppCreate(Arguments):
    """A new app, of the catalog or of one's own."""

    custom_app: bool = False
    values: dict[str, Any] = Field(default_factory=dict)
    custom_compose_config: dict[str, Any] = Field(default_factory=dict)
    custom_compose_config_string: LongText = ""
    catalog_app: Text | None = None
    app_name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=40, pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$"),
    ]
    train: Name = "stable"
    version: Name = "latest"


class AppUpdate(Arguments):
    """Other values of an app."""

    values: dict[str, Any] = Field(default_factory=dict)
    custom_compose_config: dict[str, Any] = Field(default_factory=dict)
    custom_compose_config_string: LongText = ""
