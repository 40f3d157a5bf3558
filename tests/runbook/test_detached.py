"""Long work as a unit of its own: begun once, found again, and its end told."""

import pytest

from homelab_lib.errors import OutcomeUnknown, Unreachable
from homelab_lib.runbook import detached
from homelab_lib.transport.command import Command, Result, change
from runbook.toy import Clock

WORK = change("qm", "create", "201", "--name", "it's $(here)", timeout_s=600)


class Systemd:
    """A host whose units take `takes_s` and end with `status`."""

    def __init__(self, clock: Clock, takes_s: float = 30.0, status: int = 0) -> None:
        self.clock, self.takes_s, self.status = clock, takes_s, status
        self.begun: dict[str, float] = {}
        self.started: list[Command] = []

    def run(self, host: str, command: Command) -> Result:
        words = command.argv
        if words[0] == "systemd-run":
            unit = words[1].removeprefix("--unit=")
            if unit in self.begun:
                return Result(1, "", f"Unit {unit}.service was already loaded")
            self.begun[unit] = self.clock.now()
            self.started.append(command)
            return Result(0, "", "")
        if words[:2] == ("systemctl", "show"):
            return Result(0, self.show(words[2].removesuffix(".service")), "")
        if words[0] == "journalctl":
            return Result(0, "its output\n", "")
        del self.begun[words[2].removesuffix(".service")]
        return Result(0, "", "")

    def show(self, unit: str) -> str:
        if unit not in self.begun:
            return "LoadState=not-found\nActiveState=inactive\nSubState=dead\n"
        ended = self.clock.now() - self.begun[unit] >= self.takes_s
        active = ("failed" if self.status else "active") if ended else "activating"
        sub = ("failed" if self.status else "exited") if ended else "start"
        return (
            f"LoadState=loaded\nActiveState={active}\nSubState={sub}\n"
            f"ExecMainStatus={self.status if ended else 0}\nInvocationID=abc\n"
        )


def carry_out(host: Systemd, command: Command = WORK, *, resume: bool = False) -> Result:
    clock = host.clock
    return detached.run(host, "one", command, sleep=clock.sleep, now=clock.now, resume=resume)


def test_it_waits_for_the_end_and_clears_up():
    host = Systemd(Clock())
    result = carry_out(host)
    assert result.ok
    assert result.stdout == "its output\n"
    assert result.duration_s >= 30
    assert host.begun == {}


def test_a_failure_brings_its_status_and_what_it_printed():
    result = carry_out(Systemd(Clock(), status=3))
    assert (result.exit_status, result.stderr) == (3, "its output\n")


def test_the_words_stay_words():
    host = Systemd(Clock())
    carry_out(host)
    assert host.started[0].argv[-5:] == WORK.argv
    assert host.started[0].sudo


def test_environment_goes_by_setenv():
    host = Systemd(Clock())
    carry_out(host, change("env", "A=1", "B=two words", "sh", "x.sh"))
    words = host.started[0].argv
    assert {"--setenv=LC_ALL=C", "--setenv=B=two words"} <= set(words)
    assert words[-2:] == ("sh", "x.sh")


def test_work_that_goes_on_is_taken_up_and_not_begun_again():
    host = Systemd(Clock())
    host.begun[detached.unit_name(WORK)] = 0.0
    assert carry_out(host, resume=True).ok
    assert host.started == []


def test_work_that_ended_unheard_is_believed_by_the_run_that_began_it():
    host = Systemd(Clock())
    host.begun[detached.unit_name(WORK)] = -100.0
    assert carry_out(host, resume=True).ok
    assert host.started == []


def test_work_that_ended_badly_unheard_is_begun_anew():
    host = Systemd(Clock(), status=3)
    host.begun[detached.unit_name(WORK)] = -100.0
    assert carry_out(host, resume=True).exit_status == 3
    assert len(host.started) == 1


def test_an_old_units_end_is_not_taken_for_this_ones():
    host = Systemd(Clock())
    host.begun[detached.unit_name(WORK)] = -100.0
    assert carry_out(host).ok
    assert len(host.started) == 1


def test_time_runs_out_and_the_work_goes_on():
    host = Systemd(Clock(), takes_s=10_000)
    with pytest.raises(OutcomeUnknown, match="still at work after 600 s"):
        carry_out(host)
    assert host.begun


def test_the_same_command_has_the_same_unit_and_another_has_not():
    assert detached.unit_name(WORK) == detached.unit_name(change(*WORK.argv))
    assert detached.unit_name(WORK) != detached.unit_name(change(*WORK.argv, "x"))


@pytest.mark.parametrize("what", ["systemctl", "journalctl"])
def test_that_the_host_can_not_be_asked_for_a_while_ends_nothing(what):
    host = Systemd(Clock())
    answer, lost = host.run, []

    def run(name: str, command: Command) -> Result:
        if command.argv[0] == what and host.started and len(lost) < 4:
            lost.append(command)
            raise Unreachable(f"{name} can't be reached")
        return answer(name, command)

    host.run = run
    assert carry_out(host).ok
    assert len(lost) == 4
    assert len(host.started) == 1


def test_a_lost_reply_to_the_start_starts_nothing_twice():
    host = Systemd(Clock())
    answer = host.run

    def run(name: str, command: Command) -> Result:
        result = answer(name, command)
        if command.argv[0] == "systemd-run":
            raise OutcomeUnknown("the link dropped")
        return result

    host.run = run
    assert carry_out(host).ok
    assert len(host.started) == 1
