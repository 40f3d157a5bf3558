"""What if: a lab in which some things are otherwise."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.errors import LabError
from homelab_lib.lab.checks import lab_faults
from homelab_lib.lab.decided import put
from homelab_lib.lab.document import Node
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.network import Switch
from homelab_lib.lab.part import Part


def changed(lab: Lab, *changes: tuple[str, object]) -> Lab:
    """A copy of a lab in which some things are otherwise; the lab itself stays as it is.

    Parameters
    ----------
    lab
        The lab.
    *changes
        Dotted path and new value, as in a decision: ``("hosts.nas.devices.nic.slot", "M2_2")``.
        An entry of a list by its name or its index; the last key may be new; None takes the
        entry away.

    Raises
    ------
    LabError
        A path leads nowhere, or the lab would contradict itself; ``problems`` has it all.
    """
    root = _node(lab)
    for path, value in changes:
        try:
            root = put(root, tuple(path.split(".")), _node(value))
        except LookupError as error:
            raise LabError(str(error), problems=(f"{path}: {error}",), where=path) from None
    try:
        other = Lab.model_validate(root.plain(), context={"catalog": lab.catalog})
    except ValidationError as error:
        wrong = [(each["loc"], each["msg"]) for each in error.errors(include_url=False)]
    else:
        wrong = [(fault.path, fault.what) for fault in lab_faults(other)]
        if not wrong:
            return other
    problems = [f"{'.'.join(map(str, where))}: {what}" for where, what in wrong]
    paths = ", ".join(path for path, _ in changes)
    raise LabError(f"the lab can't be changed so: {problems[0]}", problems=problems, where=paths)


def _node(value: Any) -> Node:
    """A value of a lab as it would be written: parts by name, and nothing that was filled in."""
    if isinstance(value, Part):
        return Node(value.id, "")
    if isinstance(value, BaseModel):
        written = value.model_fields_set & _written_fields(type(value))
        keys = {name: type(value).model_fields[name].alias or name for name in sorted(written)}
        fields = {key: getattr(value, name) for name, key in keys.items()}
        if isinstance(value, Switch) and "ports" in fields:  # the part has all of its ports
            silent = {name for name, port in value.ports.items() if not _node(port).value}
            fields["ports"] = {n: port for n, port in value.ports.items() if n not in silent}
        value = fields
    if isinstance(value, dict):
        return Node({key: _node(entry) for key, entry in value.items()}, "")
    if isinstance(value, list | tuple):
        return Node([_node(entry) for entry in value], "")
    return Node(value, "")


@cache
def _written_fields(record: type[BaseModel]) -> frozenset[str]:
    """Fields that a description may have: those of the schema, not a key or a part looked up."""
    return frozenset(
        name
        for name, field in record.model_fields.items()
        if SkipJsonSchema not in map(type, field.metadata)
    )
