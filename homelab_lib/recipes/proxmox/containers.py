"""Linux containers on Proxmox: their templates, and the containers themselves."""

from collections.abc import Iterator

from homelab_lib.control.proxmox.api import api
from homelab_lib.control.proxmox.container import Container, ContainerReached
from homelab_lib.control.proxmox.storage import Image, StorageContent
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Container as Described
from homelab_lib.recipes.proxmox.virtual_machine import files_on, in_vlan, node
from homelab_lib.runbook.step import Check, Context, Step, Wanted

MAKES = ("containers",)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of a phase's containers.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One of them can't be made.
    """
    made = [each for each in lab.containers.values() if each.phase == phase]
    if not made:
        return
    containers = Containers(lab, made)
    yield Step(
        "container-templates",
        "Fetch what the containers are made from",
        why="Proxmox downloads the templates itself, and checks each against the checksum in the "
        "lab.",
        ensure=containers.templates,
    )
    yield Step(
        "containers",
        "Make the containers, and wait until they are on the network",
        why="Each container is made in one go and started, and has to have the address that the "
        "lab gives it. Nobody's key is put into it: you get in from its host, by `pct enter`.",
        needs=("container-templates",),
        ensure=containers.made,
        check=containers.run,
    )


class Containers:
    """The containers of a phase; see `steps`."""

    def __init__(self, lab: Lab, made: list[Described]) -> None:
        self.lab = lab
        self.all = made
        for each in made:
            if lab.hosts[each.host].ssh is None:
                raise BadParameter(
                    f"{each.host} is to make container {each.name!r}, and has no SSH login",
                    where=f"hosts.{each.host}.ssh",
                    fix="add one",
                )

    def templates(self, ctx: Context) -> Iterator[Wanted]:
        """The storage's content type, and the templates."""
        for host in sorted({each.host for each in self.all}):
            store, folder = files_on(self.lab, host, "vztmpl")
            yield StorageContent(host, store, ("vztmpl",))
            names = {each.template for each in self.all if each.host == host and each.template}
            for name in sorted(names):
                image = self.lab.images[name]
                yield Image(
                    host,
                    node(self.lab, host),
                    store,
                    folder,
                    image.filename,
                    "" if image.exists else image.url or "",
                    image.sha256 or "",
                    content="vztmpl",
                )

    def made(self, ctx: Context) -> Iterator[Wanted]:
        """The containers, then what they are reached by."""
        yield [self._resource(each) for each in self.all]
        yield [
            ContainerReached(
                each.host, node(self.lab, each.host), each.vmid, each.name, each.ip or ""
            )
            for each in self.all
        ]

    def run(self, ctx: Context) -> Iterator[Check]:
        """Each runs."""
        for each in self.all:
            path = f"/nodes/{node(self.lab, each.host)}/lxc/{each.vmid}/status/current"
            status = api(ctx.host(each.host), path, shape={"status": str})["status"]
            yield Check(f"{each.name} runs", status == "running", status)

    def _resource(self, each: Described) -> Container:
        assert each.template is not None
        store, _ = files_on(self.lab, each.host, "vztmpl")
        mounts = each.mounts.items()
        return Container(
            host=each.host,
            lab=self.lab.name,
            node=node(self.lab, each.host),
            vmid=each.vmid,
            hostname=each.name,
            template=f"{store}:vztmpl/{self.lab.images[each.template].filename}",
            options=tuple(self._options(each).items()),
            storage=each.storage,
            disk_bytes=each.disk_bytes,
            volumes=tuple(
                (name, m.storage, m.size_bytes, m.path)
                for name, m in mounts
                if m.storage is not None and m.size_bytes is not None
            ),
            folders=tuple((name, m.folder, m.path) for name, m in mounts if m.folder is not None),
        )

    def _options(self, each: Described) -> dict[str, str]:
        options = {
            "cores": str(each.vcpu),
            "memory": str(each.memory_bytes // 2**20),
            "swap": str(each.swap_bytes // 2**20),
            "unprivileged": str(int(each.unprivileged)),
            "net0": self._card(each, "eth0", each.bridge, each.vlan, each.mac, each.address),
        }
        for name, nic in each.nics.items():
            card = f"eth{name.removeprefix('net')}"
            address = nic.address or "manual"
            options[name] = self._card(each, card, nic.bridge, nic.vlan, nic.mac, address)
        if each.nesting:
            options["features"] = "nesting=1"
        if each.nameserver:
            options["nameserver"] = each.nameserver
        return options | {"onboot": "1"}

    def _card(
        self, each: Described, card: str, bridge: str, vlan: int, mac: str | None, address: str
    ) -> str:
        words = [f"name={card}", f"bridge={bridge}"]
        words += [f"hwaddr={mac.upper()}"] if mac else []
        words += [f"tag={vlan}"] if in_vlan(self.lab, each.host, bridge, vlan) else []
        words.append(f"ip6={address}" if ":" in address else f"ip={address}")
        way_out = "gw6" if ":" in (each.gateway or "") else "gw"
        words += [f"{way_out}={each.gateway}"] if each.gateway and card == "eth0" else []
        return ",".join(words)
