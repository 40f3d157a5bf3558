"""Whole VMs that are restored once to see that they can be: from where Proxmox has backed them up
to, from a copy that carries its archives to another place, or from a backup server in another place
by what stands on paper."""

from collections.abc import Collection, Iterator
from functools import partial

from homelab_lib.control import mark
from homelab_lib.control.linux.packages import Packages
from homelab_lib.control.linux.restic import Access, tags
from homelab_lib.control.proxmox.drill_sources import Carried, Entered, Source, Stored
from homelab_lib.control.proxmox.guest_drill import GuestDrill
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import GuestDrill as Described
from homelab_lib.recipes.backup.guests import Guests
from homelab_lib.recipes.backup.paper import of_repository, of_server
from homelab_lib.recipes.backup.promised import drilled
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

_DAY_S = 86_400.0
_AS_AFTER_A_FIRE = (
    " It is held as after a fire: by the address, the key and the login as they stand on paper, "
    "and nothing that lies on the host."
)
_THROUGH = " The archive comes through the line as it is restored, and takes no room of its own."
_ENTERED = (
    " The server is entered under a storage's name that no storage had, and known by the "
    "certificate that stands on paper, too. Token and key lie in memory until that is done, then "
    "where every storage has its own, for root alone, and go with it as soon as the VM is restored."
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
            guests.host, guests.node, drill.name, _source(lab, drill, guests, ctx), vm.vmid,
            vm.name, drill.vmid, drill.storage, drill.files, drill.seed,
            drill.every_days * _DAY_S, drill.start, lab.name,
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
        + _AS_AFTER_A_FIRE * bool(drill.from_paper)
        + (_THROUGH if drill.carried_by else _ENTERED) * bool(drill.from_paper),
        needs=tuple(each for each in _before(drill, backup.storage) if each in there),
        manual=confirmed,
        ensure=ensure,
        check=lambda ctx: iter([done(lab, drill, ctx)]),
    )


def _before(drill: Described, storage: str) -> Iterator[str]:
    """The steps without which there is nothing to restore, or no key to do it by."""
    yield f"guests-{drill.backup}"
    if drill.carried_by is not None:
        yield f"copy-{drill.carried_by}"
    elif drill.from_paper is not None:
        yield f"key-{storage}"


def _whence(lab: Lab, drill: Described) -> str:
    """From where, where that is not as the host itself gets at what it backs up to."""
    alone = ", with the key on paper alone" * bool(drill.from_paper)
    if drill.carried_by is None:
        return f" from {lab.backups.guests[drill.backup].medium}{alone}" * bool(alone)
    place = lab.backups.repositories[lab.backups.files[drill.carried_by].repository]
    return f" from {place.medium}{alone}"


def _source(lab: Lab, drill: Described, guests: Guests, ctx: Context) -> Source:
    """What it is restored from, and how that is got at."""
    store = guests.storage
    if drill.carried_by is None and drill.from_paper is not None:
        return Entered(
            f"{mark.tag(lab.name)}-drill-{drill.name}", guests.node, str(store.server),
            str(store.datastore), str(store.username), str(store.fingerprint),
            of_server(store, drill.from_paper, ctx),
        )  # fmt: skip
    if drill.carried_by is None:
        return Stored(store.name)
    backup = lab.backups.files[drill.carried_by]
    repository = lab.backups.repositories[backup.repository]
    marked = tags(lab.name, backup.name)
    if drill.from_paper is None:
        return Carried(backup.name, marked, Access(repository.name).words())
    words = ("restic", "--no-cache", "-r", repository.url)
    return Carried(backup.name, marked, words, of_repository(repository, drill.from_paper, ctx))


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
