"""What every machine of a lab has, whatever it is: processors, interfaces, the first files."""

from homelab_lib.lab.host import Host
from homelab_lib.twin.machine.interface import Interface
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.packages import install

_FIRMWARE_SHARE = 0.0248  # of 128 GiB a kernel sees 124.82 on the board we know (hardware.md, 5)


def furnish(machine: Machine, host: Host) -> None:
    """What every machine has: memory, processors, interfaces, the first files."""
    lab = machine.world.lab
    if host.cpu is not None:
        machine.cpu_model = host.cpu.title
    if host.threads is not None:
        machine.threads = host.threads
    if host.memory_bytes is not None:
        machine.memory_bytes = int(host.memory_bytes * (1 - _FIRMWARE_SHARE))
    for name, port in host.attached.items():
        addresses: list[tuple[int | None, str | None]] = [(None, port.address)]
        for tag, cidr in (*addresses, *port.addresses.items()):
            if not cidr and tag is None and not port.bridge:
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
                    mtu=port.mtu,
                )
            )
    machine.files.put("/etc/hostname", f"{machine.name}\n")
    machine.files.put("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {machine.name}\n")
    machine.files.put("/etc/os-release", 'ID=debian\nVERSION_ID="13"\n')
    for folder in ("/usr/local/bin", "/var/lib"):
        machine.files.mkdir(folder, parents=True)
    machine.files.make_folder("/tmp", mode=0o1777)
    for user in {"root", machine.user}:
        machine.make_home(user)
    machine.packages |= {"openssh-server": "1:10.0p1-7", "sudo": "1.9.16p2-3"}
    for package in ("curl", "wget"):
        install(machine, package)


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
