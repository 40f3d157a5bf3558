"""The undo of a firewall that we can't reach any more, and how it is told what is pending.

OPNsense writes down what it is told and does nothing of it until it is applied; nothing of it
shows that something waits. So before the first thing is written, the configuration as it is in
force is laid aside, and it lies there until what was written has been applied, and confirmed over
a fresh connection. That it lies there is what says "not applied": a run that was cut off in between
finds it, and goes on.

Before something is applied that the way to the firewall may depend on, a timer is started on the
firewall itself, a process of its own: unless it is stopped in time, it puts back what was laid
aside and loads all of it anew. It needs neither the network nor any service, and no release has to
offer it: the savepoint of 26.1 answers a revision that names no backup, and 26.7 has none. A
process does not outlive a reboot, and a boot applies all that is written; so a script among those
that a boot runs before it reads the configuration puts it back then. It goes when the timer does.

What is put back is the whole configuration. Where somebody else has saved something after it was
laid aside, the undo would take that away with ours, and so nothing is applied under it.

References
----------
opnsense/core: ``src/opnsense/scripts/shell/restore.sh`` (what the console's "restore a backup"
does), ``rc.reload_all``, ``src/etc/rc`` and ``rc.syshook`` (``early`` comes before ``rc.bootup``);
daemon(8), pkill(1) of FreeBSD.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homelab_lib.control.opnsense.api import Api, at_rest, told, was_lost
from homelab_lib.control.opnsense.history import CONFIG, revisions, since
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host, Progress, Rollback
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Command, Result, change
from homelab_lib.transport.request import Request

WITHIN_S = 180.0
_GUARDED_S = 60.0
_AT_BOOT = "/usr/local/etc/rc.syshook.d/early"
_SHOWN = 3  # of somebody else's changes
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
    guarded
        Whether the way to the firewall may depend on it: then the undo puts this back.
    """

    host: str
    lab: str
    what: str
    guarded: bool = True
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"configuration before {self.what}"

    @property
    def path(self) -> str:
        """Where it lies: beside the configuration, where a boot leaves it."""
        return f"/conf/homelab-{self.lab}-{self.what}.xml"

    @property
    def at_boot(self) -> str:
        """The script by which a boot puts it back: before those that bring an update."""
        return f"{_AT_BOOT}/01-homelab-{self.lab}-{self.what}"

    def lies(self, host: Host) -> bool:
        """Whether it lies there."""
        return host.read("test", "-e", self.path, ok=(0, 1)).ok

    def observe(self, host: Host) -> dict[str, Any]:
        """Whether it lies there, and what would be lost if it were put back."""
        if not self.lies(host):
            return {"lies": False}
        return {"lies": True, "lost": self.lost(host)}

    def diff(self, observed: Mapping[str, Any]) -> Diff:
        if observed["lies"]:
            return Diff(conflict=observed["lost"])
        # Half a copy would be restored as a whole one: it gets its name when it is done. And it is
        # as old as it is laid there, which `since` goes by.
        script = f"cp {CONFIG} {self.path}.new && mv {self.path}.new {self.path}"
        call = change("/bin/sh", "-c", script)
        undo = f"rm {self.path}"
        return Diff((Change(f"lay {self.name} aside as {self.path}", call, undo=undo),))

    def lost(self, host: Host) -> str:
        """Why what lies there must not be put back, and what a person can do; empty where it may.

        One that this approval has laid is as old as its run; of an older one nobody knows, where
        the history does not reach back so far.
        """
        if not self.guarded:
            return ""
        found = since(revisions(host), self.path, self.lab)
        if found.others:
            newest = "; ".join(found.others[-_SHOWN:])
            more = f", {len(found.others)} times" if len(found.others) > _SHOWN else ""
            why = f"since then somebody else has changed it{more}: {newest}"
        elif not found.whole and not host.sent(self.name):
            why = "that is longer ago than its history reaches back"
        else:
            return ""
        return (
            f"{self.path} holds the configuration before {self.what}, which was written and not "
            f"applied, and {why}. The undo would take that away with ours. Either let all of it "
            "stand: press Apply in the firewall's pages where they ask for it, see that you still "
            f"get in, then  rm {self.path}  on the firewall; or put the old one back:  "
            f"mv {self.path} {CONFIG} && /usr/local/etc/rc.reload_all"
        )

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
            f"{{ {before}/usr/local/etc/rc.reload_all; }}; rm -f {self.at_boot}"
        )
        at_boot = f"test -e {self.path} && mv {self.path} {CONFIG}; rm -f {self.at_boot}"
        # One that still runs, of a run that was cut off, would go off too early.
        script = (
            f"pkill -f {self.path}; test -e {self.path} && "
            f"printf '%s\\n' '#!/bin/sh' '{at_boot}' > {self.at_boot} && "
            f"chmod 755 {self.at_boot} && sync && "
            f'/usr/sbin/daemon -f /bin/sh -c "{undo}"'
        )
        return change("/bin/sh", "-c", script)

    def _armed(self, host: Host) -> bool:
        # It is known by the path in its words; pgrep leaves out itself and whoever started it.
        runs = host.read("pgrep", "-f", self.path, ok=(0, 1)).ok
        at_boot = host.read("test", "-x", self.at_boot, ok=(0, 1)).ok
        return runs and at_boot and self.lies(host)

    @property
    def _confirm(self) -> Command:
        """It stops the timer and no more: where the reply of what it guards was lost, nobody knows
        yet whether that was carried out. It fails where it was undone."""
        script = (
            f"test -e {self.path} || {{ echo 'it has been undone already' >&2; exit 1; }}; "
            f"rm -f {self.at_boot}; pkill -f {self.path}"
        )
        return change("/bin/sh", "-c", script)


@dataclass(frozen=True)
class Applied:
    """What was written is in force.

    Parameters
    ----------
    api, aside
        The firewall, and what lies aside until then.
    calls
        What applies it, each with a line for people.
    before_undo
        What the undo does first, as words of a shell.
    stays
        What no undo takes away, for people.
    besides
        What the last of the calls puts in force that somebody else has written, for people.
    """

    api: Api
    aside: Aside
    calls: tuple[Apply, ...]
    before_undo: str = ""
    stays: str = ""
    besides: str = ""
    timeout_s: float = 300.0  # as long as an update may take, which is waited for

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return f"{self.aside.what} in force"

    def observe(self, host: Host) -> dict[str, Any]:
        found = self.aside.observe(host)
        if found["lies"]:
            at_rest(self.api, host)
        return found

    def diff(self, observed: Mapping[str, Any]) -> Diff:
        if not observed["lies"]:
            return Diff()
        if observed["lost"]:
            return Diff(conflict=observed["lost"])
        done = change("rm", self.aside.path)
        undo = f"{NOTHING_TO_UNDO}: it was for the time of the changes; OPNsense keeps its own"
        applied = Change(f"all of {self.aside.what} is applied", done, undo=undo)
        return Diff((*self._changes(), applied))

    def _changes(self) -> Sequence[Change]:
        undo = "the same call, when what it puts in force is as it was"
        if self.aside.guarded:
            undo = f"within {WITHIN_S:.0f} s by the firewall itself, unless we confirm; {CONSOLE}"
        if self.stays:
            undo += f"; {self.stays}"
        rollback = self.aside.rollback(self.before_undo) if self.aside.guarded else None
        last = len(self.calls) - 1
        return [
            Change(
                summary,
                self._in_time(call),
                follow=_follow(call),
                replaces=self.besides if number == last else "",
                undo=undo,
                rollback=rollback,
            )
            for number, (summary, call) in enumerate(self.calls)
        ]

    def _in_time(self, call: Call) -> Call:
        """What is guarded is given up, and looked for, long before the timer goes off."""
        return replace(call, timeout_s=_GUARDED_S) if self.aside.guarded else call
