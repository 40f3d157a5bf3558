"""What any Linux machine does while it boots, or after it."""

from collections.abc import Callable, Sequence

from homelab_lib.twin.machine import decays
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.surprises import surprise


@surprise("ssh-nologin")
def ssh_nologin(machine: Machine, *, for_s: float = 20.0) -> None:
    """sshd answers, and PAM refuses everybody but root while the system boots.

    Parameters
    ----------
    machine
        Where; at every boot from now on, and at once if it is up.
    for_s
        How long after sshd's start [s].
    """
    machine.nologin_s = for_s
    if machine.up:
        machine.forbid_logins()


@surprise("agent-before-ssh")
def agent_before_ssh(machine: Machine, *, after_s: float = 5.0) -> None:
    """The machine is up, its guest agent answers, and sshd listens only later.

    Parameters
    ----------
    machine
        Where; at every boot from now on.
    after_s
        How long after the boot sshd comes up [s].
    """
    machine.sshd_after_s = after_s


@surprise("services-not-started")
def services_not_started(machine: Machine, *, units: Sequence[str] = ()) -> None:
    """Services that are enabled stay stopped at the next boots; started by hand they run.

    Parameters
    ----------
    machine
        Where; at every boot from now on.
    units
        Which; none given means all that are enabled.
    """
    machine.not_started = tuple(units) or tuple(u.name for u in machine.units.values() if u.enabled)


@surprise("apt-lock-first-boot")
def apt_lock(machine: Machine, *, for_s: float = 200.0) -> None:
    """unattended-upgrades holds the lock of the packages just when somebody wants to install.

    Parameters
    ----------
    machine
        Where; from the first install on.
    for_s
        How long it holds it [s].
    """
    clock, until = machine.world.clock, [0.0]

    def held(call: Call, go: Callable[[], Reply]) -> Reply | None:
        if call.argv[:1] not in (("apt-get",), ("apt",)) or "install" not in call.argv:
            return None
        until[0] = until[0] or clock.now() + for_s
        left_s = until[0] - clock.now()
        waits_s = max(
            [float(w.partition("=")[2]) for w in call.argv if "Lock::Timeout=" in w] + [0]
        )
        if left_s <= 0.0:
            return None
        if left_s <= waits_s:
            return Reply(takes_s=left_s, finish=lambda: go().finished())
        return Reply(
            100,
            stderr="E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1423 "
            "(unattended-upgr)\nE: Unable to acquire the dpkg frontend lock "
            "(/var/lib/dpkg/lock-frontend), is another process using it?\n",
            takes_s=waits_s,
        )

    machine.instead.append(held)


@surprise("needrestart-tty")
def needrestart(machine: Machine) -> None:
    """needrestart restarts services after an installation that does not tell it to wait, and cuts
    whoever is logged in.

    Parameters
    ----------
    machine
        Where.
    """

    def restarts(call: Call, go: Callable[[], Reply]) -> Reply | None:
        plain = call.argv[:1] == ("apt-get",) and "install" in call.argv
        if not plain or "NEEDRESTART_SUSPEND" in call.env:
            return None
        begun = go()

        def done() -> Reply:
            reply = begun.finished()
            machine.world.went_down(machine)
            return reply

        return Reply(takes_s=begun.takes_s, finish=done)

    machine.instead.append(restarts)


@surprise("restic-half-locked", on="proxmox")
def half_locked(machine: Machine) -> None:
    """A copy was cut off and left its lock: copies go on, and nothing old is forgotten.

    Parameters
    ----------
    machine
        One that has copies of its own.
    """
    next(decays.half_locked(machine))
