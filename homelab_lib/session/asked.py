"""What a person asks of a run, held against what there is: words, names of steps."""

from collections.abc import Iterable, Sequence

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.lab.near import near
from homelab_lib.runbook import record as records
from homelab_lib.runbook.step import Runbook


def expect_a_record(run_id: str) -> None:
    """See that a run can leave its record, or that the one it is to continue is there."""
    if run_id:
        records.find(paths.reports(), run_id)
    else:
        records.Record(paths.reports())


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """See that a parameter has one of the values that it may have.

    Raises
    ------
    BadParameter
        It has another one.
    """
    if value not in allowed:
        raise BadParameter(
            f"{name} is {value!r}{near(value, allowed)}", fix=f"write one of: {', '.join(allowed)}"
        )


def names(given: Sequence[str] | str) -> list[str]:
    """A list of names; papermill's ``-p only image,machines`` gives them as one text."""
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    return list(given)


def known(runbook: Runbook, steps: Iterable[str]) -> None:
    """See that the runbook has steps of these names.

    Raises
    ------
    BadParameter
        It has no step of one of them.
    """
    for name in steps:
        if name not in runbook.names:
            raise BadParameter(
                f"{runbook.name} has no step {name!r}{near(name, runbook.names)}",
                fix=f"its steps: {', '.join(runbook.names)}",
            )


def selected(runbook: Runbook, only: Sequence[str], skip: Sequence[str]) -> tuple[str, ...]:
    """The steps that are to be carried out.

    Parameters
    ----------
    runbook
        The runbook.
    only, skip
        Names of steps to carry out (none: all), and to leave out.

    Raises
    ------
    BadParameter
        The runbook has no such step: an unknown name is an error, not an empty selection.
    """
    known(runbook, (*only, *skip))
    return tuple(n for n in runbook.names if (not only or n in only) and n not in skip)
