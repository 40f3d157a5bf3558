"""What every machine of a lab has, whatever it is: processors, interfaces, the first files."""

from collections import Counter
from collections.abc import Iterator

from homelab_lib.lab.host import Host
from homelab_lib.twin.machine.bus import on_bus
from homelab_lib.twin.machine.columns import Row
from homelab_lib.twin.machine.devices import device, letters, root_disk
from homelab_lib.twin.machine.disks import link_disks
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.memory_module import fitted
from homelab_lib.twin.machine.packages import install
from homelab_lib.wiring.cables import cable_speed

_BARE = ("debian", "ubuntu", "linux")  # an appliance brings more tools along
_FIRMWARE_SHARE = 0.0248  # of 128 GiB a kernel sees 124.82 on the board we know (hardware.md, 5)


def furnish(machine: Machine, host: Host, before_phase: int) -> None:
    """What every machine has: memory, processors, interfaces, the first files.

    One that no phase has set up yet has the addresses that its installer gave it: the one it is
    reached by, and what DHCP gives.
    """
    lab = machine.world.lab
    if host.cpu is not None:
        machine.cpu_model = host.cpu.title
    if host.threads is not None:
        machine.threads = host.threads
    if host.memory_bytes is not None:
        machine.memory_bytes = int(host.memory_bytes * (1 - _FIRMWARE_SHARE))
    machine.modules_fitted = list(fitted(host))
    if host.name in lab.hosts:
        machine.bus = list(on_bus(lab, host.name))
    machine.files.put("/proc/cpuinfo", _cpuinfo(host))
    machine.sysctl["net.ipv4.ip_forward"] = "0"
    if host.os.kind in ("opnsense", "pfsense"):
        machine.sysctl |= {"hw.model": machine.cpu_model, "hw.ncpu": str(machine.threads)}
        machine.sysctl["hw.physmem"] = str(machine.memory_bytes)
    if host.disks:
        machine.blocks = list(_disks(host))
        if host.os.kind in _BARE:
            link_disks(machine)
    for name, port in host.attached.items():
        addresses: list[tuple[int | None, str | None]] = [(None, port.address)]
        # Before phase 0 is a world to be seeded: what its hosts don't tell is as described.
        bare = before_phase > 0 and not made(host.phase, before_phase)
        for tag, given in (*addresses, *port.addresses.items()):
            cidr = given if not bare or _installed(host, given) else None
            if not cidr and (tag is not None or not (port.bridge or port.interface)):
                continue
            vlan = lab.vlans.get(tag or port.vlan or 0)
            gateway = vlan.gateway if vlan and vlan.gateway else ""
            base = port.bridge or port.interface or name
            machine.interfaces.append(
                Interface(
                    name=base if tag is None else f"{base}.{tag}",
                    mac=port.mac or f"02:00:00:00:00:{len(machine.interfaces):02x}",
                    cidr=cidr or "",
                    host=machine.name,
                    segment=port.bridge or name,
                    tag=tag,
                    gateway="" if (cidr or "").partition("/")[0] == gateway else gateway,
                    mtu=1500 if bare else port.mtu,
                )
            )
    for port in host.ports.values():
        if port.interface:
            speed = _mbps(machine, f"{host.name}.{port.name}")
            machine.files.put(f"/sys/class/net/{port.interface}/speed", f"{speed}\n")
    machine.files.put("/etc/hostname", f"{machine.name}\n")
    machine.files.put("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n")
    machine.files.put("/etc/os-release", 'ID=debian\nVERSION_ID="13"\n')
    machine.files.put("/etc/ssh/ssh_host_ed25519_key.pub", f"{machine.host_key_public}\n")
    for folder in ("/usr/local/bin", "/var/lib", "/run"):
        machine.files.mkdir(folder, parents=True)
    machine.files.make_folder("/tmp", mode=0o1777)
    for user in {"root", machine.user}:
        machine.make_home(user)
    machine.packages |= {"openssh-server": "1:10.0p1-7", "sudo": "1.9.16p2-3"}
    looking = () if host.os.kind in _BARE else ("dmidecode", "pciutils")
    for package in ("curl", "wget", *looking):
        install(machine, package)


def _mbps(machine: Machine, end: str) -> int:
    """What the cable in a port comes up at [Mb/s]; -1 for none, or one that does not fit."""
    lab = machine.world.lab
    speeds = (cable_speed(lab, each) for each in lab.cables if end in (each.a, each.b))
    return next((int(each.speed_bps / 1e6) for each in speeds if each.speed_bps), -1)


def _cpuinfo(host: Host) -> str:
    """As a kernel on x86 writes it, as far as anybody reads it here."""
    title = host.cpu.title if host.cpu else "Twin"
    revision = (host.cpu.min_microcode if host.cpu else None) or 0x100
    rows = (
        f"processor\t: {number}\nmodel name\t: {title}\nmicrocode\t: {revision:#x}\n"
        for number in range(host.threads or 1)
    )
    return "\n".join(rows)


def _installed(host: Host, cidr: str | None) -> bool:
    """Whether an address is there once the system is installed."""
    if cidr is None or "/" not in cidr:
        return cidr is not None
    return host.ssh is not None and cidr.partition("/")[0] == host.ssh.address


def _disks(host: Host) -> Iterator[Row]:
    """A machine's drives, named as the kernel finds them; on the first boot drive is the system."""
    counts: Counter[str] = Counter()
    booted = False
    for disk in host.disks.values():
        kind = "nvme" if disk.part.pcie else "mmcblk" if disk.part.fits == "eMMC" else "sd"
        number = counts[kind]
        counts[kind] += 1
        name = {"nvme": f"nvme{number}n1", "mmcblk": f"mmcblk{number}"}.get(kind)
        name = name or f"sd{letters(number)}"
        wires = {"USB": "usb", "SAS": "sas"}
        tran = wires.get(disk.part.fits[:3], "sata") if kind == "sd" else kind
        facts = {
            "tran": tran,
            "rota": disk.part.media == "HDD",
            "model": disk.part.title,
            "serial": disk.serial,
            "log-sec": disk.part.logical_sector_bytes,
            "phy-sec": disk.part.physical_sector_bytes,
        }
        boots = disk.role == "boot" and not booted
        booted = booted or boots
        made_of = root_disk if boots else device
        yield made_of(name, disk.capacity_bytes, **facts)


def full_version(version: str, default: str) -> str:
    """A release with all its parts: ``9.1`` becomes ``9.1.4``."""
    if not version:
        return default
    return (
        version if version.count(".") > 1 or not default else f"{version}.{default.split('.')[2]}"
    )


def made(phase: int | None, before_phase: int) -> bool:
    """Whether something of that phase is there when the phases before `before_phase` are done."""
    return phase is None or phase < before_phase
