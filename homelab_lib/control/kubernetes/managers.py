"""Who else manages what we say of an object: what a server-side apply of ours would refuse.

Source: kubernetes.io/docs/reference/using-api/server-side-apply (managers, conflicts); meta/v1
FieldsV1 (``f:`` a field, ``k:`` an entry by its keys, ``v:`` one by its value, ``.`` the place
itself); kubectl `pkg/cmd` (each command's --field-manager; `scale` gives none, and is ``kubectl``).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.control.kubernetes.kubectl import Object, differs

MANAGER = mark.TAG


def _fields(value: object) -> object:
    """Fields as they are written: mappings of mappings, and an entry's keys are JSON."""
    if not isinstance(value, Mapping):
        raise ValueError("fields are a mapping")
    for step, below in value.items():
        if step.startswith("k:") and not isinstance(json.loads(step[2:]), Mapping):
            raise ValueError(f"an entry's keys are a mapping, not {step}")
        _fields(below)
    return value


MANAGED_FIELDS: Shape = [{"manager?": str, "operation?": str, "fieldsV1?": _fields}]
MANAGED: Shape = {
    "metadata": {
        "name": str,
        "labels?": {str: str},
        "annotations?": {str: str},
        "generation?": int,
        "resourceVersion?": str,
        "managedFields?": MANAGED_FIELDS,
    }
}
_NOBODY = "before-first-apply"
"""Whose the API server takes all fields for where nobody is written down: somebody has taken that
away."""
_BY_A_PERSON = frozenset(
    ("kubectl", *(f"kubectl-{command}" for command in (
        "annotate", "client-side-apply", "create", "edit", "label", "patch", "replace", "rollout",
        "set")))
)  # fmt: skip


def others(wanted: Object, found: Object) -> dict[str, list[str]]:
    """The places at which an object is not as wanted and others manage it, each with by whom.

    Parameters
    ----------
    wanted, found
        What we say of it, and how it is, of shape `MANAGED`.
    """
    said: dict[str, set[str]] = {}
    nobodys: list[Any] = [{"manager": _NOBODY, "fieldsV1": _every(wanted)}]
    for each in found["metadata"].get("managedFields") or nobodys:
        who = each.get("manager") or "somebody without a name"
        if (who, each.get("operation")) == (MANAGER, "Apply"):
            continue
        for place in _held(each.get("fieldsV1", {}), wanted, found):
            said.setdefault(place, set()).add(who)
    return {place: sorted(managers) for place, managers in said.items()}


def of_persons(held: Mapping[str, list[str]]) -> bool:
    """Whether all that is held is held by what a person's own kubectl calls itself, and no
    controller does."""
    return all(who in _BY_A_PERSON for managers in held.values() for who in managers)


def told(held: Mapping[str, list[str]]) -> str:
    """Who manages what."""
    return ", ".join(
        f"{' and '.join(who)} {'manage' if len(who) > 1 else 'manages'} {place}"
        for place, who in held.items()
    )


def _every(wanted: object) -> dict[str, Any]:
    """Every place of what is wanted, as fields are written."""
    if not isinstance(wanted, Mapping):
        return {}
    return {f"f:{name}": _every(below) for name, below in wanted.items()}


def _held(fields: Mapping[str, Any], wanted: object, found: object, at: str = "") -> Iterator[str]:
    """The places of a manager's at which something else is wanted."""
    if not differs(wanted, found, at or "it"):
        return
    if not fields and at:
        yield at  # a value, or what only changes as a whole; "." is that it is there at all
    for step, below in fields.items():
        how, _, what = step.partition(":")
        if how == "f" and isinstance(wanted, Mapping) and isinstance(found, Mapping):
            if what in wanted and what in found:
                place = f"{at}.{what}".lstrip(".")
                yield from _held(below, wanted[what], found[what], place)
        elif how == "k" and isinstance(wanted, list | tuple) and isinstance(found, list):
            keys = json.loads(what)
            ours = next((each for each in wanted if _has(each, keys)), None)
            for i, there in enumerate(found):
                if ours is not None and _has(there, keys):
                    yield from _held(below, ours, there, f"{at}[{i}]")


def _has(entry: Any, keys: Mapping[str, Any]) -> bool:
    """Whether an entry of a list is the one of these keys; what it doesn't say is a default."""
    return isinstance(entry, Mapping) and all(entry.get(k, v) == v for k, v in keys.items())
