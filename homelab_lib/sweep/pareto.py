"""The designs that no other design beats: the exact Pareto front.

References
----------
H. T. Kung, F. Luccio, F. P. Preparata, "On finding the maxima of a set of vectors", JACM 22(4),
1975: in lexicographic order a point can be beaten only by one that stands before it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

Sense = Literal["min", "max"]


def non_dominated(values: Any, senses: Sequence[Sense]) -> np.ndarray:
    """Which rows no other row beats.

    A row beats another if it is at least as good in every column and better in one. Rows that
    are equal in all columns don't beat each other: both stay. The answer is exact; no tolerance
    is applied, so round beforehand what is not to be told apart.

    Parameters
    ----------
    values
        One row a design, one column an aim.
    senses
        ``min`` or ``max`` for each column.

    Returns
    -------
    ndarray
        True for each row of the front.

    Raises
    ------
    ValueError
        Columns without a sense, an unknown sense, or a value that is no number (NaN).
    """
    table = np.asarray(values, dtype=float)
    if table.ndim != 2 or table.shape[1] != len(senses):
        raise ValueError(f"values have shape {table.shape}; one column for each of {len(senses)}")
    strangers = [sense for sense in senses if sense not in ("min", "max")]
    if strangers:
        raise ValueError(f"sense is {strangers[0]!r}; it has to be 'min' or 'max'")
    if np.isnan(table).any():
        row, column = np.argwhere(np.isnan(table))[0]
        raise ValueError(f"values[{row}, {column}] is no number; leave such rows out")
    table = table * np.array([1.0 if sense == "min" else -1.0 for sense in senses])
    unique, back = np.unique(table, axis=0, return_inverse=True)  # in lexicographic order
    kept = np.zeros(len(unique), dtype=bool)
    front = np.empty_like(unique)
    size = 0
    for number, row in enumerate(unique):
        if not (front[:size] <= row).all(axis=1).any():
            front[size] = row
            size += 1
            kept[number] = True
    return kept[back.reshape(-1)]


def front(
    rows: Sequence[Mapping[str, Any]], aims: Mapping[str, Sense], *, within: str = ""
) -> list[int]:
    """The numbers of the rows that no other row beats.

    Parameters
    ----------
    rows
        Designs with their values, such as the rows of a sweep that were not ruled out.
    aims
        What counts, and which way: ``{"cost_usd": "min", "usable_bytes": "max"}``.
    within
        A column whose values are not to be compared with each other: rows compete with those of
        the same value only. A token of a large model is not one of a small model.
    """
    groups: dict[Any, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row[within] if within else None, []).append(number)
    best: list[int] = []
    for numbers in groups.values():
        values = [[rows[number][name] for name in aims] for number in numbers]
        kept = non_dominated(values, list(aims.values()))
        best += [number for number, keep in zip(numbers, kept, strict=True) if keep]
    return sorted(best)
