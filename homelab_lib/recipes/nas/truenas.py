"""What a TrueNAS stores and shares: its pools first, then all that lies on them.

Only what lies on a TrueNAS is made; other systems' shares are looked at.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.base import Made
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.iscsi import Iscsi
from homelab_lib.lab.nas import Nas
from homelab_lib.lab.per_host import at, every
from homelab_lib.lab.storage import Dataset, NfsShare
from homelab_lib.recipes import same_disks
from homelab_lib.recipes.nas import access, datasets, pool
from homelab_lib.recipes.nas import iscsi as nas_iscsi
from homelab_lib.recipes.nas import shares as nas_shares
from homelab_lib.recipes.nas import tasks as nas_tasks
from homelab_lib.runbook.step import Step

MAKES = ("pools", "datasets", "nas", "smb_shares", "nfs_shares")

Thing = TypeVar("Thing", bound=Made)


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of all that a phase makes on TrueNAS; none where there is no such thing.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    _refuse_unmade(lab, phase)
    pools = list(pool.steps(lab, phase))
    alone = _alone(lab, phase)
    hosts = [name for name in lab.machines() if _is_truenas(lab, name)]
    making = {each.host for each in _of(every(lab.pools), phase)}
    busy = [h for h in hosts if h in making or list(_Nas(lab, h, phase, alone).steps(()))]
    ends = {host: "" if len(busy) == 1 else f"-{host}" for host in busy}
    for host, end in ends.items():
        title = f"See that nothing is wrong with {host}"
        there = same_disks.standing(lab, host, phase)
        yield nas_tasks.health(lab, host, f"nas-ready{end}", title, there)
    yield from pools
    mine = tuple(step.name for step in pools if not step.name.startswith(pool.BURN_IN))
    for host, end in ends.items():
        yield from _Nas(lab, host, phase, alone, end).steps(mine)
        title = f"See that {host} complains of nothing that was made"
        yield nas_tasks.health(lab, host, f"nas-health{end}", title)
    for share in alone:
        if share.host not in hosts and not _is_linux(lab, share.host):
            yield nas_shares.nfs(lab, share.host, [share], None, f"nfs-{share.id}", ())


def _refuse_unmade(lab: Lab, phase: int) -> None:
    """What lies on a NAS in a VM comes in a later phase than the VM: a person installs it, and lets
    us in, in between.

    Raises
    ------
    BadParameter
        It does not.
    """
    rooms: dict[str, Mapping[str, Mapping[str, Any]]]
    rooms = {"pools": lab.pools, "datasets": lab.datasets, "smb_shares": lab.smb_shares}
    rooms |= {"nfs_shares": lab.nfs_shares}
    for room, things in rooms.items():
        for name, vm in lab.vms.items():
            early = [e for e in things.get(name, {}).values() if e.phase == phase and not e.exists]
            if early and (vm.phase or 0) >= phase and _is_truenas(lab, name):
                raise BadParameter(
                    f"phase {phase} makes {room}.{early[0].id}, and phase {vm.phase} the VM {name} "
                    "that it lies on, which a person has to install in between",
                    where=f"vms.{name}.phase",
                    fix=f"write  phase: {phase + 1}  or later in all of that, or an earlier one "
                    "there",
                )


def _is_linux(lab: Lab, name: str) -> bool:
    return name in lab.hosts and lab.hosts[name].os.kind in LINUX


def _is_truenas(lab: Lab, name: str) -> bool:
    system = lab.system(name)
    return system is not None and system.kind == "truenas"


def stood_on(lab: Lab, phase: int) -> list[str]:
    """The NFS shares that a phase's clusters stand on; they are made together with these.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    clusters = [each for each in lab.clusters.values() if each.phase == phase]
    return [each.nfs.share for each in clusters if each.nfs is not None]


def _alone(lab: Lab, phase: int) -> list[NfsShare]:
    used = stood_on(lab, phase)
    return [s for s in _of(every(lab.nfs_shares), phase) if s.id not in used]


def _of(things: Iterable[Thing], phase: int) -> list[Thing]:
    return [thing for thing in things if thing.phase == phase and not thing.exists]


class _Nas:
    """What a phase makes on one NAS."""

    def __init__(
        self, lab: Lab, host: str, phase: int, alone: Iterable[NfsShare], end: str = ""
    ) -> None:
        self.lab, self.host, self.phase, self.end = lab, host, phase, end
        self.nas = lab.nas.get(host) or Nas(name=host)
        self.nfs_shares = [share for share in alone if share.host == host]
        self.smb_shares = _of(lab.smb_shares.get(host, {}).values(), phase)

    def _name(self, what: str) -> str:
        return f"nas-{what}{self.end}"

    def _mine(self, things: Mapping[str, Thing]) -> list[Thing]:
        return _of(things.values(), self.phase)

    def _datasets(self) -> list[Dataset]:
        """Those of the phase; one that a cluster's share lies on is made with that."""
        shares = [at(self.lab.nfs_shares, ref) for ref in stood_on(self.lab, self.phase)]
        theirs = [s.dataset for s in shares if s is not None and s.host == self.host]
        found = self._mine(self.lab.datasets.get(self.host, {}))
        return [dataset for dataset in found if dataset.name not in theirs]

    def steps(self, before: tuple[str, ...]) -> Iterator[Step]:
        """Its steps in the order in which they need each other."""
        made = before
        if found := self._datasets():
            made = (self._name("datasets"),)
            yield datasets.step(self.lab, found, made[0], before)
        groups, users = self._mine(self.nas.groups), self._mine(self.nas.users)
        known: tuple[str, ...] = ()
        if groups or users:
            known = (self._name("accounts"),)
            yield access.accounts(self.lab, self.host, groups, users, known[0])
        if acls := self._mine(self.nas.acls):
            name = self._name("permissions")
            yield access.permissions(self.lab, self.host, acls, name, (*made, *known))
        yield from self._shares((*made, *known))
        yield from self._tasks(made)
        if own := self._mine(self.nas.commands):
            name = self._name("commands")
            yield nas_tasks.commands(self.lab, self.host, own, name, (*made, *known))

    def _shares(self, needs: tuple[str, ...]) -> Iterator[Step]:
        smb, nfs = self.nas.smb, self.nas.nfs
        smb = smb if smb is not None and smb.phase == self.phase else None
        nfs = nfs if nfs is not None and nfs.phase == self.phase else None
        acls = self._mine(self.nas.share_acls)
        if self.smb_shares or smb or acls:
            name = self._name("smb")
            yield nas_shares.smb(self.lab, self.host, self.smb_shares, smb, acls, name, needs)
        if self.nfs_shares or nfs:
            name = self._name("nfs")
            yield nas_shares.nfs(self.lab, self.host, self.nfs_shares, nfs, name, needs)
        if lends := self._lends():
            yield nas_iscsi.step(self.lab, self.host, lends, self._name("iscsi"), needs)

    def _lends(self) -> Iscsi | None:
        """What of its iSCSI belongs to the phase."""
        iscsi = self.nas.iscsi
        if iscsi is None:
            return None
        mine: dict[str, Any] = {
            room: {thing.name: thing for thing in self._mine(getattr(iscsi, room))}
            for room in ("portals", "initiators", "auths", "extents", "targets")
        }
        return iscsi.model_copy(update=mine) if any(mine.values()) else None

    def _tasks(self, needs: tuple[str, ...]) -> Iterator[Step]:
        nas = self.nas
        snapshots, scrubs = self._mine(nas.snapshot_tasks), self._mine(nas.scrubs)
        pools = self._mine(self.lab.pools.get(self.host, {}))
        scrubs += [
            nas_tasks.scrub_of(each) for each in pools if each.scrub and each.name not in nas.scrubs
        ]
        if snapshots or scrubs:
            name = self._name("tasks")
            yield nas_tasks.tasks(self.lab, self.host, snapshots, scrubs, name, needs)
        if tests := self._mine(nas.smart_tests):
            yield nas_tasks.disk_tests(self.lab, self.host, tests, self._name("disk-tests"))
        services = self._mine(nas.alerts)
        # Mail has no phase of its own: it is what alert services of the phase are sent by.
        mail = nas.mail if any(each.kind == "Mail" for each in services) else None
        if services:
            yield nas_tasks.telling(self.lab, self.host, mail, services, self._name("alerts"))
