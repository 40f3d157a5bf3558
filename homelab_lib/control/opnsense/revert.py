"""The undo of a firewall that we can't reach any more, and how it is told what is pending.

OPNsense writes down what it is told and does nothing of it until it is applied; nothing of it
shows that something waits. So before the first thing is written, the configuration as it is in
force is laid aside, and it lies there until what was written has been applied, and confirmed over
a fresh connection. That it lies there is what says "not applied": a run that was cut off in between
finds it, and goes on.

Before something is applied that the way to the firewall may depend on, a timer is started on the
firewall itself, a process of its own: unless it is stopped in time, it puts back what was laid
aside and loads all of it anew. It needs neither the network nor any service, and no release has to
offer it: the savepoint of 26.1 answers a revision that names no backup, and 26.7 has none.

References
----------
opnsense/core: ``src/opnsense/scripts/shell/restore.sh`` (what the console's "restore a backup"
does), ``rc.reload_all``; daemon(8), pkill(1) of FreeBSD.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homelab_lib.control.opnsense.api import Api, told, was_lost
from homelab_lib.runbook.resource import Change, Diff, Host, Progress, Rollback
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Command, Result, change
from homelab_lib.transport.request import Request

CONFIG = "/conf/config.xml"
WITHIN_S = 180.0
_GUARDED_S = 60.0
Apply = tuple[str, Call]
"""A line for people, and what applies something."""

CONSOLE = (
    "the firewall's console is the last way: log in there and choose “Restore a backup”, or reboot"
)


def restarted(service: str) -> Apply:
    """What has a service read its configuration anew, where no API does."""
    return f"start {service} anew", change("pluginctl", "-s", service, "restart")


def configd_said(host: Host, result: Result) -> Progress:
    """What came of a call of configctl: it ends with status 0 whatever became of it."""
    if was_lost(result):
        return Progress(False, note="the reply was lost")
    said = result.stdout.strip()
    return Progress(True, error="" if said == "OK" else said or "configd said nothing")


def _follow(call: Call) -> Callable[[Host, Result], Progress] | None:
    if isinstance(call, Request):
        return told
    return configd_said if call.argv[0] == "configctl" else None


@dataclass(frozen=True)
class Aside:
    """The configuration as it is in force, laid aside before something is written.

    Parameters
    ----------
    host, lab
        The firewall, and the lab it belongs to.
    what
        What will be written: a word that no other step uses.
    """

    host: str
    lab: str
    what: str
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"configuration before {self.what}"

    @property
    def path(self) -> str:
        """Where it lies: beside the configuration, where a boot leaves it."""
        return f"/conf/homelab-{self.lab}-{self.what}.xml"

    def lies(self, host: Host) -> bool:
        """Whether it lies there."""
        return host.read("test", "-e", self.path, ok=(0, 1)).ok

    def observe(self, host: Host) -> bool:
        return self.lies(host)

    def diff(self, observed: bool) -> Diff:
        if observed:
            return Diff()
        # Half a copy would be restored as a whole one: it gets its name when it is done.
        script = f"cp -p {CONFIG} {self.path}.new && mv {self.path}.new {self.path}"
        call = change("/bin/sh", "-c", script)
        undo = f"rm {self.path}"
        return Diff((Change(f"lay {self.name} aside as {self.path}", call, undo=undo),))

    # ------------------------------------------------------------------ timer

    def rollback(self, first: str = "") -> Rollback:
        """The undo of a change to the path by which we come.

        Parameters
        ----------
        first
            What is done on the firewall before all is loaded anew, as words of a shell.
        """
        return Rollback(self._arm(first), self._armed, self._confirm, within_s=WITHIN_S)

    def _arm(self, first: str) -> Command:
        before = f"{first}; " if first else ""
        undo = (
            f"sleep {WITHIN_S:.0f}; test -e {self.path} && mv {self.path} {CONFIG} && "
            f"{{ {before}/usr/local/etc/rc.reload_all; }}"
        )
        # One that still runs, of a run that was cut off, would go off too early.
        script = (
            f'pkill -f {self.path}; test -e {self.path} && /usr/sbin/daemon -f /bin/sh -c "{undo}"'
        )
        return change("/bin/sh", "-c", script)

    def _armed(self, host: Host) -> bool:
        # It is known by the path in its words; pgrep leaves out itself and whoever started it.
        runs = host.read("pgrep", "-f", self.path, ok=(0, 1)).ok
        return runs and self.lies(host)

    @property
    def _confirm(self) -> Command:
        """It stops the timer and no more: where the reply of what it guards was lost, nobody knows
        yet whether that was carried out. It fails where the timer has gone off."""
        return change("/bin/sh", "-c", f"test -e {self.path} && pkill -f {self.path}")


@dataclass(frozen=True)
class Applied:
    """What was written is in force.

    Parameters
    ----------
    api, aside
        The firewall, and what lies aside until then.
    calls
        What applies it, each with a line for people.
    guarded
        Whether the way to the firewall may depend on it.
    before_undo
        What the undo does first, as words of a shell.
    stays
        What no undo takes away, for people.
    """

    api: Api
    aside: Aside
    calls: tuple[Apply, ...]
    guarded: bool = True
    before_undo: str = ""
    stays: str = ""
    timeout_s: float = 60.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return f"{self.aside.what} in force"

    def observe(self, host: Host) -> dict[str, Any]:
        return {"pending": self.aside.lies(host)}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["pending"]:
            return Diff()
        done = change("rm", self.aside.path)
        applied = Change(f"all of {self.aside.what} is applied", done)
        return Diff((*self._changes(), applied))

    def _changes(self) -> Sequence[Change]:
        undo = f"within {WITHIN_S:.0f} s by the firewall itself, unless we confirm; {CONSOLE}"
        if self.stays:
            undo += f"; {self.stays}"
        rollback = self.aside.rollback(self.before_undo) if self.guarded else None
        return [
            Change(
                summary,
                self._in_time(call),
                follow=_follow(call),
                undo=undo if self.guarded else "",
                rollback=rollback,
            )
            for summary, call in self.calls
        ]

    def _in_time(self, call: Call) -> Call:
        """What is guarded is given up, and looked for, long before the timer goes off."""
        return replace(call, timeout_s=_GUARDED_S) if self.guarded else call
