"""What the methods of SMB shares take: since 25.10 a purpose with its options, before that
single switches.

Source: TrueNAS middleware 25.04 to 26, API model `sharing_smb`.
"""

import re
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, create_model, field_validator, model_validator

from homelab_lib.twin.truenas.arguments.base import (
    ABSENT,
    Arguments,
    LongText,
    Name,
    Path,
    Text,
    changes_of,
)


class Audit(Arguments):
    """Whose access to a share is written down."""

    enable: bool = False
    watch_list: list[Name] = Field([])
    ignore_list: list[Name] = Field([])


class _Hosts(Arguments):
    """Who may connect."""

    hostsallow: list[Text] = Field([])
    hostsdeny: list[Text] = Field([])


class LegacyOptions(_Hosts):
    """Every switch of before 25.10."""

    purpose: Literal["LEGACY_SHARE"]
    recyclebin: bool = False
    path_suffix: Name | None = None
    guestok: bool = False
    streams: bool = True
    durablehandle: bool = True
    shadowcopy: bool = True
    fsrvp: bool = False
    home: bool = False
    acl: bool = True
    afp: bool = False
    timemachine: bool = False
    timemachine_quota: int = Field(0, ge=0, le=100 * 2**40)
    aapl_name_mangling: bool = False
    vuid: Name | None = None
    auxsmbconf: LongText = ""


class DefaultOptions(_Hosts):
    """A share for whoever may."""

    purpose: Literal["DEFAULT_SHARE"]
    aapl_name_mangling: bool = False


class TimeMachineOptions(_Hosts):
    """Backups of Macs."""

    purpose: Literal["TIMEMACHINE_SHARE"]
    timemachine_quota: int = Field(0, ge=0, le=100 * 2**40)
    auto_snapshot: bool = False
    auto_dataset_creation: bool = False
    dataset_naming_schema: Text | None = None
    vuid: Name | None = None


class MultiprotocolOptions(_Hosts):
    """A folder that NFS exports too."""

    purpose: Literal["MULTIPROTOCOL_SHARE"]
    aapl_name_mangling: bool = False


class TimeLockedOptions(_Hosts):
    """Files can't be changed after a while."""

    purpose: Literal["TIME_LOCKED_SHARE"]
    grace_period: int = Field(900, ge=60, le=15_552_000)
    aapl_name_mangling: bool = False


class PrivateOptions(_Hosts):
    """A dataset for each user."""

    purpose: Literal["PRIVATE_DATASETS_SHARE"]
    dataset_naming_schema: Text | None = None
    auto_quota: int = Field(0, ge=0)
    aapl_name_mangling: bool = False


class ExternalOptions(Arguments):
    """A referral to another server."""

    purpose: Literal["EXTERNAL_SHARE"]
    remote_path: list[Name]


class VeeamOptions(_Hosts):
    """A repository of backups."""

    purpose: Literal["VEEAM_REPOSITORY_SHARE"]


class FinalCutOptions(_Hosts):
    """Libraries of Final Cut Pro."""

    purpose: Literal["FCP_SHARE"]
    aapl_name_mangling: Literal[True] = True


_ALL = (
    LegacyOptions,
    DefaultOptions,
    TimeMachineOptions,
    MultiprotocolOptions,
    TimeLockedOptions,
    PrivateOptions,
    ExternalOptions,
    VeeamOptions,
    FinalCutOptions,
)


def _without_hosts(model: type[Arguments]) -> type[Arguments]:
    """Options as 25.10.0 had them: only the old kind of share named hosts."""
    if model is LegacyOptions:
        return model
    fields: dict[str, Any] = {
        name: (info.annotation, info)
        for name, info in model.model_fields.items()
        if name not in _Hosts.model_fields
    }
    return create_model(f"{model.__name__}First", __base__=Arguments, **fields)


def _options(models: tuple[type[Arguments], ...]) -> Any:
    return Annotated[reduce(or_, models), Field(discriminator="purpose")] | None


def _purposes(models: tuple[type[Arguments], ...]) -> Any:
    return Literal[tuple(get_args(model.model_fields["purpose"].annotation)[0] for model in models)]


_FIRST = tuple(_without_hosts(model) for model in _ALL if model is not FinalCutOptions)


class _Share(Arguments):
    """What every share since 25.10 has."""

    name: Text
    path: Path | Literal["EXTERNAL"]
    enabled: bool = True
    comment: Text = ""
    readonly: bool = False
    browsable: bool = True
    access_based_share_enumeration: bool = False
    audit: Audit = Field(default_factory=Audit)

    @field_validator("name", check_fields=False)
    @classmethod
    def _sound(cls, name: str) -> str:
        if found := sorted(set(re.findall(r'[\\/\[\]:|<>+=;,*?"\x00-\x1f]', name))):
            text = f"{name}: share name contains the following invalid characters: "
            raise ValueError(text + ", ".join(found))
        if not name or name.strip().lower() in ("global", "printers", "homes"):
            raise ValueError(f"{name} is a reserved section name, please select another one")
        return name

    @model_validator(mode="after")
    def _together(self) -> "_Share":
        given = self.model_fields_set
        if "options" in given and "purpose" not in given:
            raise ValueError("You must set `purpose` if you set `options`.")
        options, purpose = (getattr(self, name, None) for name in ("options", "purpose"))
        if options not in (None, ABSENT) and options.purpose != purpose:
            raise ValueError(f"{options.purpose}: these are options of another purpose")
        return self


class ShareCreateFirst(_Share):
    """A new share in 25.10.0."""

    purpose: _purposes(_FIRST) = "DEFAULT_SHARE"  # type: ignore[valid-type]
    options: _options(_FIRST) = None  # type: ignore[valid-type]


class ShareCreate(_Share):
    """A new share since 25.10.1."""

    purpose: _purposes(_ALL) = "DEFAULT_SHARE"  # type: ignore[valid-type]
    options: _options(_ALL) = None  # type: ignore[valid-type]


class OldShareCreate(Arguments):
    """A new share in 25.04."""

    purpose: Literal[
        "NO_PRESET",
        "DEFAULT_SHARE",
        "TIMEMACHINE",
        "ENHANCED_TIMEMACHINE",
        "MULTI_PROTOCOL_NFS",
        "PRIVATE_DATASETS",
        "WORM_DROPBOX",
    ] = "DEFAULT_SHARE"
    path: Path
    path_suffix: Text = ""
    home: bool = False
    name: Name
    comment: Text = ""
    ro: bool = False
    browsable: bool = True
    timemachine: bool = False
    timemachine_quota: int = Field(0, ge=0)
    recyclebin: bool = False
    guestok: bool = False
    abe: bool = False
    hostsallow: list[Text] = Field([])
    hostsdeny: list[Text] = Field([])
    aapl_name_mangling: bool = False
    acl: bool = True
    durablehandle: bool = True
    shadowcopy: bool = True
    streams: bool = True
    fsrvp: bool = False
    auxsmbconf: LongText = ""
    enabled: bool = True
    afp: bool = False
    audit: Audit = Field(default_factory=Audit)


ShareUpdateFirst = changes_of(ShareCreateFirst)
ShareUpdate = changes_of(ShareCreate)
OldShareUpdate = changes_of(OldShareCreate)
