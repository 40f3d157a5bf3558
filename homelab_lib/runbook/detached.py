"""Long work runs as a unit of its own on the host, and is polled.

A command that hangs on an SSH channel dies with it: Proxmox kills the worker of a `qm create`
whose terminal went away. A transient systemd unit does not care who is watching, and its name
tells a later run whether the work was begun, is going on, or how it ended.

Sending, awaiting and remembering are three things: a lost reply or a lost poll says nothing of the
work, and the unit's name keeps it from being begun twice.
"""

import hashlib
from collections.abc import Callable

from homelab_lib.errors import HomelabError, OutcomeUnknown, Unreachable
from homelab_lib.runbook.host import Link
from homelab_lib.transport.command import Command, Result, change, read

_PROPERTIES = ("LoadState", "ActiveState", "SubState", "ExecMainStatus", "InvocationID")
_POLL_S = (0.2, 10.0)  # the first look comes soon, later ones at leisure
_STARTS = 3  # how often the reply to a start may be lost


class Gone(OutcomeUnknown):
    """The unit is not there any more, so nothing is at work; what it has done, a look must tell."""


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
        Whether a run of ours began this very work and did not hear of its end. If not, or if it
        ended badly, a unit of that name that has ended is cleared away, and the work begun anew.
    note
        Told the unit's state when it changes.

    Raises
    ------
    Unreachable
        The host could not be asked before anything was sent.
    Gone
        The unit vanished: the host was restarted, say.
    OutcomeUnknown
        The link broke for good, or time ran out; the unit goes on without us.
    """
    if command.stdin is not None:
        raise ValueError("a detached command can't be given standard input")
    unit = f"{unit_name(command)}.service"
    state = _look(link, host, unit)
    if _ended(state) and not (resume and state["ActiveState"] == "active"):
        _forget(link, host, unit, state)
        state = _look(link, host, unit)
    begun = now()
    if state["LoadState"] == "not-found":
        refused = _start(link, host, command, unit)
        if refused is not None:
            return refused
    return _await(link, host, command, unit, begun, sleep, now, note)


def _start(link: Link, host: str, command: Command, unit: str) -> Result | None:
    """Begin the unit, once: a second start of the same name is refused by systemd itself.

    Returns
    -------
    Result or None
        What the host said where it refused; None once the unit is there.
    """
    words, environment = _split_environment(command.argv)
    start = change(
        "systemd-run",
        f"--unit={unit.removesuffix('.service')}",
        "--remain-after-exit",
        "--quiet",
        "--setenv=LC_ALL=C",  # as all that we send: what it says is read, too
        *(f"--setenv={pair}" for pair in environment),
        "--",
        *words,
        sudo=True,
    )
    for attempt in range(_STARTS):
        try:
            answer = link.run(host, start)
            if answer.ok or _look(link, host, unit)["LoadState"] != "not-found":
                return None
            return answer
        except OutcomeUnknown:
            try:
                if _look(link, host, unit)["LoadState"] != "not-found":
                    return None
            except HomelabError as error:
                raise OutcomeUnknown(error.what, where=error.where, fix=error.fix) from None
            if attempt == _STARTS - 1:
                raise
    return None


def _await(
    link: Link,
    host: str,
    command: Command,
    unit: str,
    begun: float,
    sleep: Callable[[float], None],
    now: Callable[[], float],
    note: Callable[[str], None],
) -> Result:
    """Ask until it has ended. That the host can't be asked for a while ends nothing."""
    pause, lost = _POLL_S[0], ""
    while True:
        try:
            state = _look(link, host, unit)
        except Unreachable as error:
            state, lost = None, error.what
        except HomelabError as error:  # a stranger answers there, say
            raise OutcomeUnknown(error.what, where=error.where, fix=error.fix) from None
        if state is not None:
            note(f"{unit}: {state['ActiveState']} ({state['SubState']})")
            if state["LoadState"] == "not-found":
                raise Gone(
                    f"{host}: {unit} is gone, and with it what became of: {command.line}",
                    where=f"{host}: {unit}",
                    fix="the host was restarted, it seems; run the same command again, it looks "
                    "first",
                )
            if _ended(state):
                try:
                    return _collect(link, host, unit, state, now() - begun)
                except Unreachable as error:
                    lost = error.what
        if now() - begun > command.timeout_s:
            why = f": {lost}" if state is None else ""
            raise OutcomeUnknown(
                f"{host}: still at work after {command.timeout_s:.0f} s{why}: {command.line}",
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
    shown = link.run(host, read("systemctl", "show", unit, *properties, sudo=True))
    pairs = dict(line.partition("=")[::2] for line in shown.stdout.splitlines() if "=" in line)
    if not shown.ok or "LoadState" not in pairs:
        # "Not there" is something that systemd says; this is not it.
        said = (shown.stderr or shown.stdout).strip()[-300:]
        raise Unreachable(
            f"{host}: systemd does not say how {unit} is: {said or 'no answer'}",
            where=f"{host}: {unit}",
            fix=f"try `systemctl show {unit}` there by hand",
        )
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
    )
    if not printed.ok:
        raise Unreachable(
            f"{host}: its journal has not what {unit} printed: {printed.stderr.strip()[-300:]}",
            where=f"{host}: {unit}",
            fix=f"try `journalctl -u {unit}` there by hand",
        )
    good = state["ActiveState"] == "active"
    _forget(link, host, unit, state)
    status = int(state["ExecMainStatus"] or 0)
    return Result(
        exit_status=0 if good else status or 1,
        stdout=printed.stdout,
        stderr="" if good else printed.stdout,
        duration_s=duration_s,
    )


def _forget(link: Link, host: str, unit: str, state: dict[str, str]) -> None:
    """Have systemd forget a unit that has ended. A lost reply to that is no matter: the next run
    that meets the unit clears it away."""
    verb = "stop" if state["ActiveState"] == "active" else "reset-failed"
    try:
        link.run(host, change("systemctl", verb, unit, sudo=True))
    except OutcomeUnknown:
        return
