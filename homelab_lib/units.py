"""The one place where a quantity becomes text, and text a quantity.

Values inside are SI: bytes, bits per second, watts, seconds. A terabyte (TB, 10^12 B) and a
tebibyte (TiB, 2^40 B) differ by a tenth; whoever formats says which.
"""

import re

DECIMAL = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15}
BINARY = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}
LARGEST = 1e19  # of anything in a lab; what is larger is a slip, and overflows a float's arithmetic
RATES = {"b/s": 1, "kb/s": 10**3, "Mb/s": 10**6, "Gb/s": 10**9, "Tb/s": 10**12}

_QUANTITY = re.compile(r"\s*([+-]?\d+(?:[._]\d+)*(?:[eE][+-]?\d+)?)\s*([A-Za-z/]+)\s*")


def _parse(text: str, units: dict[str, int], kind: str) -> float:
    match = _QUANTITY.fullmatch(text)
    shown = repr(text if len(text) <= 60 else f"{text[:57]}…")
    if match is None or match[2] not in units:
        raise ValueError(f"{shown} is not a {kind}; write a number and one of {', '.join(units)}")
    value = float(match[1]) * units[match[2]]
    if abs(value) > LARGEST:
        raise ValueError(f"{shown} is a larger {kind} than any lab has")
    return value


def parse_bytes(text: str) -> int:
    """Bytes from text such as ``14 TB`` or ``25.5 TiB``.

    Raises
    ------
    ValueError
        No number, or a unit that is neither decimal (TB) nor binary (TiB).
    """
    return round(_parse(text, DECIMAL | BINARY, "size"))


def parse_bps(text: str) -> float:
    """Bits per second from text such as ``2.5 Gb/s``."""
    return _parse(text, RATES, "bit rate")


def _scaled(value: float, units: dict[str, int], digits: int) -> str:
    """The largest unit in which `value` is at least one, trailing zeros dropped."""
    unit, scale = next(iter(units.items()))
    for unit_, scale_ in units.items():
        if abs(value) >= scale_:
            unit, scale = unit_, scale_
    text = f"{value / scale:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}"


def format_bytes(value_bytes: float, *, digits: int = 2) -> str:
    """Decimal: ``28 TB``, as disks and networks are sold."""
    return _scaled(value_bytes, DECIMAL, digits)


def format_ibytes(value_bytes: float, *, digits: int = 2) -> str:
    """Binary: ``25.46 TiB``, as ZFS and memory are counted."""
    return _scaled(value_bytes, {"B": 1} | BINARY, digits)


def format_bps(rate_bps: float, *, digits: int = 2) -> str:
    """A bit rate: ``2.5 Gb/s``."""
    return _scaled(rate_bps, RATES, digits)


def format_seconds(duration_s: float) -> str:
    """A duration as a person says it: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``26 h 24 min``."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    seconds = round(duration_s)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} d {seconds % 86400 // 3600} h"


def format_age(age_s: float) -> str:
    """How old something is, as a person says it: ``12 min old``, ``26 h old``, ``20 days old``; of
    what is dated later than now, how much."""
    size_s = abs(age_s)
    told = f"{size_s / 3600:.0f} h" if size_s < 48 * 3600 else f"{size_s / 86400:.0f} days"
    if size_s < 3600:
        told = f"{size_s / 60:.0f} min"
    return f"dated {told} ahead" if age_s < 0 and told != "0 min" else f"{told} old"


def format_quantity(value: float, unit: str) -> str:
    """A measured or predicted number with its unit, as a person reads it."""
    shown = {"B": format_bytes, "bit/s": format_bps}.get(unit)
    if shown:
        return shown(value)
    whole = value == round(value) or abs(value) >= 1000  # more digits than four nobody reads
    return f"{value:.0f} {unit}" if whole else f"{value:.4g} {unit}"
