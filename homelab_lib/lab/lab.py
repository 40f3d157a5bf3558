"""The lab: everything that the description holds, in one frozen object."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import Field, InstanceOf, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema

from homelab_lib.errors import BadParameter
from homelab_lib.lab.appliances import Appliances
from homelab_lib.lab.backup_server import BackupServer
from homelab_lib.lab.base import BY_NAME, PublicKey, Record, Slug
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.compute import Compute
from homelab_lib.lab.estimates import Estimates
from homelab_lib.lab.guests import Guest, Vm
from homelab_lib.lab.host import Disk, Host, OperatingSystem
from homelab_lib.lab.near import near
from homelab_lib.lab.network import Wires
from homelab_lib.lab.project import Project
from homelab_lib.lab.storage import Storage, VmStorage


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
        return cast(Mapping[str, Catalog], info.context)["catalog"]

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

    def hardware(self, machine: str) -> Host:
        """The physical host that a machine is, or that a VM runs on.

        Parameters
        ----------
        machine
            Name of a host, or of a VM that owns pools.
        """
        vm = self.vms.get(machine)
        return self.hosts[machine if vm is None else vm.host]

    def system(self, machine: str) -> OperatingSystem | None:
        """What runs on a host or a VM; None where there is no such machine."""
        if machine in self.hosts:
            return self.hosts[machine].os
        vm = self.vms.get(machine)
        return None if vm is None else vm.os or OperatingSystem(kind="linux")

    def installed_by_hand(self, vm: str) -> bool:
        """Whether a VM's system is a person's to install: an appliance, or from an ISO image.

        Parameters
        ----------
        vm
            The name of a VM.
        """
        found = self.vms[vm]
        if found.image in self.images:
            return self.images[found.image].kind == "iso"
        return found.os is not None and found.os.kind in ("truenas", "opnsense")

    def addresses(self, machine: str) -> tuple[str, ...]:
        """The addresses of a host or a VM that are written out, and its name.

        Parameters
        ----------
        machine
            Name of a host or a VM.
        """
        if (vm := self.vms.get(machine)) is not None:
            found = vm.addresses
        else:
            host = self.hosts[machine]
            found = (*host.cidrs, *((host.ssh.address,) if host.ssh else ()))
        return tuple(dict.fromkeys((*(each.partition("/")[0] for each in found), machine)))

    def vms_with(self, device: str) -> list[Vm]:
        """The VMs that get a graphics card; several only by mistake.

        Parameters
        ----------
        device
            The card: ``proxmox.gpu1``.
        """
        host, _, name = device.partition(".")
        return [vm for vm in self.vms.values() if vm.host == host and name in vm.gpus]

    def disks_of(self, vm: Vm) -> dict[str, Disk]:
        """The disks of its host that a VM gets: as a whole, with the devices passed through to it,
        and whatever else its pools are made of.

        Parameters
        ----------
        vm
            A VM on a host of the lab.
        """
        host = self.hosts[vm.host]
        names = [each.disk for each in vm.disks.values() if each.disk]
        names += [disk for device in vm.passthrough for disk in host.below(device)]
        names += [d for pool in self.pools.get(vm.name, {}).values() for d in pool.disks_for()]
        return {name: host.disks[name] for name in dict.fromkeys(names)}

    def backup_server_of(self, storage: VmStorage) -> BackupServer | None:
        """The lab's own backup server behind a storage of a Proxmox node; None for none."""
        there = (name for name in self.backup_servers if name in (*self.hosts, *self.vms))
        names = [name for name in there if storage.server in self.addresses(name)]
        return self.backup_servers[names[0]] if storage.kind == "pbs" and names else None

    def own_server_of(self, storage: VmStorage) -> Guest | None:
        """The guest that serves a storage of the very host on which it runs; None for nobody."""
        for each in (*self.vms.values(), *self.containers.values()):
            known = self.addresses(each.name) if each.name in self.vms else (each.ip, each.name)
            if each.host == storage.host and storage.server and storage.server in known:
                return each
        return None

    def proxmox_nodes(self, host: str) -> tuple[str, ...]:
        """The hosts that share VMIDs and storage definitions with one: its Proxmox cluster.

        Parameters
        ----------
        host
            Name of a Proxmox host.
        """
        clusters = (each.nodes for each in self.proxmox_clusters.values() if host in each.nodes)
        return next(clusters, (host,))

    @property
    def digest(self) -> str:
        """SHA-256 of the description: another lab, or another catalog, has another one."""
        text = self.model_dump_json() + self.catalog.model_dump_json()
        return hashlib.sha256(text.encode()).hexdigest()
