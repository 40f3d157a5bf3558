"""Did you mean …?"""

import difflib
from collections.abc import Iterable


def closest(found: object, allowed: Iterable[object]) -> str | None:
    """The one of `allowed` that `found` was probably meant to be."""
    names = {str(name).casefold(): str(name) for name in allowed}
    typed = str(found).casefold()
    swapped = [name for name in names if sorted(name) == sorted(typed)]  # "so" is far from "os"
    near = swapped or difflib.get_close_matches(typed, names, n=1, cutoff=0.6)
    return names[near[0]] if near else None


def near(found: object, allowed: Iterable[object]) -> str:
    """``; did you mean 'vlans'?``, or nothing when no name comes close."""
    name = closest(found, allowed)
    return "" if name is None else f"; did you mean {name!r}?"
