"""How the servers behind an HAProxy are, as it tells its own machine.

Source: HAProxy's management manual, 9.1 (statistics as CSV).
"""

import csv
from collections.abc import Mapping

from homelab_lib import answers
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

_COLUMNS = {"pxname", "svname", "stot", "status"}
_TOTALS = ("FRONTEND", "BACKEND")


def servers(host: Host, url: str) -> dict[tuple[str, str], Mapping[str, str]] | None:
    """Each server by its port's name and its own; None where nothing answers.

    Raises
    ------
    NotUnderstood
        What answers is no such table.
    """
    words = ("curl", "-sS", "-f", "-m", "10", url)
    shown = host.read(*words, ok=None)
    return None if shown.exit_status else table(shown.stdout, host, read(*words).line)


def table(text: str, host: Host, line: str) -> dict[tuple[str, str], Mapping[str, str]]:
    """The same of what was printed; see `servers`."""
    try:
        rows = list(csv.DictReader(text.removeprefix("# ").splitlines()))
    except csv.Error as error:
        raise answers.not_understood(host.name, line, f"no table: {error}") from None
    whole = rows and rows[0].keys() >= _COLUMNS
    if not whole or any(row[column] is None for row in rows for column in _COLUMNS):
        why = f"no statistics of HAProxy: {host.cut(text, 80)!r}"
        raise answers.not_understood(host.name, line, why)
    return {(row["pxname"], row["svname"]): row for row in rows if row["svname"] not in _TOTALS}
