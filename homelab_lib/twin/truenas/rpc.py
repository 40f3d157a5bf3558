"""The middleware's methods: which there are in which release, and what arguments they take.

Source: TrueNAS middleware 25.04 to 26, API models and `core.get_methods`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError, create_model

from homelab_lib.twin.machine.appliance import Release
from homelab_lib.twin.truenas.arguments.base import Arguments, plain
from homelab_lib.twin.truenas.errors import NoSuchMethod, ValidationErrors

FANGTOOTH: Release = (25, 4)
GOLDEYE: Release = (25, 10)
HALFMOON: Release = (26, 0)


@dataclass(frozen=True)
class Method:
    """One method of the API, as long as it was there.

    Parameters
    ----------
    body
        What it does; its first parameter is the TrueNAS it is called on.
    since, until
        First release that has it, first release that has it no more.
    job, lock
        Whether it is a job, and which jobs it waits for.
    arguments
        What it takes, by position.
    """

    body: Callable[..., Any]
    since: Release
    until: Release | None
    job: bool
    lock: str | None
    arguments: type[Arguments]

    def bind(self, arguments: Sequence[Any]) -> list[Any]:
        """The arguments, judged and completed.

        Raises
        ------
        ValidationErrors
            Too many, too few, or not of the form.
        """
        names = list(self.arguments.model_fields)
        if len(arguments) > len(names):
            text = f"Too many arguments (expected {len(names)}, found {len(arguments)})"
            raise ValidationErrors.one("", text)
        try:
            judged = self.arguments.model_validate(dict(zip(names, arguments, strict=False)))
        except ValidationError as error:
            raise _told(error) from None
        return list(plain(judged).values())


def _told(error: ValidationError) -> ValidationErrors:
    """Everything that is wrong, by the place it stands in."""
    errors = ValidationErrors()
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        errors.add(".".join(map(str, each["loc"])), each["msg"])
    return errors


METHODS: dict[str, list[Method]] = {}


def method(
    name: str,
    takes: Mapping[str, Any] | None = None,
    *,
    since: Release = FANGTOOTH,
    until: Release | None = None,
    job: bool = False,
    lock: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as an API method. Its first parameter is the TrueNAS it is called on.

    Parameters
    ----------
    name
        Full name: ``pool.dataset.create``.
    takes
        The arguments in their order, with the names that errors call them by, and what each may
        be; one in `left_out` need not be given. Where none is named they are the function's own,
        which judges them itself.
    since, until
        First release that has it, first release that has it no more.
    job
        It is a job: a generator that yields its progress and returns its result.
    lock
        Jobs with the same lock run one after the other.
    """

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        fields: dict[str, Any] = {}
        if takes:
            fields = {k: v if isinstance(v, tuple) else (v, ...) for k, v in takes.items()}
        else:
            own = list(inspect.signature(body).parameters.values())[1:]
            for each in own:
                fields[each.name] = (Any, ... if each.default is each.empty else each.default)
        arguments = create_model(name, __base__=Arguments, **fields)
        METHODS.setdefault(name, []).append(Method(body, since, until, job, lock, arguments))
        return body

    return register


def left_out(kind: Any, default: Any = None) -> tuple[Any, Any]:
    """An argument that need not be given; of an object, nothing is said then."""
    if inspect.isclass(kind) and issubclass(kind, Arguments):
        return kind, Field(default_factory=kind)
    return kind, default


def find(name: str, release: Release) -> Method:
    """The method of that name in that release.

    Raises
    ------
    NoSuchMethod
        The release has none, or the twin does not know it.
    """
    release = max(release, FANGTOOTH)  # an older one is taken for the oldest that is known
    for candidate in METHODS.get(name, ()):
        if candidate.since <= release and (candidate.until is None or release < candidate.until):
            return candidate
    raise NoSuchMethod("Method does not exist" + ("" if name in METHODS else _UNKNOWN))


_UNKNOWN = " (the twin at least knows none of that name)"


def call(nas: Any, name: str, *arguments: Any) -> Any:
    """Have the middleware do something by its own rules; not for jobs."""
    found = find(name, nas.release)
    return found.body(nas, *found.bind(arguments))
