"""Whether backups are what was promised of them: how new the newest is, and what came of the last
drill."""

from collections.abc import Sequence
from dataclasses import replace

from homelab_lib.control.clock import clock_s
from homelab_lib.control.clock import is_new as is_recent
from homelab_lib.control.linux.drills import last_drill
from homelab_lib.control.linux.restic import Access, newest, tags
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import ClaimDrill, FileBackup, GuestDrill, RestoreDrill
from homelab_lib.models.copies import Copy, standing
from homelab_lib.runbook.step import Check, Context
from homelab_lib.units import format_age

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_ANEW = "carry out this step anew: it tries again once the last time is too long ago or went badly"


def copied(lab: Lab, backup: FileBackup, ctx: Context) -> Copy:
    """What there is of a copy by restic, by date.

    Parameters
    ----------
    lab, backup, ctx
        The lab, the copy as it has it, and who gives its hosts.
    """
    host = ctx.host(backup.machine)
    now_s = clock_s(host)
    found = newest(host, Access(backup.repository), tags(lab.name, backup.name), now_s)
    age_s = None if found is None or found.emptied else now_s - found.made_s
    place = lab.backups.repositories[backup.repository]
    within_s = backup.within_hours * _HOUR_S
    return Copy(backup.name, place.medium, place.offsite, age_s, within_s)


def is_new(copy: Copy, title: str) -> Check:
    """Whether a copy is as new as was promised.

    Parameters
    ----------
    copy, title
        What there is of it, and what has to hold.
    """
    there = "there is none, or nothing is in it"
    says = there if copy.age_s is None else f"it is {format_age(copy.age_s)}"
    return Check(title, copy.counts, f"{says}, and {copy.within_s / _HOUR_S:g} h were promised")


def kept(what: str, medium: str, copies: Sequence[Copy]) -> Check:
    """Whether some data have three copies, on two media, one of them in another place.

    A lab that describes fewer copies than that is told so and not held up: nothing that a run does
    would make them more, and two copies are better than none. Those that it does describe have to
    be there.

    Parameters
    ----------
    what, medium
        The data, and what they themselves lie on.
    copies
        All others, as they are.
    """
    how = standing(medium, copies)
    at_best = standing(medium, [replace(copy, age_s=0.0) for copy in copies])
    title, said = "three copies, two media, another place", [", ".join(map(_dated, copies))]
    if how.late and how.missing:
        said.append(f"that leaves {how.missing}")
    if at_best.missing:
        title = "every copy that the lab describes"
        said.append(f"the lab describes {at_best.missing}: see homelab audit")
    return Check(f"{what}: {title}", not how.late, "; ".join(said))


def _dated(copy: Copy) -> str:
    """How old a copy is, and how old it may be where it is older."""
    age = "is not there" if copy.age_s is None else f"is {format_age(copy.age_s)}"
    promised = "" if copy.counts else f" ({copy.within_s / _HOUR_S:g} h were promised)"
    return f"{copy.name} {age}{promised}"


def drilled(
    ctx: Context, machine: str, drill: RestoreDrill | GuestDrill | ClaimDrill, title: str
) -> Check:
    """Whether what was backed up came back, and lately enough.

    Parameters
    ----------
    ctx, machine
        Gives the hosts; the one on which it was tried.
    drill
        As the lab has it.
    title
        What has to hold.
    """
    host = ctx.host(machine)
    last = last_drill(host, drill.name)
    if last is None:
        return Check(title, False, f"never; {_ANEW}")
    age_s = clock_s(host) - last.made_s
    since = last.count("changed") + last.count("read")
    bad = last.count("differs") + last.count("lost")
    says = (
        f"{last.count('same')} of {len(last.files)} files were the same, {since} changed since, "
        f"{bad} bad; "
        f"{age_s / _DAY_S:.0f} of {drill.every_days} days ago"
    )
    well = last.good and is_recent(age_s, drill.every_days * _DAY_S)
    from_paper = not isinstance(drill, ClaimDrill) and drill.from_paper is not None
    if from_paper and not last.by_paper:
        well, says = False, f"{says}, and not with what stands on paper alone"
    return Check(title, well, says if well else f"{says}; {_ANEW}")
