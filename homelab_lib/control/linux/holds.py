"""Packages that stay as they are until somebody says otherwise.

A driver is a kernel module, libraries and tools of one version. An upgrade at night that takes some
of them, or a kernel without the others, leaves a card that nobody can use after the next boot.

Source: apt-mark(8); dpkg-query(1), ``db:Status-Want``.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatch

from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_ROW = re.compile(r"(\S+) (\S+) (\S+)")


@dataclass(frozen=True)
class Held:
    """Installed packages that no upgrade touches.

    Parameters
    ----------
    host, patterns
        Where, and which: names as a shell has them, such as ``*nvidia*``.
    what
        What they are, for the person who reads the plan.
    but
        Names of the same kind that are left out.
    """

    host: str
    patterns: tuple[str, ...]
    what: str
    but: tuple[str, ...] = ()
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"hold on {self.what}"

    def observe(self, host: Host) -> dict[str, bool]:
        """Whether each installed package is held.

        Raises
        ------
        StepFailed
            dpkg says something else.
        """
        form = r"${Package} ${db:Status-Status} ${db:Status-Want}\n"
        shown = host.read("dpkg-query", "-W", "-f", form, "--", *self.patterns, ok=(0, 1))
        found: dict[str, bool] = {}
        for line in shown.stdout.splitlines():
            row = _ROW.fullmatch(line)
            if row is None:
                raise StepFailed(
                    f"{host.name} can't tell which packages are held: {host.cut(line, 100)!r}",
                    where=host.name,
                    fix=f"try `dpkg-query -W {' '.join(self.patterns)}` there by hand",
                )
            if row[2] == "installed" and not any(fnmatch(row[1], each) for each in self.but):
                found[row[1]] = row[3] == "hold"
        return found

    def diff(self, observed: dict[str, bool]) -> Diff:
        if not observed:
            return Diff(conflict=f"{self.host} has no package {' or '.join(self.patterns)}")
        free = sorted(name for name, held in observed.items() if not held)
        if not free:
            return Diff()
        return Diff(
            (
                Change(
                    f"hold {len(free)} packages of {self.what} at their version",
                    change("apt-mark", "hold", *free, sudo=True),
                    undo=f"apt-mark unhold {' '.join(free)}",
                ),
            )
        )
