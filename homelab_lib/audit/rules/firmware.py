"""Kernels, drivers and firmware: older than a device needs, or taken for older than they are."""

import re
from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import fact, rule
from homelab_lib.lab.devices import GpuPart
from homelab_lib.lab.host import Device, Host
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.part import Part

Version = tuple[int, ...]

_KERNELS = {
    ("proxmox", "7.4"): "5.15",
    ("proxmox", "8.0"): "6.2",
    ("proxmox", "8.1"): "6.5",
    ("proxmox", "8.2"): "6.8",
    ("proxmox", "8.3"): "6.8",
    ("proxmox", "8.4"): "6.8",
    ("proxmox", "9.0"): "6.14",
    ("proxmox", "9.1"): "6.17",
    ("proxmox", "9.2"): "7.0",
    ("truenas", "24.04"): "6.6",
    ("truenas", "24.10"): "6.6",
    ("truenas", "25.04"): "6.12",
    ("truenas", "25.10"): "6.12",
    ("linux", "Debian 12"): "6.1",
    ("linux", "Debian 13"): "6.12",
    ("linux", "Ubuntu 22.04"): "5.15",
    ("linux", "Ubuntu 24.04"): "6.8",
}
"""Kernel of a release as it came out; a release that is not listed is not judged."""

_KERNEL_SOURCES = (
    "Kernels by release: realtek-r8125-dkms #55 and #82 (Proxmox VE 8.2, 9.0), uname of TrueNAS "
    "24.10.2, 25.04.2.6 and 25.10.1 in public notes, the others from release notes (unverified)"
)
_SINCE = re.compile(r"kernel (\d+\.\d+)\+")
_OUTSIDE = re.compile(r"DKMS|out[- ]of[- ]tree", re.IGNORECASE)


def _version(text: str) -> Version:
    return tuple(int(digits) for digits in re.findall(r"\d+", text)[:2])


def kernel(kind: str, release: str) -> str | None:
    """The Linux kernel that a release came with; None where it is not known.

    Parameters
    ----------
    kind
        As a host's ``os.kind``.
    release
        As written: ``9.1``, ``25.10.1``, ``Ubuntu 24.04 LTS``.
    """
    return next(
        (
            version
            for (system, name), version in _KERNELS.items()
            if system == kind and re.match(rf"{re.escape(name)}(?![\d])", release)
        ),
        None,
    )


def _guest(lab: Lab, host: Host, device: Device) -> tuple[str, str | None]:
    """Whose kernel drives a device, and that kernel: a VM's where it is passed through."""
    if vms := lab.vms_with(f"{host.name}.{device.name}"):
        vm = vms[0]
        return vm.name, kernel("linux", lab.images[vm.image].release if vm.image else "")
    return host.name, kernel(host.os.kind, host.os.version)


@rule("kernel-too-old")
def kernels_suffice(lab: Lab) -> Iterator[Finding]:
    """A device that needs a later kernel than its machine's release came with."""
    for host in lab.hosts.values():
        wanted: list[tuple[str, Part, str, str, str | None]] = [
            (
                f"hosts.{host.name}.devices.{d.name}",
                d.part,
                d.part.min_kernel,
                *_guest(lab, host, d),
            )
            for d in host.devices.values()
            if isinstance(d.part, GpuPart) and d.part.min_kernel
        ]
        own = kernel(host.os.kind, host.os.version)
        wanted += [
            (f"hosts.{host.name}.ports.{p.name}", p.part, p.part.in_tree_since, host.name, own)
            for p in host.ports.values()
            if p.part.in_tree_since and not _OUTSIDE.search(p.kernel_status or "")
        ]
        for subject, part, least, machine, there in wanted:
            if there is None or _version(there) >= _version(least):
                continue
            yield Finding(
                "kernel-too-old",
                "stops",
                subject,
                f"{part.title} needs Linux {least}; {machine} comes with {there}.",
                None,
                "",
                (fact(part, f"from Linux {least}"), _KERNEL_SOURCES),
                _later(lab, machine, least),
            )


def _later(lab: Lab, machine: str, least: str) -> Fix:
    """The first release of the machine's system whose kernel is enough."""
    host = lab.hosts.get(machine)
    for (kind, name), version in _KERNELS.items():
        if host and kind == host.os.kind and _version(version) >= _version(least):
            return Fix(f"{kind} {name}", changes=((f"hosts.{machine}.os.version", name),))
    return Fix(f"a release with Linux {least} or later")


@rule("dkms-not-needed")
def drivers_in_tree(lab: Lab) -> Iterator[Finding]:
    """A driver from outside the kernel, where the machine's kernel has one."""
    for host in lab.hosts.values():
        there = kernel(host.os.kind, host.os.version)
        for port in host.ports.values():
            part = port.part
            if not part.driver or not part.in_tree_since or there is None:
                continue
            outside = bool(_OUTSIDE.search(port.kernel_status or ""))
            if not outside or _version(there) < _version(part.in_tree_since):
                continue
            path = f"hosts.{host.name}.ports.{port.name}"
            yield Finding(
                "dkms-not-needed",
                "risks",
                path,
                f"{port.driver or 'A module'} from outside the kernel is planned for {port.name} "
                f"of {host.name}; Linux {there} has {part.driver} for {part.chip} since "
                f"{part.in_tree_since}." + _alone(lab, host, port.name),
                None,
                "",
                (fact(part, f"{part.driver} since Linux {part.in_tree_since}"), _KERNEL_SOURCES),
                Fix(
                    f"the kernel's own {part.driver}",
                    changes=(
                        (f"{path}.driver", part.driver),
                        (f"{path}.kernel_status", f"In-tree (kernel {part.in_tree_since}+)"),
                    ),
                ),
            )


def _ways_in(lab: Lab, host: Host) -> list[str]:
    """The ports by which a host is in the house: in a VLAN, or plugged into a switch."""
    plugged = set()
    for cable in lab.cables:
        for here, there in ((cable.a, cable.b), (cable.b, cable.a)):
            if there.partition(".")[0] in lab.switches:
                plugged.add(here)
    return [
        name
        for name in host.ports
        if f"{host.name}.{name}" in plugged or (on := host.on_wire(name)).vlan or on.tagged
    ]


def _alone(lab: Lab, host: Host, port: str) -> str:
    """That a port is the only way to the house, as a further sentence; empty where it is not."""
    if _ways_in(lab, host) != [port]:
        return ""
    others = [name for name in host.ports if name != port]
    return (
        f" {port} is the only way of {host.name} into the house"
        + (f" ({', '.join(others)} are none)" if others else "")
        + ": by a driver that has to be fetched and built first there is no LAN at first boot."
    )


@rule("no-lan-at-first-boot")
def reached_at_first(lab: Lab) -> Iterator[Finding]:
    """A machine all of whose ways into the house need a driver that its kernel does not have."""
    for host in lab.hosts.values():
        there = kernel(host.os.kind, host.os.version)
        ways = {name: host.ports[name] for name in _ways_in(lab, host)}
        lacking = [
            name
            for name, port in ways.items()
            if _OUTSIDE.search(port.kernel_status or "")
            and there is not None
            and (not (since := port.part.in_tree_since) or _version(there) < _version(since))
        ]
        if not ways or lacking != list(ways):
            continue
        wanted = ", ".join(ways[name].driver or ways[name].part.title for name in lacking)
        yield Finding(
            "no-lan-at-first-boot",
            "stops",
            f"hosts.{host.name}.ports.{lacking[0]}",
            f"{host.title} is in the house by {', '.join(lacking)} alone, and Linux {there} has no "
            f"driver for it: {wanted} has to be fetched over a network that is not there yet.",
            evidence=(
                fact(ways[lacking[0]].part, "driver from outside the kernel"),
                _KERNEL_SOURCES,
            ),
            fix=Fix("a USB network adapter for the first boot, or a release with the driver"),
        )


@rule("microcode-first")
def microcode_told(lab: Lab) -> Iterator[Finding]:
    """A processor that ages unless the board's firmware brings a certain microcode."""
    for host in lab.hosts.values():
        cpu = host.cpu
        if cpu is None or cpu.min_microcode is None:
            continue
        known = cpu.status.get("min_microcode", "verified")
        yield Finding(
            "microcode-first",
            "note",
            f"hosts.{host.name}.cpu",
            f"{cpu.title} wants microcode {cpu.min_microcode:#x} or later ({known}): without it, "
            "too high a voltage ages it. The board's firmware has to bring it before the first "
            "long load.",
            evidence=(fact(cpu, f"microcode {cpu.min_microcode:#x}"),),
            fix=Fix("the latest firmware for the board, first of all"),
        )


@rule("driver-since-differs")
def drivers_dated(lab: Lab) -> Iterator[Finding]:
    """A kernel named for a driver that is not the one that brought it."""
    for host in lab.hosts.values():
        for port in host.ports.values():
            since = port.part.in_tree_since
            said = _SINCE.search(port.kernel_status or "")
            if not said or not since or _version(said[1]) == _version(since):
                continue
            path = f"hosts.{host.name}.ports.{port.name}.kernel_status"
            early = _version(said[1]) < _version(since)
            known = port.part.status.get("in_tree_since", "verified")
            yield Finding(
                "driver-since-differs",
                "note",
                path,
                f"{port.driver or port.part.driver} is said to be in Linux {said[1]}; it came "
                f"{'later' if early else 'earlier'}, with {since} ({known}).",
                None,
                "",
                (fact(port.part, f"in Linux since {since}"),),
                Fix(f"write {since}", changes=((path, f"In-tree (kernel {since}+)"),)),
            )
