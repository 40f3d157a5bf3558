"""What a person gave a run: taken as it is meant, and refused before anything is done."""

from collections.abc import Sequence

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.runbook import record as records
from homelab_lib.runbook.step import Runbook


def expect_a_record(run_id: str) -> None:
    """See that a run can leave its record, or that the one it is to continue is there."""
    if run_id:
        records.find(paths.reports(), run_id)
    else:
        records.Record(paths.reports())


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise BadParameter(f"{name} is {value!r}", fix=f"write one of: {', '.join(allowed)}")


def names_in(given: Sequence[str] | str) -> list[str]:
    """A list of names; papermill's ``-p only image,machines`` gives them as one text."""
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    return list(given)


def select(runbook: Runbook, only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    for name in (*only, *skip):
        runbook[name]  # an unknown name is an error, not an empty selection
    return tuple(n for n in runbook.names if (not only or n in only) and n not in skip)
