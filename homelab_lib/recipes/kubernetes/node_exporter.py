"""The node exporter on machines outside of the cluster: pools, links, graphics cards, temperatures.

A Debian has it as a package. Over its unit file a command of ours is laid: it listens on the one
address at which it is asked, and tells of AMD's cards, which it leaves out by itself; what stands
in ``/etc/default`` no longer counts.

On a TrueNAS nothing is installed; there it is an app, by Prometheus's own image, as its README has
it for Docker: in the host's network, and seeing its processes. Of the disks it is given its pools,
read-only and as nobody, to ask how full they are; the pools' state, and the heat of cards and
disks, stand in ``/proc`` and ``/sys``. The catalog of TrueNAS has no exporter.

Sources: prometheus/node_exporter 1.12.1, README (Docker) and `collector/`; Debian's
prometheus-node-exporter 1.5 to 1.9, its unit; systemd.unit(5), drop-in files.
"""

from collections.abc import Iterator
from typing import Any

from homelab_lib.control.linux import File, Packages
from homelab_lib.control.linux.unit_file import OwnService, dropin, dropin_text
from homelab_lib.control.truenas.apps import AppsPool
from homelab_lib.control.truenas.composed import ComposedApp
from homelab_lib.lab import Lab
from homelab_lib.lab.production import Target
from homelab_lib.recipes.nas.apps import pool_of
from homelab_lib.runbook.step import Wanted

PORT = 9100
PACKAGE = "prometheus-node-exporter"
IMAGE = "quay.io/prometheus/node-exporter:v1.12.1"
_APP = "node-exporter"
_DEBIANS = ("linux", "proxmox")
_CARDS = "--collector.drm"
_ROOT = "/host"


def is_made(lab: Lab, target: Target) -> bool:
    """Whether a target's exporter is ours to make: on a machine that runbooks log in to, and at
    the exporter's own port. At another one somebody else's answers."""
    host = lab.hosts.get(target.name)
    if target.exporter != "node" or target.port != PORT or host is None:
        return False
    nas = host.os.kind == "truenas" and bool(lab.pools.get(target.name))
    return host.ssh is not None and not host.standalone and (nas or host.os.kind in _DEBIANS)


def on(lab: Lab, target: Target) -> Iterator[Wanted]:
    """The exporter of a target.

    Parameters
    ----------
    lab, target
        The lab, and a target of which `is_made` holds.
    """
    if lab.hosts[target.name].os.kind == "truenas":
        pool = pool_of(lab, target.name)
        yield AppsPool(target.name, pool)
        pools = tuple(lab.pools.get(target.name, {}))
        yield ComposedApp(target.name, lab.name, _APP, container(target, pools))
        return
    path = dropin(PACKAGE)
    text = dropin_text(" ".join((f"/usr/bin/{PACKAGE}", *words(target))), PACKAGE)
    yield Packages(target.name, (PACKAGE,))
    yield File(target.name, path, text, what="what the exporter tells, and where", lab=lab.name)
    yield OwnService(target.name, PACKAGE, (path,))


def words(target: Target) -> tuple[str, ...]:
    """What the exporter of a Debian is told, besides what it does by itself."""
    return _listening(target), _CARDS


def container(target: Target, pools: tuple[str, ...]) -> dict[str, Any]:
    """The exporter as Docker Compose describes a service.

    Parameters
    ----------
    target, pools
        Where it is asked, and the pools of its machine.
    """
    return {
        "image": IMAGE,
        "command": [
            f"--path.rootfs={_ROOT}",
            _listening(target),
            f"--collector.filesystem.mount-points-include=^/mnt/({'|'.join(pools)})",
            _CARDS,
        ],
        "network_mode": "host",
        "pid": "host",
        "restart": "unless-stopped",
        "volumes": [f"/mnt/{pool}:{_ROOT}/mnt/{pool}:ro,rslave" for pool in pools],
    }


def _listening(target: Target) -> str:
    return f"--web.listen-address={target.address}:{target.port}"
