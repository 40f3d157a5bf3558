"""What a run is opened with: its runbook, and the record that it writes or goes on with."""

import secrets

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.recipes import health, runbook
from homelab_lib.recipes.phase import Named
from homelab_lib.runbook import kept
from homelab_lib.runbook import record as records
from homelab_lib.runbook.history import History
from homelab_lib.runbook.step import Runbook
from homelab_lib.target.twin import Target


def composed(lab: Lab, target: Target, what: Named | None) -> Runbook:
    """The runbook; None asks for the look at everything that was carried out.

    Parameters
    ----------
    lab, target
        The lab, and where the runbook is to run.
    what
        Which one.
    """
    if what is not None:
        return runbook(lab, what.phase, target.public_key, what.part)
    done = () if target.name == "twin" else kept.carried_out(paths.reports(), lab.name)
    return health.runbook(lab, target.public_key, health.carried_out(lab, done))


def record_of(
    name: str, target: str, run_id: str, earlier: History | None, approve: str, day: str
) -> records.Record:
    """The record of a run: the one that was named, the one of the same approval, or a new one.

    One that has ended well is evidence, and no run that sends goes on with it.

    Parameters
    ----------
    name, target
        The runbook, and where it runs.
    run_id
        Of the record to go on with; empty for none that was named.
    earlier, approve
        What was sent under which approval, where this run sends under one.
    day
        ``2026-01-31``

    Raises
    ------
    BadParameter
        There is no record of that name, or what was approved was carried out.
    """
    whole = earlier is not None and earlier.carried_out(approve)
    if run_id:
        found = records.find(paths.reports(), run_id)
        if whole:
            raise BadParameter(
                "what was approved was carried out, so there is no run of it to go on with",
                where=str(found.folder),
                fix="leave run_id empty: the hosts are looked at again, and nothing is sent twice",
            )
        return found
    if earlier is not None and not whole:
        before = earlier.record_of(approve)
        if before is not None:
            return records.Record(before)
    return records.Record(paths.reports() / f"{day}_{name}_{target}_r{secrets.token_hex(3)}")
