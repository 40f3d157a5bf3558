"""Whether VMs fit on their hosts: cores, memory, disks."""

from collections.abc import Iterator, Sequence
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux import read_file
from homelab_lib.control.proxmox.api import CONFIG, api
from homelab_lib.control.proxmox.options import OPTIONS
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.pools import Pool
from homelab_lib.recipes import same_disks
from homelab_lib.recipes.proxmox.virtual_machine import FIRST, node
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context

GIB = 2**30
_NODE: Shape = {"memory": {"total": int}, "cpuinfo": {"cpus": int}}
_NODES: Shape = [{"node": str}]
_GUESTS: Shape = [{"vmid": whole, "node": str, "maxmem?": int, "template?": (int, bool)}]
_STORAGES: Shape = [{"storage": str, "active?": (int, bool), "avail?": int}]
_CACHE = "/sys/module/zfs/parameters/zfs_arc_max"
_HOST_KEEPS_BYTES = 4 * GIB  # what the host itself needs, beside ZFS's cache
_PER_VM = 1.05  # QEMU takes about this much of what the guest sees


def checks(ctx: Context, lab: Lab, vms: Sequence[Vm]) -> Iterator[Check]:
    """Cores, memory and disk that the VMs want, against what each host has left.

    Raises
    ------
    StepFailed
        A node is called otherwise than the lab has it.
    """
    for name in sorted({vm.host for vm in vms}):
        host, called = ctx.host(name), node(lab, name)
        _assert_called(host, called)
        status = api(host, f"/nodes/{called}/status", shape=_NODE)
        rows = api(host, "/cluster/resources", "--type", "vm", shape=_GUESTS)
        ours = [vm for vm in vms if vm.host == name]
        numbers = {vm.vmid for vm in ours}
        others = [
            row
            for row in rows
            if row["node"] == called and row["vmid"] not in numbers and _runs(row)
        ]
        yield _memory(ours, others, status["memory"]["total"], _cache_bytes(host))
        yield _cores(ours, status["cpuinfo"]["cpus"])
        yield from _disks(host, called, ours, {row["vmid"] for row in rows})
        yield from same_disks.checks(lab, ctx, _pools(lab, name, ours))
        for nas in _stood_on(lab, ours):
            yield _starts_first(host, called, nas)


def _stood_on(lab: Lab, ours: list[Vm]) -> list[Vm]:
    """VMs of the same host that are there already, on whose shares the VMs' disks come to lie."""
    stores = [lab.storages.get(vm.host, {}).get(vm.storage) for vm in ours]
    servers = {store.server for store in stores if store is not None and store.server}
    hosts = {vm.host for vm in ours}
    there = (vm for vm in lab.vms.values() if vm not in ours and vm.host in hosts)
    return [vm for vm in there if servers & {vm.name, vm.ip}]


def _starts_first(host: Host, called: str, nas: Vm) -> Check:
    """After a power cut, a guest whose disk is not there yet is tried once."""
    path = f"/nodes/{called}/qemu/{nas.vmid}/config"
    config = api(host, path, "--current", "1", shape=CONFIG)
    startup = OPTIONS["startup"].read(str(config.get("startup", "")))
    first = str(config.get("onboot", "0")) == "1" and startup["order"] and startup["up"]
    says = (
        f"startup is {config['startup']}"
        if first
        else (f"nothing has it start first: qm set {nas.vmid} --onboot 1 --startup {FIRST}")
    )
    return Check(f"{nas.name} starts before what keeps its disk on it", bool(first), says)


def _pools(lab: Lab, name: str, ours: list[Vm]) -> list[Pool]:
    """The pools that the VMs' disks come to lie on."""
    stores = [lab.storages.get(name, {}).get(vm.storage) for vm in ours]
    places = {(store.pool or "").partition("/")[0] for store in stores if store is not None}
    return [pool for pool in lab.pools.get(name, {}).values() if pool.name in places]


def _runs(row: dict[str, Any]) -> bool:
    """Whether a guest takes memory; one that has just changed is of unknown state, and may."""
    return row.get("status") != "stopped" and not row.get("template")


def _assert_called(host: Host, name: str) -> None:
    called = [row["node"] for row in api(host, "/nodes", shape=_NODES)]
    if name not in called:
        raise StepFailed(
            f"{host.name} is called {' or '.join(called)} by Proxmox, and {name} in the lab",
            where=f"hosts.{host.name}.os.node",
            fix=f"write  os: {{node: {called[0]}}}" if len(called) == 1 else "name it there",
        )


def _disks(host: Host, called: str, ours: list[Vm], made: set[int]) -> Iterator[Check]:
    rows = api(host, f"/nodes/{called}/storage", shape=_STORAGES)
    stores = {row["storage"]: row for row in rows}
    wanted: dict[str, int] = {}
    for vm in ours:
        drives = [(vm.storage, vm.disk_bytes)]
        drives += [(d.storage, d.size_bytes or 0) for d in vm.disks.values() if d.storage]
        for store, size in drives:
            wanted[store] = wanted.get(store, 0) + (0 if vm.vmid in made else size)
    for store, size in sorted(wanted.items()):
        if store not in stores:
            yield Check(f"{host.name} has storage {store}", False, "there is none of that name")
            continue
        if not stores[store].get("active"):
            # All its numbers are 0 then, into which nothing more wanted would fit.
            says = "Proxmox calls it inactive: a pool not imported, or a server not reached"
            yield Check(f"storage {store} is there", False, says)
            continue
        free = stores[store].get("avail", 0)
        says = f"{size / GIB:.0f} GiB wanted, {free / GIB:.0f} GiB free"
        yield Check(f"the VMs' disks fit on {store}", size <= free, says)


def _cache_bytes(host: Host) -> int:
    """What ZFS's cache may grow to [bytes]; 0 where there is no ZFS, or no limit: without one it
    gives way to VMs."""
    text = read_file(host, _CACHE).strip()
    return answers.expected(text, whole, host=host.name, line=f"cat {_CACHE}") if text else 0


def _memory(ours: list[Vm], others: list[dict[str, Any]], total: int, cache: int) -> Check:
    wanted = sum(vm.memory_bytes for vm in ours) * _PER_VM
    taken = sum(row.get("maxmem", 0) for row in others) * _PER_VM + _HOST_KEEPS_BYTES + cache
    says = (
        f"{wanted / GIB:.1f} GiB wanted; {taken / GIB:.1f} GiB kept for the host, for ZFS's cache "
        f"({cache / GIB:.1f} GiB) and for other VMs; {total / GIB:.1f} GiB there"
    )
    return Check("the VMs fit into memory", wanted + taken <= total, says)


def _cores(ours: list[Vm], threads: int) -> Check:
    most = max(vm.vcpu for vm in ours)
    total = sum(vm.vcpu for vm in ours)
    says = f"{total} virtual processors on {threads} threads, {most} in the largest VM"
    return Check("the processors suffice", most <= threads and total <= 2 * threads, says)
