"""The lab: everything that the description holds, in one frozen object."""

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.errors import BadParameter, LabError
from homelab_lib.lab.appliances import Appliances
from homelab_lib.lab.base import BY_NAME, PublicKey, Record, Slug
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.compute import Compute, Vm
from homelab_lib.lab.document import Node
from homelab_lib.lab.estimates import Estimates
from homelab_lib.lab.host import Host
from homelab_lib.lab.near import near
from homelab_lib.lab.network import Switch, Wires
from homelab_lib.lab.part import Part
from homelab_lib.lab.project import Project
from homelab_lib.lab.storage import Storage

if TYPE_CHECKING:
    import networkx


class Operator(Record):
    """The person who builds the lab."""

    public_key: PublicKey = Field(
        description="SSH public key that machines are given: its text, or 'file:~/.ssh/….pub'."
    )
    name: str = Field("", description="Who they are.")


class Lab(Storage, Compute, Wires, Appliances, Project, Estimates):
    """A homelab: what there is, what is wanted, and what the design says of both.

    The keys of the YAML document are the fields of this class and of the classes it is made of.
    """

    name: Slug = Field(description="A short name: reports, contexts and locks carry it.")
    title: str = Field(description="What people call the lab.")
    purpose: str = Field("", description="What it is for, in a sentence.")
    notes: tuple[str, ...] = Field((), description="What is known of it and has no field here.")
    operator: Operator = Field(description="The person who builds it.")
    hosts: Annotated[dict[Slug, Host], BY_NAME] = Field(description="Machines.")
    catalog: SkipJsonSchema[InstanceOf[Catalog]] = Field(
        None, exclude=True, repr=False, validate_default=True
    )

    @field_validator("catalog", mode="before")
    @classmethod
    def _of_loader(cls, written: Any, info: ValidationInfo) -> Catalog:
        if written is not None:
            raise ValueError("parts stand in the folder catalog/, not here")
        return info.context["catalog"]

    def machines(self) -> "dict[str, Host | Vm]":
        """Everything with an SSH login, hosts first: the hosts that have ``ssh``, and the VMs."""
        return {name: host for name, host in self.hosts.items() if host.ssh} | self.vms

    def machine(self, name: str) -> Host | Vm:
        """The host or VM of that name.

        Raises
        ------
        BadParameter
            There is none with an SSH login.
        """
        machines = self.machines()
        if name not in machines:
            raise BadParameter(
                f"no machine {name!r} has an SSH login in lab {self.name!r}{near(name, machines)}",
                fix=f"one of: {', '.join(machines)}",
            )
        return machines[name]

    @property
    def digest(self) -> str:
        """SHA-256 of the description: another lab, or another catalog, has another one."""
        text = self.model_dump_json() + self.catalog.model_dump_json()
        return hashlib.sha256(text.encode()).hexdigest()

    def with_change(self, *changes: tuple[str, object]) -> "Lab":
        """A copy in which some things are otherwise; this lab stays as it is.

        Parameters
        ----------
        *changes
            Dotted path and new value, as in a decision: ``("hosts.nas.devices.nic.slot", "M2_2")``.
            An entry of a list by its name or its index; the last key may be new; None takes the
            entry away.

        Raises
        ------
        LabError
            A path leads nowhere, or the lab would contradict itself; ``problems`` has it all.
        """
        from homelab_lib.lab.changes import put
        from homelab_lib.lab.checks import lab_faults

        root = _node(self)
        for path, value in changes:
            try:
                root = put(root, tuple(path.split(".")), _node(value))
            except LookupError as error:
                raise LabError(str(error), problems=(f"{path}: {error}",), where=path) from None
        try:
            lab = type(self).model_validate(root.plain(), context={"catalog": self.catalog})
        except ValidationError as error:
            wrong = [(each["loc"], each["msg"]) for each in error.errors(include_url=False)]
        else:
            wrong = [(fault.path, fault.what) for fault in lab_faults(lab)]
        if not wrong:
            return lab
        problems = [f"{'.'.join(map(str, where))}: {what}" for where, what in wrong]
        paths = ", ".join(path for path, _ in changes)
        raise LabError(
            f"the lab can't be changed so: {problems[0]}", problems=problems, where=paths
        )

    def graph(self) -> "networkx.Graph":
        """The topology: see `homelab_lib.lab.graph.graph`."""
        from homelab_lib.lab.graph import graph

        return graph(self)


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
        if not any(isinstance(mark, SkipJsonSchema) for mark in field.metadata)
    )
