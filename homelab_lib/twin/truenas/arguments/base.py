"""What arguments of the middleware are made of.

The middleware judges them with pydantic, strictly: no text for a number, no field that is not
there. So does the twin, that what it says of a wrong one is said in the same words. The tables
beside this module say what each method takes; a release that takes more is a class of its own.

Source: TrueNAS middleware 25.04 to 26, `api/base`: types, validators, update models.
"""

import ipaddress
import re
from copy import copy
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    create_model,
    field_validator,
)


class _Absent:
    """Stands where nothing was given."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Any = _Absent()


def absent() -> Any:
    """The default of a field that is not there unless it is given."""
    return Field(default_factory=lambda: ABSENT)


class Arguments(BaseModel):
    """An argument that is an object."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)


def plain(value: Any) -> Any:
    """A judged argument as plain values, with its defaults; what is absent is not in it."""
    if isinstance(value, Arguments):
        return {name: plain(each) for name, each in value if each is not ABSENT}
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def changes_of(model: type[Arguments], *without: str, **more: Any) -> type[Arguments]:
    """What an update takes: nothing of `model` has to be given, and nothing is filled in.

    Parameters
    ----------
    model
        What is taken when one is made.
    without
        Fields that can't be changed any more.
    more
        Fields that only an update has: type and default.
    """
    given: dict[str, Any] = dict(more)
    for name, info in model.model_fields.items():
        optional = copy(info)
        optional.default, optional.default_factory = absent().default, absent().default_factory
        given[name] = (optional.annotation, optional)
    for name in without:
        del given[name]
    base = Arguments if without else model
    update: type[Arguments] = _made(f"{model.__name__}Update", __base__=base, **given)
    return update


_made: Any = create_model  # whose type knows no fields that come as a mapping


# ------------------------------------------------------------------------------ texts

Text = Annotated[str, StringConstraints(max_length=1024)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
LongText = Annotated[str, StringConstraints(max_length=2**31 - 1)]
Path = Name
Port = Annotated[int, Field(ge=1, le=65535)]


def _address(value: str) -> str:
    ipaddress.ip_address(value)
    return value


def _ipv4(value: str) -> str:
    ipaddress.IPv4Address(value)
    return value


def _ipv6(value: str) -> str:
    ipaddress.IPv6Address(value)
    return value


def _interface(value: str) -> str:
    ipaddress.ip_interface(value)
    return value


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


def unlike(values: list[Any]) -> list[Any]:
    """No two alike."""
    if any(one in values[:place] for place, one in enumerate(values)):
        raise ValueError("Items must be unique")
    return values


Address = Annotated[Text, AfterValidator(_address)]
Ipv4 = Annotated[Text, AfterValidator(_ipv4)]
Ipv6 = Annotated[Text, AfterValidator(_ipv6)]
Interface = Annotated[
    str, AfterValidator(_interface), Field(json_schema_extra={"format": "ipvanyinterface"})
]
AnyNetwork = Annotated[
    str, AfterValidator(_network), Field(json_schema_extra={"format": "ipvanynetwork"})
]
Network = Annotated[Text, AfterValidator(_network)]
AnyAddress = Annotated[
    str, AfterValidator(_address), Field(json_schema_extra={"format": "ipvanyaddress"})
]


# ------------------------------------------------------------------------- schedules

_RANGES = {"minute": (0, 59), "hour": (0, 23), "dom": (1, 31), "month": (1, 12), "dow": (0, 7)}
_WORDS: dict[str, list[str]] = {
    "month": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "dow": ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
}
_PART = re.compile(r"(?:\*|(?P<from>\w+)(?:-(?P<to>\w+))?)(?:/(?P<step>[1-9]\d*))?")


class Schedule(Arguments):
    """When something is done, as cron has it."""

    minute: Text = "00"
    hour: Text = "*"
    dom: Text = "*"
    month: Text = "*"
    dow: Text = "*"

    @field_validator(*_RANGES)
    @classmethod
    def _cron(cls, value: str, field: ValidationInfo) -> str:
        name = field.field_name or ""
        if not all(_fits(part, name) for part in value.lower().split(",")):
            raise ValueError(
                f"Please ensure fields match cron syntax - [{value}] is not acceptable"
            )
        return value


def _fits(part: str, name: str) -> bool:
    match = _PART.fullmatch(part)
    if match is None or not part.isascii():
        return False
    low, high = _RANGES[name]
    words = _WORDS.get(name, [])
    ends = []
    for end in (match["from"], match["to"]):
        if end in words:
            ends.append(words.index(end) + low)
        elif end is not None:
            ends.append(int(end) if end.isdigit() else -1)
    return all(low <= end <= high for end in ends) and ends == sorted(ends)


class TimedSchedule(Schedule):
    """A schedule that holds within some hours of the day only."""

    begin: Text = "00:00"
    end: Text = "23:59"

    @field_validator("begin", "end")
    @classmethod
    def _time(cls, value: str) -> str:
        if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]?\d", value):
            raise ValueError("Time should be in 24 hour format like '18:00'")
        return value
