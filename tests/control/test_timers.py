"""Lines of crontab as systemd has them; systemd itself says whether it means the same."""

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.control.linux.timers import on_calendar
from homelab_lib.twin.machine.calendar import elapses_s

CASES = {
    "0 3 1 * *": "*-*-1 3:0:00",
    "30 1 * * *": "*-*-* 1:30:00",
    "*/15 * * * *": "*-*-* *:0,15,30,45:00",
    "20 1,7,13,19 * * *": "*-*-* 1,7,13,19:20:00",
    "0 5 * * 0": "Sun *-*-* 5:0:00",
    "0 5 * * 7": "Sun *-*-* 5:0:00",
    "0 5 * * mon-fri": "Mon,Tue,Wed,Thu,Fri *-*-* 5:0:00",
    "5 0-6/3 * jan,jul *": "*-1,7-* 0,3,6:5:00",
    "10 4/6 * * *": "*-*-* 4,10,16,22:10:00",
}
AFTER_S = 1_790_000_000.0  # 2026-09-21, a Monday, 14:13:20 UTC


@pytest.mark.parametrize(("cron", "event"), CASES.items(), ids=list(CASES))
def test_a_line_of_crontab(cron, event):
    assert on_calendar(cron) == event


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze (systemd)")
@pytest.mark.parametrize("cron", CASES, ids=list(CASES))
def test_systemd_takes_it_and_the_twin_elapses_when_systemd_does(cron):
    event = on_calendar(cron)
    words = ["systemd-analyze", "calendar", f"{event} UTC", f"--base-time=@{int(AFTER_S)}"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    [line] = [one for one in said.splitlines() if "Next elapse:" in one]
    day, hour = line.split("elapse:")[1].split()[1:3]
    moment = datetime.fromisoformat(f"{day} {hour}").replace(tzinfo=UTC)
    assert elapses_s(event, AFTER_S) == moment.timestamp()


@given(st.integers(0, 59), st.integers(0, 23), st.integers(0, 6), st.floats(0, 4e9))
def test_a_weekly_event_comes_within_a_week_and_at_its_time(minute, hour, weekday, after_s):
    found = elapses_s(on_calendar(f"{minute} {hour} * * {weekday}"), after_s)
    assert 0 < found - after_s <= 7 * 86_400
    moment = datetime.fromtimestamp(found, UTC)
    assert (moment.minute, moment.hour, moment.isoweekday() % 7) == (minute, hour, weekday)


def test_what_nobody_here_writes_is_refused():
    with pytest.raises(ValueError, match="Failed to parse calendar specification"):
        elapses_s("hourly", AFTER_S)
