"""When a timer elapses: the calendar events that are lists of numbers or stars.

Source: systemd.time(7), "Calendar events".
"""

import re
from datetime import UTC, datetime, timedelta

_EVENT = re.compile(
    r"(?:([A-Z][a-z,A-Z]*) )?\*-(\*|[\d,]+)-(\*|[\d,]+) (\*|[\d,]+):(\*|[\d,]+):(\d+)"
)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_FURTHEST_DAYS = 366 * 4


def elapses_s(event: str, after_s: float) -> float | None:
    """The first moment after another at which an event is [s since 1970]; None for never.

    Raises
    ------
    ValueError
        It is no event, or one of a form that nobody here writes.
    """
    match = _EVENT.fullmatch(event.strip())
    if match is None:
        raise ValueError(f"Failed to parse calendar specification, ignoring: {event}")
    days = set((match[1] or ",".join(_DAYS)).split(","))
    if not days <= set(_DAYS):
        raise ValueError(f"Failed to parse calendar specification, ignoring: {event}")
    months, dates, hours, minutes = (_numbers(each) for each in match.groups()[1:5])
    begin = datetime.fromtimestamp(after_s, UTC)
    for ahead in range(_FURTHEST_DAYS):
        day = (begin + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0)
        fits = (months is None or day.month in months) and (dates is None or day.day in dates)
        if not fits or _DAYS[day.weekday()] not in days:
            continue
        for hour in range(24) if hours is None else sorted(hours):
            for minute in range(60) if minutes is None else sorted(minutes):
                moment = day + timedelta(hours=hour, minutes=minute, seconds=int(match[6]))
                if moment.timestamp() > after_s:
                    return moment.timestamp()
    return None


def _numbers(text: str) -> set[int] | None:
    return None if text == "*" else {int(each) for each in text.split(",")}
