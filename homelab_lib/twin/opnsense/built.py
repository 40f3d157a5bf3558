"""An OPNsense as the lab describes it: what the installer and the console have left."""

from collections.abc import Iterator

from homelab_lib.lab.host import Host
from homelab_lib.twin.fidelity import Shelf
from homelab_lib.twin.machine.built import furnish, made
from homelab_lib.twin.machine.freebsd import freebsd
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.opnsense import policy, web
from homelab_lib.twin.opnsense.api import Api
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.endpoints import endpoints
from homelab_lib.twin.opnsense.factory import Assigned, VlanDevice, factory
from homelab_lib.twin.opnsense.firewall import Device, OpnSense
from homelab_lib.twin.opnsense.grounds import GROUNDS
from homelab_lib.twin.opnsense.programs import OPNSENSE, install
from homelab_lib.twin.opnsense.seeding import seed_opnsense
from homelab_lib.twin.opnsense.shell_grounds import SHELL_GROUNDS
from homelab_lib.twin.world import Kind, World

_VERSION = "26.7.2"
_PATCHES = {"26.1": "26.1.11", "26.7": "26.7.2"}
"""The patch release of a series whose own code has judged our answers."""
_KERNELS = {"26.1": "14.3-RELEASE-p4", "26.7": "15.1-RELEASE-p1"}


def register(world: World) -> None:
    """Tell the world how an OPNsense is made and seeded."""
    world.kinds["opnsense"] = Kind(_make, seed_opnsense)
    world.shelves.append(Shelf("opnsense", (*GROUNDS, *SHELL_GROUNDS), _version))


def _version(machine: Machine) -> str:
    return machine.version if isinstance(machine, OpnSense) else ""


def _make(world: World, name: str, host: Host, before_phase: int) -> Box:
    version = host.os.version or _VERSION
    firewall = Box(
        name,
        world,
        user=host.ssh.user if host.ssh else "root",
        version=_PATCHES.get(version, version),
        commands=(*OPNSENSE, freebsd, *world.programs),
    )
    firewall.kernel = _KERNELS.get(".".join(version.split(".")[:2]), firewall.kernel)
    furnish(firewall, host, before_phase)
    firewall.wire()
    install(firewall)
    firewall.devices = [
        *(Device(port.interface or port.name, port.mac or "") for port in host.ports.values()),
        *(Device(name, physical=False) for name in ("lo0", "pflog0")),
    ]
    vlans = [
        VlanDevice(each.name.partition(".")[0], each.tag, f"vlan0.{each.tag}", _called(world, each))
        for each in firewall.interfaces
        if each.tag is not None
    ]
    root = factory(
        firewall.release, _assigned(world, firewall), vlans, hostname=name, seed=world.seed
    )
    if made(host.phase, before_phase):
        policy.write(root, world.lab, world.seed)
    firewall.config.put(root)
    firewall.serve(Api(firewall, endpoints(firewall.release)))
    fetched = world.lab.backups.configurations.values()
    firewall.doorman.copies = len([each for each in fetched if each.appliance == name])
    web.answers(firewall)
    web.shows(firewall, days=web.WEB_DAYS)
    firewall.apply_all()
    return firewall


def _called(world: World, interface: object) -> str:
    vlan = world.lab.vlans.get(getattr(interface, "tag", None) or 0)
    return vlan.name.upper().replace("-", "_") if vlan else ""


def _assigned(world: World, firewall: OpnSense) -> Iterator[Assigned]:
    """LAN is where the lab's own subnets are, WAN whatever else is connected."""
    inside = [vlan.gateway for vlan in world.lab.vlans.values()]
    known: set[str] = set()
    optional = 0
    for each in sorted(firewall.interfaces, key=lambda one: (one.tag or 0, not one.cidr)):
        if each.tag is None and each.address in inside and "lan" not in known:
            name, device, called = "lan", each.name, ""
        elif each.tag is None and "wan" not in known and each.address not in inside:
            name, device, called = "wan", each.name, ""
        elif each.tag is not None:
            optional += 1
            name, device = f"opt{optional}", f"vlan0.{each.tag}"
            called = _called(world, each)
        else:
            continue
        known.add(name)
        yield Assigned(name, device, each.cidr or "dhcp", called)
