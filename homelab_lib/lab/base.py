"""What all records of the lab's description share: the model's rules, names and quantities."""

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, GroupedMetadata, Gt, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from homelab_lib.secret import is_reference
from homelab_lib.units import parse_bps, parse_bytes

# Names -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form(GroupedMetadata):
    """Text of a certain form; it stands in an ``Annotated[str, …]``.

    Parameters
    ----------
    pattern
        Regular expression that the whole text must match.
    wording
        The same for a person, as the end of "write …".
    """

    pattern: str
    wording: str

    def __iter__(self) -> Iterator[object]:
        form = re.compile(self.pattern)

        def check(value: str) -> str:
            if not form.fullmatch(value):
                raise ValueError(f"write {self.wording}")
            return value

        yield AfterValidator(check)
        yield WithJsonSchema({"type": "string", "pattern": f"^(?:{self.pattern})$"})


Slug = Annotated[
    str,
    Form(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "lower-case letters, digits and hyphens, 63 at most, as DNS has it",
    ),
]
PortName = Annotated[
    str, Form(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,30}", "letters, digits and any of _ + -, 31 at most")
]
DiskName = PortName
_POOL = r"(?!mirror|raidz|draid|spare|log(?:/|$))[A-Za-z][A-Za-z0-9_.: -]{0,238}"
_COMPONENT = r"(?!\.\.?(?:/|$))[A-Za-z0-9_.: -]+"
PoolName = Annotated[
    str,
    Form(
        _POOL,
        "a pool's name as zpool takes it: a letter, then letters, digits, spaces and any of "
        "_ - . :; it can't be log, nor begin with mirror, raidz, draid or spare",
    ),
]
"""ZFS pool, by ``pool_namecheck`` and ``zpool_name_valid`` of OpenZFS 2.3."""
DatasetName = Annotated[
    str,
    Form(
        rf"(?=.{{1,255}}$){_POOL}(/{_COMPONENT}){{1,49}}",
        "pool/name as zfs takes it, such as tank/media: letters, digits, spaces and any of _ - . :",
    ),
]
"""ZFS dataset, by ``entity_namecheck`` and ``dataset_nestcheck`` of OpenZFS 2.3."""
StorageId = Annotated[
    str,
    Form(
        r"[A-Za-z][A-Za-z0-9_.-]*[A-Za-z0-9]",
        "a storage's id as Proxmox takes it: a letter, then letters, digits and any of _ - ., "
        "a letter or digit at its end",
    ),
]
"""Proxmox VE's format ``pve-storage-id``, by its PVE::JSONSchema."""
ZfsName = Annotated[
    str,
    Form(
        rf"(?=.{{1,255}}$){_POOL}(/{_COMPONENT}){{0,49}}",
        "a pool's or a dataset's name as zfs takes it",
    ),
]
ShareName = Annotated[
    str,
    Form(
        r"(?!(?:[Gg]lobal|[Pp]rinters|[Hh]omes)$)[^\x00-\x1f\\/\[\]:|<>+=;,*?\"]{1,80}",
        "a share's name: 80 characters at most, none of \\ / [ ] : | < > + = ; , * ? \", "
        "and not global, printers or homes",
    ),
]
Ref = Annotated[
    str, Form(r"[^.\s]+\.\S.*", "the machine and the name, joined by a dot, such as nas.tank")
]
"""Something that stands under a machine, named from outside of that: ``truenas.tank/media``."""
Interface = Annotated[
    str, Form(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", "an interface's name, 15 characters at most")
]
AbsolutePath = Annotated[str, Form(r"/[^\x00-\x1f]*", "an absolute path")]
User = Annotated[str, Form(r"[a-z_][a-z0-9_-]{0,31}", "a Unix user's name")]
DnsName = Annotated[str, Form(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "a DNS name in lower case")]
Address = Annotated[str, Form(r"[A-Za-z0-9][A-Za-z0-9.:_-]*", "an IP address or a host's name")]
Url = Annotated[str, Form(r"(https?|oci)://\S+", "an address that begins with https://")]
Sha256 = Annotated[str, Form(r"[0-9a-f]{64}", "64 hexadecimal digits in lower case")]
PublicKey = Annotated[
    str, Form(r"file:.+|(ssh|ecdsa|sk)-\S+ \S+[^\n]*", "a public key, or file: and the path of one")
]
FileMode = Annotated[str, Form(r"0?[0-7]{3}", "octal digits in quotes, such as '0644'")]
FolderMode = Annotated[str, Form(r"[0-7]?[0-7]{3}", "octal digits in quotes, such as '2770'")]


def _mac(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}", value):
        raise ValueError("write a MAC address, such as 02:00:00:aa:bb:cc")
    return value.lower()


def cidr(value: str) -> str:
    """An interface's address, kept as it is written; ValueError without prefix length."""
    if "/" not in value:
        raise ValueError("write the prefix length, too, such as 10.0.30.10/24")
    ipaddress.ip_interface(value)
    return value


def _checked(check: Any) -> AfterValidator:
    """Text that `check` accepts, kept as it is written."""

    def keep(value: str) -> str:
        check(value)
        return value

    return AfterValidator(keep)


Mac = Annotated[str, AfterValidator(_mac)]
Ip = Annotated[str, _checked(ipaddress.ip_address)]
Cidr = Annotated[str, AfterValidator(cidr)]
"""An interface's address with its prefix length: ``10.0.30.10/24``."""
Network = Annotated[str, _checked(ipaddress.ip_network)]
"""A network without host bits: ``10.0.30.0/24``."""
Network6 = Annotated[str, _checked(ipaddress.IPv6Network)]
Ip6 = Annotated[str, _checked(ipaddress.IPv6Address)]

# Secrets -----------------------------------------------------------------------------------------


def _reference(value: Any) -> str:
    if not is_reference(value):
        # What was found is not said: it may be the secret itself.
        raise PydanticCustomError(
            "not_a_reference",
            "a secret is never written here; write env:NAME, file:/PATH or keyring:SERVICE/USER",
        )
    return value


SecretReference = Annotated[
    str,
    BeforeValidator(_reference),
    WithJsonSchema({"type": "string", "format": "secret-reference"}),
]
"""Where a secret is to be had; see `homelab_lib.secret.resolve`."""

# Quantities --------------------------------------------------------------------------------------


def _quantity(parse: Any) -> BeforeValidator:
    """Text with a unit, or a plain number, as a whole number of the base unit."""

    def whole(value: Any) -> Any:
        if isinstance(value, str):
            value = parse(value)
        return int(value) if isinstance(value, float) and value.is_integer() else value

    return BeforeValidator(whole)


def _schema(example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": [example]}
    )


Bytes = Annotated[int, Strict(), Ge(0), _quantity(parse_bytes), _schema("14 TB")]
"""Bytes; in YAML also ``14 TB`` (10^12) or ``32 GiB`` (2^30)."""

Size = Annotated[Bytes, Gt(0)]
"""Bytes of something that is there: memory, a disk."""

BitsPerSecond = Annotated[int, Strict(), Ge(0), _quantity(parse_bps), _schema("2.5 Gb/s")]
"""Bits per second; in YAML also ``2.5 Gb/s``."""

Count = Annotated[int, Strict(), Ge(0)]
Positive = Annotated[int, Strict(), Gt(0)]
Number = Annotated[float, Strict(), Ge(0)]
"""Any quantity that can't be negative; its unit stands in the field's name."""
Fraction = Annotated[float, Strict(), Ge(0), Le(1)]
VlanId = Annotated[int, Strict(), Ge(1), Le(4094)]
Tcp = Annotated[int, Strict(), Ge(1), Le(65535)]
Mtu = Annotated[int, Strict(), Ge(552), Le(9216)]

Phase = Annotated[int | None, Field(strict=True, ge=1)]

Names = tuple[Slug, ...]

# Records -----------------------------------------------------------------------------------------


class Record(BaseModel):
    """A part of the description: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Named(Record):
    """A record that stands under its name in a mapping."""

    name: SkipJsonSchema[str] = Field("", description="Its key in the mapping; never written.")
    notes: tuple[str, ...] = Field((), description="What is known of it and has no field here.")
    assumed: str = Field("", description="Why something of it is invented; empty: nothing is.")


class Made(Named):
    """A named thing that a phase makes, or that is there already."""

    phase: Phase = Field(None, description="Phase that makes it.")
    exists: bool = Field(
        False, description="It is there already: looked at, never made or changed."
    )


class Listed(Record):
    """A record in a list, with a name by which a decision can point to it."""

    name: Slug = Field(description="A short name, unique in its list.")
    notes: tuple[str, ...] = Field((), description="What is known of it and has no field here.")
    assumed: str = Field("", description="Why something of it is invented; empty: nothing is.")


def _keyed(field: str) -> BeforeValidator:
    """Write each key of a mapping into its entry, as `field`."""

    def write(document: Any) -> Any:
        if not isinstance(document, dict):
            return document  # pydantic says what is wrong with it
        return {key: with_key(field, key, entry) for key, entry in document.items()}

    return BeforeValidator(write)


def with_key(field: str, key: Any, entry: Any) -> Any:
    """An entry of a mapping with its key written into it, as `field`."""
    if entry is None:
        return {field: key}
    if isinstance(entry, dict):
        if field in entry:
            raise ValueError(f"{key!r} is its {field} already; leave out '{field}: {entry[field]}'")
        return {**entry, field: key}
    return entry


BY_NAME = _keyed("name")
BY_ID = _keyed("id")


class PriceRange(Record):
    """What something costs, or brings."""

    low_usd: Number = Field(description="Lower end [US dollars].")
    high_usd: Number = Field(description="Upper end [US dollars]; the lower end for a fixed price.")
    approximate: bool = Field(False, description="The document says 'about'.")
    used: bool = Field(False, description="The price of a used one.")
