"""PHP's filters for addresses, names and links, and what OPNsense builds on them."""

import ipaddress
import re
from urllib.parse import urlsplit

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.services import SERVICES

_MAC = re.compile(r"([0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|"
                  r"([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")  # fmt: skip
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_WORD = r"(?:[^\W_]|[^\W_](?:[^\W_]|-)*[^\W_])"
_DOMAIN = re.compile(rf"(?:{_WORD}\.)*{_WORD}\n?")


def is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return text.isascii()


def is_ipv6(text: str) -> bool:
    try:
        return ":" in text and "%" not in text and bool(ipaddress.IPv6Address(text) or True)
    except ValueError:
        return False


def is_ip(text: str) -> bool:
    return is_ipv4(text) or is_ipv6(text)


def is_subnet(text: str) -> bool:
    """An address with a prefix length; bits of the host may be set."""
    address, *rest = text.split("/")
    if len(rest) != 1 or not is_ip(address) or not is_digits(rest[0]):
        return False
    return int(rest[0]) <= (128 if ":" in address else 32)


def is_subnet_strict(text: str) -> bool:
    """A network: no bit of the host is set."""
    if not is_subnet(text):
        return False
    interface = ipaddress.ip_interface(text)
    return interface.ip == interface.network.network_address


def is_wildcard(text: str) -> bool:
    """An address with a mask written as one."""
    address, *rest = text.split("/")
    return (
        len(rest) == 1
        and is_ip(address)
        and is_ip(rest[0])
        and (":" in address) == (":" in rest[0])
    )


def is_in(address: str, subnet: str) -> bool:
    """Whether an address lies in a subnet."""
    if not is_ip(address) or not is_subnet(subnet) or (":" in address) != (":" in subnet):
        return False
    return ipaddress.ip_address(address) in ipaddress.ip_interface(subnet).network


def is_digits(text: str) -> bool:
    """``ctype_digit()``."""
    return text.isascii() and text.isdigit()


def is_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None


def is_domain(text: str, *, hostname: bool) -> bool:
    """``FILTER_VALIDATE_DOMAIN``; with `hostname` each part is of letters, digits and hyphens.

    A name of digits alone passes, as does an address of four numbers that is none.
    """
    name = text.removesuffix(".")
    if not name or len(name.encode()) > 253:
        return False
    labels = name.split(".")
    if any(not 0 < len(label.encode()) <= 63 for label in labels):
        return False
    return not hostname or all(_LABEL.fullmatch(label) for label in labels)


def is_domain_name(text: str) -> bool:
    """What OPNsense takes for a name in an alias."""
    parts = text.split(".")
    if is_digits(parts[0]) and is_digits(parts[-1]):
        return False
    return _DOMAIN.fullmatch(text) is not None


def is_port(text: str, *, ranges: bool = True) -> bool:
    """A port, a service, or with `ranges` two of them with a colon between."""
    parts = text.split(":")
    fits = all(
        (is_digits(part) and (number := php.integer(part)) is not None and 1 <= number <= 65535)
        or part in SERVICES
        for part in parts
    )
    return fits and len(parts) <= (2 if ranges else 1)


def is_url(text: str) -> bool:
    """``FILTER_VALIDATE_URL``."""
    if not text or any(not 32 < ord(letter) < 127 for letter in text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    if not parts.scheme or (port is None and parts.netloc.endswith(":")):
        return False
    if parts.scheme in ("mailto", "news", "file"):
        return bool(parts.netloc or parts.path)
    host = parts.hostname or ""
    if not host:
        return False
    if parts.scheme in ("http", "https"):
        return (
            is_ipv6(host)
            if "[" in parts.netloc
            else is_domain(host, hostname=True) or is_ipv4(host)
        )
    return True
