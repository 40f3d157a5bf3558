"""What came of the last drill of a backup, and whether that is as long ago as was promised."""

from homelab_lib.control.clock import clock_s
from homelab_lib.control.linux.drills import last_drill
from homelab_lib.lab.backups import GuestDrill, RestoreDrill
from homelab_lib.runbook.step import Check, Context

_DAY_S = 86_400.0


def drilled(ctx: Context, machine: str, drill: RestoreDrill | GuestDrill, title: str) -> Check:
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
        return Check(title, False, "never")
    age_s = clock_s(host) - last.made_s
    says = (
        f"{last.count('same')} of {len(last.files)} files were the same, {last.count('changed')} "
        f"changed since, {last.count('differs') + last.count('lost')} bad; "
        f"{age_s / _DAY_S:.0f} of {drill.every_days} days ago"
    )
    return Check(title, last.good and age_s <= drill.every_days * _DAY_S, says)
