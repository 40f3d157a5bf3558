"""Somebody else's row in the place of one of ours, of every family that a case makes a row of: it
is a conflict, or could never be taken for ours since the key has our mark in it."""

import json

import pytest

from control.made import made
from control.test_cases import CASES, FOLDER
from homelab_lib.control import mark
from homelab_lib.control.opnsense.row import Row as FirewallRow
from homelab_lib.control.truenas.row import Row as NasRow
from homelab_lib.errors import HomelabError

RELEASE = (25, 10)
ANYBODYS = {"signature"}
"""One thing, whoever wrote it down: a signature's number is the vendor's."""


def _rows():
    found = {}
    for file in CASES:
        if file.relative_to(FOLDER).parts[0] not in ("truenas", "opnsense"):
            continue
        try:
            row = made(json.loads(file.read_text()), "host", lambda: RELEASE)
        except HomelabError:
            continue
        if isinstance(row, NasRow | FirewallRow) and row.wanted:
            found.setdefault(f"{type(row).__module__.split('.')[2]} {row.family.noun}", row)
    return found


ROWS = _rows()


def _another(value):
    return not value if isinstance(value, bool) else "another" if isinstance(value, str) else None


def _foreign(row, *, differs):
    """What is seen of a row that somebody made with the same key: another in each value, or in
    none."""
    there = {**row.key, **row.wanted}
    if differs:
        there |= {name: _another(value) for name, value in row.wanted.items()}
    if row.family.mark:
        there[row.family.mark] = "media player, do not touch"
    return {"id": 7, "uuid": "11111111-2222-4333-8444-555555555555", **there}


def _marked(row):
    """Whether the key alone says that the lab made it."""
    marks = (mark.text(row.lab), mark.tag(row.lab))
    return any(each in str(value) for value in row.key.values() for each in marks)


@pytest.mark.parametrize("family", ROWS)
def test_somebody_elses_row_is_never_changed(family):
    row = ROWS[family]
    if _marked(row) or row.family.noun in ANYBODYS:
        return
    diff = row.diff([_foreign(row, differs=True)])
    assert diff.conflict
    assert not diff.changes


@pytest.mark.parametrize("family", ROWS)
def test_nor_beside_one_that_another_lab_of_ours_made(family):
    row = ROWS[family]
    if not row.family.mark:
        return
    theirs = _foreign(row, differs=True) | {row.family.mark: f"x; {mark.text(row.lab + 'ic')}"}
    diff = row.diff([theirs])
    assert diff.conflict
    assert not diff.changes


def test_there_are_rows_of_both_appliances():
    assert {name.split()[0] for name in ROWS} == {"truenas", "opnsense"}
    assert len(ROWS) > 20
