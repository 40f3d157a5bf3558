"""Documents changed at random, as people and programs get them wrong."""

import copy
import random
from collections.abc import Iterator
from typing import Any

Path = tuple[Any, ...]

_VALUES: tuple[Any, ...] = (
    None, "", "x", "yes", "1", "-1", "1Gi", 0, 1, -1, 2**40, 1.5, True, False, [], {}, [None],
    [""], {"a": None}, {"a": {"b": "c"}}, [{}], [{"name": "x"}], "UPPER_case", "a" * 300, "=",
)  # fmt: skip
_KEYS = ("replica", "spec", "name", "port", "foo", "Image", "status", "x y", "", "labels")


def places(document: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a document, the whole of it first."""
    yield path
    if isinstance(document, dict | list):
        pairs = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in pairs:
            yield from places(value, (*path, key))


def mutated(document: Any, chance: random.Random) -> Any:
    """A copy with one to three changes: a key too many, too few or misspelt, another value, a
    value that belongs elsewhere, an entry twice."""
    changed = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        found = [path for path in places(changed) if path]
        path = chance.choice(found)
        holder, key = changed, path[-1]
        for step in path[:-1]:
            holder = holder[step]
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(chance.choice(_VALUES))
            case 2:
                here = holder[key]
                if isinstance(here, dict):
                    here[chance.choice(_KEYS)] = copy.deepcopy(chance.choice(_VALUES))
                elif isinstance(here, list):
                    here.append(copy.deepcopy(chance.choice(_VALUES)))
                else:
                    holder[key] = [here]
            case 3:
                if isinstance(holder, dict):
                    value = holder.pop(key)
                    holder[chance.choice((key.lower(), key.title(), key + "s", key[:-1]))] = value
            case 4:
                other: Any = changed
                for step in chance.choice(found):
                    other = other[step] if _has(other, step) else other
                holder[key] = copy.deepcopy(other)
            case 5:
                if isinstance(holder, list):
                    holder.append(copy.deepcopy(holder[key]))
                else:
                    holder[key] = str(holder[key])
    return changed


def _has(holder: Any, step: Any) -> bool:
    if isinstance(holder, dict):
        return step in holder
    return isinstance(holder, list) and isinstance(step, int) and step < len(holder)
