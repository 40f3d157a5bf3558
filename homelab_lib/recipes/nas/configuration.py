"""Copies of a NAS's configuration, before a phase changes it and after; what it boots from."""

from collections.abc import Iterator
from functools import partial

from homelab_lib.answers import Shape
from homelab_lib.control.truenas.backup import ConfigBackup, sealed
from homelab_lib.control.truenas.midclt import call
from homelab_lib.lab import Lab
from homelab_lib.lab.host import Host
from homelab_lib.recipes.nas.network import end, nases
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

MAKES = ("hosts",)
_FOLDER = "/root/homelab"
_DISKS: Shape = [{"name": str, "serial?": str, "bus?": str}]
_STATE: Shape = {"status": str}
_DIGITS = 12  # of the lab's digest: one copy for each description that is carried out


def before(lab: Lab, phase: int) -> Iterator[Step]:
    """What has to be so before anything is changed: it boots from a sound disk, and how it is set
    up now is kept.

    Raises
    ------
    BadParameter
        Nobody logs in on one of them.
    """
    found = nases(lab, phase)
    for host in found:
        mark = end(host, found)
        yield Step(
            f"nas-boot{mark}",
            f"See what {host.title} boots from",
            why="A system disk that fails takes the NAS down, and not the data: the pools are on "
            "others. A stick fails sooner than a disk and says its serial number wrongly at times, "
            "so that two of them can't be told apart.",
            check=partial(_boots, lab, host),
        )
        yield _step(
            lab,
            host,
            f"nas-backup-before{mark}",
            f"Keep the configuration of {host.title} as it is",
            f"before-phase{phase}",
            "Before anything is changed: what to go back to. The copy holds the key to every "
            "stored password, so it is for root alone and nothing of it is told.",
        )


def after(lab: Lab, phase: int) -> Iterator[Step]:
    """How it is set up then, and a copy where the NAS is not.

    Raises
    ------
    BadParameter
        Nobody logs in on one of them.
    """
    found = nases(lab, phase)
    for host in found:
        mark = end(host, found)
        name = f"nas-backup-after{mark}"
        yield _step(
            lab,
            host,
            name,
            f"Keep the configuration of {host.title} as it is now",
            f"after-phase{phase}",
            "A NAS whose system disk died is installed anew and given this copy: then it is what "
            "it was. One that lies on the disk that died is of no use, so it goes elsewhere, too.",
        )
        path = _path(lab, f"after-phase{phase}")
        user = host.ssh.user if host.ssh else "root"
        yield Step(
            f"nas-backup-elsewhere{mark}",
            "Keep that copy where the NAS is not",
            why="What lies on the NAS dies with it. It opens everything, so it is encrypted "
            "before it leaves.",
            needs=(name,),
            manual=Manual(
                f"copy it to a place of yours, encrypted:\n      ssh {user}@{host.name} sudo cat "
                f"{path} | gpg -c > {host.name}.tar.gpg\n    and try once that it can be read"
            ),
        )


def _path(lab: Lab, moment: str) -> str:
    return f"{_FOLDER}/{lab.name}-{moment}-{lab.digest[:_DIGITS]}.tar"


def _step(lab: Lab, host: Host, name: str, title: str, moment: str, why: str) -> Step:
    path = _path(lab, moment)
    return Step(
        name,
        title,
        why=why,
        ensure=partial(_kept, host.name, path),
        check=partial(_is, host.name, path),
    )


def _kept(host: str, path: str, ctx: Context) -> Iterator[Wanted]:
    yield ConfigBackup(host, path)


def _is(host: str, path: str, ctx: Context) -> Iterator[Check]:
    seal = sealed(ctx.host(host), path)
    yield Check(f"the configuration of {host} is kept in {path}", True, f"sealed {seal[:16]}")


def _boots(lab: Lab, host: Host, ctx: Context) -> Iterator[Check]:
    """The system disk is sound, and the one that the lab has; a stick is told."""
    nas = ctx.host(host.name)
    state = call(nas, "boot.get_state", shape=_STATE)["status"]
    yield Check(f"the system pool of {host.name} is sound", state == "ONLINE", state.lower())
    names = call(nas, "boot.get_disks", shape=[str])
    rows = [row for row in call(nas, "disk.query", shape=_DISKS) if row["name"] in names]
    serials = {row["serial"] for row in rows if row.get("serial")}
    described = [disk for disk in host.disks.values() if disk.role == "boot"]
    wanted = {disk.serial for disk in described if disk.serial}
    title = f"{host.name} boots from the disk that the lab has"
    told = ", ".join(sorted(serials)) or "a disk that tells no serial number"
    yield Check(title, not (wanted and serials) or bool(wanted & serials), told)
    if any((row.get("bus") or "") == "USB" for row in rows) or any(
        disk.part.fits.startswith("USB") for disk in described
    ):
        yield Check(
            f"{host.name} boots from a stick",
            True,
            "it works, and wears out: the system's data set moves to the first pool by itself; an "
            "SSD in a USB case lasts longer, and a second one may mirror it",
        )
