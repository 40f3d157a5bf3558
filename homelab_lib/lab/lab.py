"""The lab: everything that the description holds, in one frozen object."""

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, InstanceOf, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.errors import BadParameter
from homelab_lib.lab.base import BY_NAME, Record, Slug, text
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.compute import Compute, Vm
from homelab_lib.lab.estimates import Estimates
from homelab_lib.lab.host import Host
from homelab_lib.lab.near import near
from homelab_lib.lab.network import Wires
from homelab_lib.lab.project import Project
from homelab_lib.lab.storage import Storage

PublicKey = text(
    r"file:.+|(ssh|ecdsa|sk)-\S+ \S+[^\n]*", "a public key, or file: and the path of one"
)

if TYPE_CHECKING:
    import networkx


class Operator(Record):
    """The person who builds the lab."""

    public_key: PublicKey = Field(
        description="SSH public key that machines are given: its text, or 'file:~/.ssh/….pub'."
    )
    name: str = Field("", description="Who they are.")


class Lab(Storage, Compute, Wires, Project, Estimates):
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

    def graph(self) -> "networkx.Graph":
        """The topology: see `homelab_lib.lab.graph.graph`."""
        from homelab_lib.lab.graph import graph

        return graph(self)
