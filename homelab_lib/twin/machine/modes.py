"""Permissions as people write them: ``644``, ``u+x,go-w``.

Source: POSIX.1-2024, chmod; the extensions are GNU's.
"""

import re

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SETGID = 0o6000


def mode_of(mode: int, value: str, umask: int, *, folder: bool = False) -> int:
    """What a mode becomes.

    Parameters
    ----------
    mode
        What it is.
    value
        Octal, or clauses: ``u+x,go-w``, ``g=u``, ``+X``.
    umask
        What a clause without an owner does not touch.
    folder
        Of a folder set-user and set-group bits stay unless they are named.

    Raises
    ------
    ValueError
        The value is no mode.
    """
    if re.fullmatch("[0-7]+", value):
        bits = int(value, 8)
        if bits > 0o7777:
            raise ValueError(value)
        kept = mode & _SETGID if folder and len(value) < 5 else 0
        return bits | kept
    for clause in value.split(","):
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise ValueError(value)
        for sign, letters in _ACTION.findall(found[2]):
            mode = _changed(mode, found[1], sign, letters, umask, folder=folder)
    return mode


def _changed(mode: int, whom: str, sign: str, letters: str, umask: int, *, folder: bool) -> int:
    whose = [w for w in _SHIFTS if w in whom or "a" in whom or not whom]
    if letters in _SHIFTS:
        bits = mode >> _SHIFTS[letters] & 7
    else:
        passing = folder or mode & 0o111
        bits = sum({"r": 4, "w": 2, "x": 1, "X": bool(passing)}.get(x, 0) for x in set(letters))
    spread = sum(bits << _SHIFTS[w] for w in whose) & (~0 if whom else ~umask)
    if "s" in letters:
        spread |= (0o4000 if "u" in whose else 0) | (0o2000 if "g" in whose else 0)
    if "t" in letters and (not whom or {"o", "a"} & set(whom)):
        spread |= 0o1000
    if sign == "=":
        cleared = sum(7 << _SHIFTS[w] for w in whose)
        if not folder:
            cleared |= (0o4000 if "u" in whose else 0) | (0o2000 if "g" in whose else 0)
        mode &= ~cleared
    return mode & ~spread if sign == "-" else mode | spread
