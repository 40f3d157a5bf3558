"""What a notebook shows where a lab lacks what it asks about: one line, and no traceback."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

from homelab_lib.errors import BadParameter

Asked = ParamSpec("Asked")
Shown = TypeVar("Shown")


@dataclass(frozen=True)
class Missing:
    """Stands in for what is not there, and is as false and as empty as it.

    Parameters
    ----------
    why
        What is missing, in a sentence.
    """

    why: str

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __str__(self) -> str:
        return self.why

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.why)}</p>"


def attempt(make: Callable[Asked, Shown], *given: Asked.args, **more: Asked.kwargs) -> Any:
    """What a call gives, or what it says is missing.

    Parameters
    ----------
    make
        What is called; it raises `BadParameter` or ValueError where something is missing.
    *given, **more
        What it is called with.
    """
    try:
        return make(*given, **more)
    except BadParameter as error:
        return Missing(f"{error.what}; {error.fix}" if error.fix else error.what)
    except ValueError as error:
        return Missing(str(error))


def of_what_is_there(view: Callable[Asked, Shown]) -> Callable[Asked, Any]:
    """A view that shows what is missing in place of its first argument, where that is missing."""

    @wraps(view)
    def shown(*given: Asked.args, **more: Asked.kwargs) -> Any:
        if given and isinstance(given[0], Missing):
            return given[0]
        return view(*given, **more)

    return shown
