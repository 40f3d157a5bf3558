"""The runs that have left a record, as their summaries tell of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homelab_lib.runbook.record import summary_of


@dataclass(frozen=True)
class KeptRun:
    """A run that came to an end.

    Parameters
    ----------
    folder
        Its record.
    summary
        What `record.summary` wrote.
    """

    folder: Path
    summary: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.summary[key]

    @property
    def was_carried_out(self) -> bool:
        """Whether it made what its runbook is about: a rehearsal does it on a twin."""
        return self["mode"] == "apply" and self["status"] == "completed"


def runs(reports: Path, lab: str) -> list[KeptRun]:
    """The runs on a lab, by their begin; what is no record of ours is left out.

    Parameters
    ----------
    reports
        Where records lie.
    lab
        The lab's name.
    """
    found = []
    for file in reports.glob("*/summary.json"):
        if (summary := summary_of(file.parent)).get("lab") == lab:
            found.append(KeptRun(file.parent, summary))
    return sorted(found, key=lambda run: str(run.summary.get("started", "")))


def carried_out(reports: Path, lab: str) -> list[str]:
    """Names of the runbooks that were carried out on a lab's real hosts, as records tell.

    Parameters
    ----------
    reports, lab
        See `runs`.
    """
    done = [run for run in runs(reports, lab) if run["target"] == "ssh" and run.was_carried_out]
    return list(dict.fromkeys(str(run["runbook"]) for run in done))
