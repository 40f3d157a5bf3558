"""Work that a machine does again and again: a service of ours that ends, and what starts it.

Sources: systemd.timer(5), systemd.time(7), systemd.service(5).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.linux.unit_file import FOLDER
from homelab_lib.control.linux.units import unit_properties, units_read_anew, with_the_machine
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_FIELDS = ((0, 59, ""), (0, 23, ""), (1, 31, ""), (1, 12, "jan feb mar apr may jun jul aug sep oct "
           "nov dec"), (0, 7, "sun mon tue wed thu fri sat"))  # fmt: skip
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def on_calendar(cron: str) -> str:
    """A line of crontab as systemd has it: ``0 3 * * 1-5`` is ``Mon,Tue,Wed,Thu,Fri *-*-* 3:0:00``.

    Parameters
    ----------
    cron
        Minute, hour, day of the month, month and day of the week.
    """
    words = zip(cron.lower().split(), _FIELDS, strict=True)
    minute, hour, day, month, weekday = (_numbers(word, *field) for word, field in words)
    date = f"*-{_listed(month)}-{_listed(day)} {_listed(hour)}:{_listed(minute)}:00"
    if weekday is None:
        return date
    days = sorted({number % len(_DAYS) for number in weekday})
    return f"{','.join(_DAYS[number] for number in days)} {date}"


def _listed(numbers: list[int] | None) -> str:
    return "*" if numbers is None else ",".join(map(str, numbers))


def _numbers(word: str, low: int, high: int, names: str) -> list[int] | None:
    """All values that a field allows; None for any."""
    if word == "*":
        return None
    return sorted({n for item in word.split(",") for n in _of(item, low, high, names)})


def _of(item: str, low: int, high: int, names: str) -> Iterator[int]:
    ends, _, step = item.partition("/")
    first, dash, last = ("", "-", "") if ends == "*" else ends.partition("-")
    named = {name: low + place for place, name in enumerate(names.split())}
    begin = int(named.get(first, first or low))
    end = int(named.get(last, last or high)) if dash or step else begin
    return iter(range(begin, end + 1, int(step or 1)))


def job_text(
    title: str, commands: Sequence[str], environment: Sequence[str] = (), *, timeout_s: int
) -> str:
    """The unit file of work that ends: each command after the one before, as long as they go well.

    Parameters
    ----------
    title, commands
        What it is, and what it runs.
    environment
        What its programs find in their environment, as ``NAME=VALUE``; nothing secret.
    timeout_s
        After how long it is given up [s].
    """
    variables = "".join(f"Environment={each}\n" for each in environment)
    lines = "".join(f"ExecStart={each}\n" for each in commands)
    return (
        f"[Unit]\nDescription={title}\nAfter=network-online.target\nWants=network-online.target\n\n"
        f"[Service]\nType=oneshot\n{variables}{lines}TimeoutStartSec={timeout_s}\n"
        "Nice=10\nIOSchedulingClass=idle\n"
    )


def timer_text(title: str, cron: str) -> str:
    """The unit file of what starts it; a machine that was off at the time does it once it is on."""
    return (
        f"[Unit]\nDescription={title}\n\n[Timer]\nOnCalendar={on_calendar(cron)}\n"
        "Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def service_file(unit: str) -> str:
    """Where the unit file of a service of ours lies."""
    return f"{FOLDER}/{unit}.service"


def timer_file(unit: str) -> str:
    """Where that of its timer lies."""
    return f"{FOLDER}/{unit}.timer"


@dataclass(frozen=True)
class OwnTimer:
    """A timer by a unit file of ours, that waits for its time and has read its files as they are.

    Parameters
    ----------
    host, unit
        Which; the service that it starts has the same name.
    """

    host: str
    unit: str
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"timer {self.unit}"

    def observe(self, host: Host) -> dict[str, Any]:
        wanted = ("LoadState", "ActiveState", "UnitFileState", "NeedDaemonReload")
        facts: dict[str, Any] = dict(unit_properties(host, f"{self.unit}.timer", *wanted))
        service = unit_properties(host, f"{self.unit}.service", "LoadState", "NeedDaemonReload")
        unread = [each for each in (facts, service) if each["LoadState"] == "not-found"
                  or each["NeedDaemonReload"] == "yes"]  # fmt: skip
        return facts | {"unread": bool(unread)}

    def diff(self, observed: dict[str, Any]) -> Diff:
        timer, changes = f"{self.unit}.timer", []
        if observed["unread"]:
            changes.append(units_read_anew())
        if observed["UnitFileState"] != "enabled":
            changes.append(with_the_machine(timer))
        if observed["ActiveState"] != "active":
            call = change("systemctl", "start", timer, sudo=True)
            changes.append(Change(f"start {timer}", call, undo=f"systemctl stop {timer}"))
        elif observed["unread"]:
            call = change("systemctl", "restart", timer, sudo=True)
            undo = f"its file of before, and systemctl restart {timer}"
            changes.append(Change(f"have {timer} go by its file as it is", call, undo=undo))
        return Diff(tuple(changes))
