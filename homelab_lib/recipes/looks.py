"""What `health` looks at besides what runbooks make: what goes bad by itself, and what is too old.

Each check is about what runs, unless it says otherwise, and each finding says what mends it.
"""

from collections.abc import Collection, Iterator

from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control.clock import clock_s
from homelab_lib.control.linux.served import shown_until_s
from homelab_lib.control.proxmox.api import active_task, api
from homelab_lib.control.truenas.disks import identities, serials
from homelab_lib.control.truenas.smart import look_at_health
from homelab_lib.lab import Lab
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.host import Host as Machine
from homelab_lib.lab.pools import Pool
from homelab_lib.lab.releases import is_known, known_names, series_of
from homelab_lib.recipes import apart, pool_looks, same_disks
from homelab_lib.recipes.holdings import holdings
from homelab_lib.recipes.kubernetes import looks as cluster_looks
from homelab_lib.recipes.kubernetes.looks import good_until
from homelab_lib.recipes.nas.tasks import severe_alerts
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Step

_DISKS: Shape = [{"devpath": str, "health?": str, "serial?": str}]
_NODE_POOLS: Shape = [{"name": str}]
_STORAGES: Shape = [{"storage": str, "active?": SCALAR, "enabled?": SCALAR}]
_LOCKED: Shape = {"lock?": str}
_WELL = ("PASSED", "OK", "UNKNOWN")
_VERSIONS = {
    "truenas": ("midclt", "call", "system.version"),
    "proxmox": ("pveversion",),
    "opnsense": ("opnsense-version",),
}


_WEB = {
    "proxmox": (
        8006, "web interface", "`pvecm updatecerts --force`, then `systemctl restart pveproxy`"),
    "truenas": (
        443, "web interface", "make one under Credentials, Certificates, and have it replace the "
        "old one under System, General Settings, GUI"),
    "opnsense": (
        443, "web interface and API", "`configctl webgui restart renew` there makes one anew that "
        "it issues itself, good for 397 days; if the lab has its api.certificate_sha256, write the "
        "new one there"),
}  # fmt: skip
"""Where appliances show a certificate of their own, what that is, and how it is made anew."""
_STORED = ("pools", "datasets", "nas", "smb_shares", "nfs_shares")
"""Rooms of the lab whose things stand under the machine that they are on."""
_API = (6443, "API of k3s", "`systemctl restart k3s` makes one anew that has little left")


def looks(lab: Lab, phases: Collection[int]) -> Iterator[Step]:
    """The steps of all that stands when some phases are done.

    Parameters
    ----------
    lab, phases
        The lab, and the numbers of the phases that are done.
    """
    used = _used(lab, phases)
    hosts = [
        host
        for name, host in lab.hosts.items()
        if name in lab.machines() and (host.phase is None or host.phase in phases or name in used)
    ]
    after = max(phases, default=0) + 1
    for host in hosts:
        pools = same_disks.standing(lab, host.name, after)
        if host.os.kind == "truenas":
            yield _nas(lab, host.name, pools)
        if host.os.kind == "proxmox":
            there = [vm for vm in lab.vms.values() if vm.exists or vm.phase in phases]
            yield _node(lab, host, [vm for vm in there if vm.host == host.name], pools)
        elif host.os.kind in LINUX and pools:
            yield _linux(lab, host.name, pools)
    for vm in lab.vms.values():
        if vm.name in used and vm.os is not None and vm.os.kind == "truenas":
            yield _nas(lab, vm.name, same_disks.standing(lab, vm.name, after))
    asked = [host for host in hosts if host.os.kind in _VERSIONS]
    if asked:
        yield _releases(asked)
    shown = [(host.name, *_web_of(host)) for host in hosts if host.os.kind in _WEB]
    shown += [
        (name, *_API)
        for cluster in lab.clusters.values()
        if cluster.exists or cluster.phase in phases
        for name in cluster.servers
    ]
    if shown:
        yield _web(shown)
    inside = [host.name for host in hosts if host.os.kind in LINUX]
    inside += [vm.name for vm in lab.vms.values() if vm.exists or vm.phase in phases]
    if (url := _somewhere(lab)) and inside:
        yield _outside(inside, url, _inline(lab))
    yield from apart.looks(lab, phases)
    yield from cluster_looks.looks(lab, phases)


def _used(lab: Lab, phases: Collection[int]) -> set[str]:
    """The machines on which something was stored or shared in some phases: they stand, whoever set
    them up, and a VM's system is a person's to install."""
    keys = [key.split(".") for phase in phases for key in holdings(lab).get(phase, ())]
    return {key[1] for key in keys if key[0] in _STORED}


def _nas(lab: Lab, name: str, pools: list[Pool]) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        yield from same_disks.checks(lab, ctx, pools)
        host = ctx.host(name)
        yield severe_alerts(host)
        yield from pool_looks.of_truenas(host)
        names = serials(host)
        known = identities(host)
        for disk in sorted(name for name, serial in names.items() if serial in known):
            found = look_at_health(host, disk)
            bad = found.passed is False or found.long_test is False
            mends = "; replace it under Storage while the pool is whole" if bad else ""
            title = f"disk {disk} ({names[disk]}) calls itself well"
            yield Check(title, not bad, f"{found.says}{mends}")

    why = "Disks fail by and by, and a pool goes on with one less: only who asks hears of it."
    return Step(f"pools-{name}", f"Pools and disks of {name}", why=why, check=check)


def _linux(lab: Lab, name: str, pools: list[Pool]) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        yield from same_disks.checks(lab, ctx, pools)
        host = ctx.host(name)
        for pool in pools:
            yield from pool_looks.of_linux(host, pool.name)
        yield from pool_looks.disks_of_linux(host)

    why = "Disks fail by and by, and a pool goes on with one less: only who asks hears of it."
    return Step(f"pools-{name}", f"Pools and disks of {name}", why=why, check=check)


def _node(lab: Lab, host: Machine, vms: list[Vm], pools: list[Pool]) -> Step:
    node = host.os.node or host.name

    def check(ctx: Context) -> Iterator[Check]:
        yield from same_disks.checks(lab, ctx, pools)
        asked = ctx.host(host.name)
        for disk in api(asked, f"/nodes/{node}/disks/list", shape=_DISKS):
            said = disk.get("health", "UNKNOWN")
            title = f"disk {disk['devpath']} ({disk.get('serial', '?')}) calls itself well"
            mends = "" if said in _WELL else "; replace it while its pool is whole"
            yield Check(title, said in _WELL, f"it says {said}{mends}")
        for pool in api(asked, f"/nodes/{node}/disks/zfs", shape=_NODE_POOLS):
            yield from pool_looks.of_linux(asked, pool["name"])
        for store in api(asked, f"/nodes/{node}/storage", shape=_STORAGES):
            if str(store.get("enabled", 1)) == "1":
                well = str(store.get("active", 0)) == "1"
                says = "" if well else "it is away; `pvesm status` says why"
                yield Check(f"storage {store['storage']} is there", well, says)
        for vm in vms:
            yield from _locked(asked, node, vm)

    why = "A node says nothing by itself of a disk that fails, a storage that is away, or a lock."
    return Step(
        f"node-{host.name}", f"Disks, storages and locks of {host.name}", why=why, check=check
    )


def _locked(asked: Host, node: str, vm: Vm) -> Iterator[Check]:
    """Whether a lock has outlived its task."""
    config = api(asked, f"/nodes/{node}/qemu/{vm.vmid}/config", shape=_LOCKED)
    lock = config.get("lock", "")
    at_work = active_task(asked, node, vm.vmid) if lock else ""
    says = f"locked by {lock}" + (f", and {at_work} is at work" if at_work else "")
    says += "" if at_work or not lock else f" and nobody is at work: `qm unlock {vm.vmid}`"
    title = f"VM {vm.vmid} ({vm.name}) is not left locked"
    yield Check(title, not lock or bool(at_work), says if lock else "", looks_at="written")


def _releases(hosts: list[Machine]) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        for host in hosts:
            kind = host.os.kind
            found = series_of(kind, ctx.host(host.name).read(*_VERSIONS[kind]).stdout)
            says = found.warns or str(found)
            if not is_known(found):
                says = f"{found}; known are {known_names(kind)}"
            yield Check(f"the release of {host.name} is known", is_known(found), says)
            if host.os.version:
                meant = series_of(kind, host.os.version)
                title = f"{host.name} runs the release that the lab says"
                says = f"{found}, described as {meant}"
                yield Check(title, found == meant, says)

    why = "An appliance updates itself, and then nobody here has looked at what its calls mean."
    return Step("releases", "Releases that run", why=why, check=check)


def _web_of(host: Machine) -> tuple[int, str, str]:
    """Where an appliance shows its certificate, what that is, and how it is made anew."""
    port, what, mends = _WEB[host.os.kind]
    return (host.api.port if host.api else port), what, mends


def _web(shown: list[tuple[str, int, str, str]]) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        for name, port, what, mends in shown:
            host = ctx.host(name)
            until_s, why = shown_until_s(host, f"127.0.0.1:{port}")
            title = f"the certificate of the {what} of {name} is good for a while"
            if until_s is None:
                yield Check(title, False, f"it shows none: {why}")
            else:
                yield good_until(title, until_s, clock_s(host), mends)

    why = (
        "An appliance issues its own certificate and renews it, or does not: then its pages and "
        "whoever asks its API are refused one morning."
    )
    return Step("certificates", "Until when the appliances' certificates are good", why=why,
                check=check)  # fmt: skip


def _somewhere(lab: Lab) -> str:
    """An address in the internet that the lab itself fetches from."""
    urls = [image.url for image in lab.images.values() if image.url]
    urls += [download.url for download in lab.downloads.values()]
    return urls[0] if urls else ""


def _inline(lab: Lab) -> str:
    """What there is to do where nothing comes through, by what stands in the way."""
    inspects = [f.name for f in lab.firewalls.values() if f.ids is not None and f.ids.mode == "ips"]
    if not inspects:
        return "see whether its gateway answers, and the line behind that"
    return (
        f"where {' or '.join(inspects)} reaches it, the inspection inline holds packets back: "
        "`configctl ids restart` there"
    )


def _outside(inside: list[str], url: str, what_next: str) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        for name in inside:
            said = ctx.host(name).read("curl", "-sSIL", "-m", "20", url, ok=None)
            well = said.exit_status == 0
            says = said.stderr.strip()
            mends = "" if well else f"; {what_next}"
            yield Check(f"{name} reaches the internet", well, f"{says}{mends}" if says else "")

    why = "An inspection that hangs, or a gateway that lost its way, is seen from inside only."
    return Step("outside", "Whether the machines inside reach the world", why=why, check=check)
