"""Whole VMs that are restored once to see that they can be: from where Proxmox has backed them up
to, or from a copy that carries its archives to another place."""

from collections.abc import Collection, Iterator
from functools import partial

from homelab_lib.control.linux.packages import Packages
from homelab_lib.control.linux.restic import Access, tags
from homelab_lib.control.proxmox.guest_drill import Carried, GuestDrill
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import GuestDrill as Described
from homelab_lib.recipes.backup.guests import Guests
from homelab_lib.recipes.backup.promised import drilled
from homelab_lib.recipes.backup.restic import on_paper
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

_DAY_S = 86_400.0
_AS_AFTER_A_FIRE = (
    " It is held as after a fire: by the address, the key and the login as they stand on paper, "
    "and nothing that lies on the host. The archive comes through the line as it is restored, and "
    "takes no room of its own."
)


def steps(lab: Lab, phase: int, there: Collection[str]) -> Iterator[Step]:
    """The drills of whole VMs of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    there
        The steps before them.
    """
    for drill in lab.backups.guest_drills.values():
        if drill.phase == phase and not drill.exists:
            yield _drill(lab, drill, there)


def _drill(lab: Lab, drill: Described, there: Collection[str]) -> Step:
    backup = lab.backups.guests[drill.backup]
    guests, vm = Guests(lab, backup), lab.vms[drill.vm]

    def ensure(ctx: Context) -> Iterator[Wanted]:
        if drill.carried_by is not None:
            yield Packages(guests.host, ("restic", "zstd"))
        yield GuestDrill(
            guests.host, guests.node, drill.name, backup.storage, vm.vmid, vm.name, drill.vmid,
            drill.storage, drill.files, drill.seed, drill.every_days * _DAY_S, drill.start,
            lab.name, _carried(lab, drill, ctx),
        )  # fmt: skip

    confirmed = None
    if drill.start:
        confirmed = Manual(
            f"agree that a second {vm.name} is started on {guests.node} as VM {drill.vmid}: it has "
            f"no network, and takes {vm.memory_bytes / 2**30:.0f} GiB of memory for some minutes",
            verify=partial(done, lab, drill),
            or_confirmed=True,
        )
    return Step(
        f"drill-{drill.name}",
        f"Restore {vm.name} as VM {drill.vmid}{_whence(lab, drill)}, and compare it",
        why=f"A backup is worth what was restored from it. {vm.name} runs on and is not touched: "
        f"beside it stands, for some minutes, a VM {drill.vmid} with addresses of its own, its "
        "links down and none of the cards, whose disk is only read. It is removed again, and the "
        "plan names it: that is the one thing which this step may destroy."
        + (_AS_AFTER_A_FIRE if drill.from_paper else ""),
        needs=tuple(
            each for each in (f"guests-{backup.name}", f"copy-{drill.carried_by}") if each in there
        ),
        manual=confirmed,
        ensure=ensure,
        check=lambda ctx: iter([done(lab, drill, ctx)]),
    )


def _whence(lab: Lab, drill: Described) -> str:
    """From where, where that is not what it is backed up to."""
    if drill.carried_by is None:
        return ""
    place = lab.backups.repositories[lab.backups.files[drill.carried_by].repository]
    return f" from {place.medium}" + ", with the key on paper alone" * bool(drill.from_paper)


def _carried(lab: Lab, drill: Described, ctx: Context) -> Carried | None:
    """The copy that it is restored from, and how that is got at."""
    if drill.carried_by is None:
        return None
    backup = lab.backups.files[drill.carried_by]
    repository = lab.backups.repositories[backup.repository]
    marked = tags(lab.name, backup.name)
    if drill.from_paper is None:
        return Carried(backup.name, marked, Access(repository.name).words())
    words = ("restic", "--no-cache", "-r", repository.url)
    return Carried(backup.name, marked, words, on_paper(repository, drill.from_paper, ctx))


def done(lab: Lab, drill: Described, ctx: Context) -> Check:
    """The last one went well, and is not too long ago.

    Parameters
    ----------
    lab, drill, ctx
        The lab, the drill as it has it, and who gives its hosts.
    """
    machine = lab.backups.guests[drill.backup].host
    title = f"{drill.vm} was restored as a whole{_whence(lab, drill)}"
    return drilled(ctx, machine, drill, title)
