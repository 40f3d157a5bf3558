"""The middleware's methods: which there are in which release, and what arguments they take.

Source: TrueNAS middleware 24.10 to 26, API models and `core.get_methods`. Each release refuses in
words of its own: 24.10 by its old schema, 25.04 and later in pydantic's.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.truenas.errors import ENOMETHOD, CallError, NoSuchMethod, ValidationErrors

Release = tuple[int, int]
ELECTRIC_EEL: Release = (24, 10)
FANGTOOTH: Release = (25, 4)
GOLDEYE: Release = (25, 10)
HALFMOON: Release = (26, 0)

REQUIRED: Any = object()
ABSENT: Any = object()
NULL = type(None)

_OLD_WORDS = {
    "missing": "attribute required",
    "extra": "Field was not expected",
    "kind": "Not {article} {noun}",
    "choice": "Invalid choice: {value}",
    "minimum": "Should be greater or equal than {minimum}",
}
_NEW_WORDS = {
    "missing": "Field required",
    "extra": "Extra inputs are not permitted",
    "kind": "Input should be a valid {noun}",
    "choice": "Input should be {choices}",
    "minimum": "Input should be greater than or equal to {minimum}",
}
_NOUNS = {str: "string", int: "integer", bool: "boolean", list: "list", dict: "dictionary"}


def parse_release(version: str) -> Release:
    """``(25, 10)`` from ``25.10.1``, ``TrueNAS-SCALE-24.10.2.4`` or ``26.0.0-BETA.3``."""
    major, minor = version.rpartition("SCALE-")[2].split("-")[0].split(".")[:2]
    return int(major), int(minor)


def _words(release: Release) -> Mapping[str, str]:
    return _OLD_WORDS if release < FANGTOOTH else _NEW_WORDS


@dataclass(frozen=True)
class Field:
    """What one field of an argument may be.

    Parameters
    ----------
    kinds
        JSON types that are taken; NULL among them for a field that may be null.
    default
        What it is when it is left out; REQUIRED where it can't be, ABSENT where it is not there.
    choices
        The texts it may have.
    minimum
        Smallest number.
    since, until
        First release that has it, first release that has it no more.
    """

    kinds: tuple[type, ...]
    default: Any = REQUIRED
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    since: Release = ELECTRIC_EEL
    until: Release | None = None

    def known_in(self, release: Release) -> bool:
        """Whether the release has it."""
        return self.since <= release and (self.until is None or release < self.until)

    def problem(self, value: Any, release: Release) -> str:
        """Why `value` can't be, in the release's words; empty where it can."""
        words = _words(release)
        if type(value) not in self.kinds:
            noun = _NOUNS[self.kinds[0]]
            return words["kind"].format(article="an" if noun == "integer" else "a", noun=noun)
        if self.choices and isinstance(value, str) and value not in self.choices:
            *most, last = (f"'{choice}'" for choice in self.choices)
            choices = f"{', '.join(most)} or {last}" if most else last
            return words["choice"].format(value=value, choices=choices)
        if self.minimum is not None and isinstance(value, int) and value < self.minimum:
            return words["minimum"].format(minimum=self.minimum)
        return ""


def optional(*kinds: type, choices: tuple[str, ...] = (), minimum: int | None = None) -> Field:
    """A field that is not there unless it is given."""
    return Field(kinds, ABSENT, choices, minimum)


@dataclass(frozen=True)
class Fields:
    """The fields of an argument that is an object.

    Parameters
    ----------
    schema
        Its name in 24.10's errors: ``sharingnfs_create``.
    fields
        What it may hold.
    update
        Nothing is required and nothing is filled in: only what is given changes.
    """

    schema: str
    fields: Mapping[str, Field]
    update: bool = False

    def place(self, name: str, release: Release) -> str:
        """How errors call the argument `name`."""
        return self.schema if release < FANGTOOTH else name

    def accept(self, data: Any, name: str, release: Release) -> dict[str, Any]:
        """`data` with its defaults.

        Raises
        ------
        ValidationErrors
            Everything that is wrong with it.
        """
        place, words = self.place(name, release), _words(release)
        errors = ValidationErrors()
        if not isinstance(data, dict):
            errors.add(place, words["kind"].format(article="a", noun="dictionary"))
            raise errors
        fields = {key: field for key, field in self.fields.items() if field.known_in(release)}
        for key, value in data.items():
            if key not in fields:
                errors.add(f"{place}.{key}", words["extra"])
            elif why := fields[key].problem(value, release):
                errors.add(f"{place}.{key}", why)
        accepted = dict(data)
        for key, field in {}.items() if self.update else fields.items():
            if key in data or field.default is ABSENT:
                continue
            if field.default is REQUIRED:
                errors.add(f"{place}.{key}", words["missing"])
            else:
                accepted[key] = _fresh(field.default)
        errors.check()
        return accepted


def _fresh(value: Any) -> Any:
    """A default of its own for each call."""
    return value.copy() if isinstance(value, (list, dict)) else value


@dataclass(frozen=True)
class Method:
    """One method of the API, as long as it was there."""

    body: Callable[..., Any]
    since: Release
    until: Release | None
    job: bool
    lock: str | None
    fields: Mapping[str, Fields]

    def bind(self, arguments: Sequence[Any], release: Release) -> list[Any]:
        """The arguments, checked and completed.

        Raises
        ------
        ApiError
            Too many, too few, or of the wrong form.
        """
        parameters = list(inspect.signature(self.body).parameters.values())[1:]
        if len(arguments) > len(parameters):
            text = f"Too many arguments (expected {len(parameters)}, found {len(arguments)})"
            raise CallError(text) if release < FANGTOOTH else ValidationErrors.one("", text)
        bound: list[Any] = []
        for place, parameter in enumerate(parameters):
            fields = self.fields.get(parameter.name)
            if place < len(arguments):
                value = arguments[place]
            elif parameter.default is not parameter.empty:
                value = parameter.default
            else:
                name = fields.place(parameter.name, release) if fields else parameter.name
                raise ValidationErrors.one(name, _words(release)["missing"])
            if fields:
                value = fields.accept({} if value is None else value, parameter.name, release)
            bound.append(value)
        return bound


METHODS: dict[str, list[Method]] = {}


def method(
    name: str,
    *,
    since: Release = ELECTRIC_EEL,
    until: Release | None = None,
    job: bool = False,
    lock: str | None = None,
    **fields: Fields,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as an API method. Its first parameter is the TrueNAS it is called on.

    Parameters
    ----------
    name
        Full name: ``pool.dataset.create``.
    since, until
        First release that has it, first release that has it no more.
    job
        It is a job: a generator that yields its progress and returns its result.
    lock
        Jobs with the same lock run one after the other.
    fields
        For each parameter that is an object, what it may hold.
    """

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        METHODS.setdefault(name, []).append(Method(body, since, until, job, lock, fields))
        return body

    return register


def find(name: str, release: Release) -> Method:
    """The method of that name in that release.

    Raises
    ------
    NoSuchMethod
        In the release's words.
    """
    for candidate in METHODS.get(name, ()):
        if candidate.since <= release and (candidate.until is None or release < candidate.until):
            return candidate
    raise NoSuchMethod(_unknown(name, release))


def _unknown(name: str, release: Release) -> str:
    if release >= FANGTOOTH:
        return "Method does not exist"
    service, _, short = name.rpartition(".")
    if service in {other.rpartition(".")[0] for other in METHODS}:
        return str(CallError(f"Method {short!r} not found in {service!r}", ENOMETHOD))
    return str(CallError(f"Service {service!r} not found", ENOMETHOD))
