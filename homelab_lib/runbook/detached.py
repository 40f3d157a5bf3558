"""Long work runs as a unit of its own on the host, and is polled.

A command that hangs on an SSH channel dies with it: Proxmox kills the worker of a `qm create`
whose terminal went away. A transient systemd unit does not care who is watching, and its name
tells a later run whether the work was begun, is going on, or how it ended.
"""

import hashlib
from collections.abc import Callable

from homelab_lib.errors import OutcomeUnknown
from homelab_lib.runbook.host import Link
from homelab_lib.transport.command import Command, Result, change, read

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "ExecMainStatus", "InvocationID")
_POLL_S = (0.2, 10.0)  # the first look comes soon, later ones at leisure


def unit_name(command: Command) -> str:
    """The same command always gets the same unit, so a second run finds the first one's work."""
    program = "".join(c for c in command.argv[0].rsplit("/", 1)[-1] if c.isalnum()) or "work"
    return f"homelab-{program}-{hashlib.sha256(command.line.encode()).hexdigest()[:12]}"


def run(
    link: Link,
    host: str,
    command: Command,
    *,
    sleep: Callable[[float], None],
    now: Callable[[], float],
    resume: bool,
    note: Callable[[str], None] = lambda _: None,
) -> Result:
    """Start `command` as a unit (or take up the one that is there) and wait for its end.

    Parameters
    ----------
    link, host, command
        What to run where. ``command.timeout_s`` bounds the whole work [s].
    sleep, now
        The target's clock.
    resume
        Whether a run of ours began this very work and did not hear of its end. If not, a unit
        of that name that has ended is from some earlier time, and is cleared away.
    note
        Told the unit's state when it changes.

    Raises
    ------
    OutcomeUnknown
        The link broke for good, or time ran out; the unit goes on without us.
    """
    if command.stdin is not None:
        raise ValueError("a detached command can't be given standard input")
    unit = f"{unit_name(command)}.service"
    state = _look(link, host, unit)
    if _ended(state) and not resume:
        _collect(link, host, unit, state, 0.0)
        state = _look(link, host, unit)
    if state["LoadState"] == "not-found":
        words, environment = _split_environment(command.argv)
        started = link.run(
            host,
            change(
                "systemd-run",
                f"--unit={unit.removesuffix('.service')}",
                "--remain-after-exit",
                "--quiet",
                *(f"--setenv={pair}" for pair in environment),
                "--",
                *words,
                sudo=True,
            ),
        )
        if not started.ok:
            return started
    begun, pause = now(), _POLL_S[0]
    while True:
        state = _look(link, host, unit)
        note(f"{unit}: {state['ActiveState']} ({state['SubState']})")
        if _ended(state):
            return _collect(link, host, unit, state, now() - begun)
        if now() - begun > command.timeout_s:
            raise OutcomeUnknown(
                f"{host}: still at work after {command.timeout_s:.0f} s: {command.line}",
                where=f"{host}: {unit}",
                fix=f"look at it with `systemctl status {unit}`; run this again to go on waiting",
            )
        sleep(pause)
        pause = min(pause * 1.6, _POLL_S[1])


def _split_environment(argv: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``env A=1 B=2 program …`` → the program's words and its environment."""
    if argv[0] != "env":
        return argv, ()
    count = next(i for i, word in enumerate(argv[1:]) if "=" not in word)
    return argv[1 + count :], argv[1 : 1 + count]


def _look(link: Link, host: str, unit: str) -> dict[str, str]:
    properties = [word for name in _PROPERTIES for word in ("-p", name)]
    shown = link.run(host, read("systemctl", "show", unit, *properties, sudo=True)).stdout
    pairs = dict(line.partition("=")[::2] for line in shown.splitlines() if "=" in line)
    return {name: pairs.get(name, "") for name in _PROPERTIES}


def _ended(state: dict[str, str]) -> bool:
    return state["ActiveState"] == "failed" or (
        state["ActiveState"] == "active" and state["SubState"] == "exited"
    )


def _collect(link: Link, host: str, unit: str, state: dict[str, str], duration_s: float) -> Result:
    """Read what the unit printed, then let systemd forget it."""
    printed = link.run(
        host,
        read(
            "journalctl",
            "-q",
            "--no-pager",
            "-o",
            "cat",
            f"_SYSTEMD_INVOCATION_ID={state['InvocationID']}",
            sudo=True,
        ),
    ).stdout
    good = state["ActiveState"] == "active"
    link.run(host, change("systemctl", "stop" if good else "reset-failed", unit, sudo=True))
    status = int(state["ExecMainStatus"] or 0)
    return Result(
        exit_status=0 if good else status or 1,
        stdout=printed,
        stderr="" if good else printed,
        duration_s=duration_s,
    )
