"""ZFS datasets of a Linux machine, and whether its pools are scrubbed.

Sources: zfs(8), zfsprops(7); Debian's zfsutils-linux: ``/etc/cron.d/zfsutils-linux`` has all pools
scrubbed on the second Sunday of each month, but those whose ``org.debian:periodic-scrub`` is
``disable``.
"""

from dataclasses import dataclass
from typing import Any

from homelab_lib.control.linux.looking import ENGLISH, read_file
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_OURS = "homelab:lab"
_SCRUBS = "/etc/cron.d/zfsutils-linux"
_PER_POOL = "org.debian:periodic-scrub"
_SET = ("recordsize", "quota")


@dataclass(frozen=True)
class LinuxDataset:
    """A dataset that is mounted where its name says.

    Parameters
    ----------
    host, lab, dataset
        Where, whose, and its full name: ``tank/files``.
    recordsize_bytes, quota_bytes
        Its record size, and the most it may hold [bytes]; None: left as they are.
    """

    host: str
    lab: str
    dataset: str
    recordsize_bytes: int | None = None
    quota_bytes: int | None = None
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"dataset {self.dataset}"

    @property
    def _wanted(self) -> dict[str, str]:
        sizes = dict(zip(_SET, (self.recordsize_bytes, self.quota_bytes), strict=True))
        return {key: str(value) for key, value in sizes.items() if value is not None}

    def observe(self, host: Host) -> dict[str, Any]:
        """Its properties, and whether it is ours; ``there`` is false where there is none."""
        found = _properties(host, self.dataset, *_SET, "mountpoint", "mounted", _OURS)
        if found is None:
            return {"there": False}
        # What lies above hands a mark down: it is its own only where it was set here.
        mark, source = found.pop(_OURS)
        values = {key: value for key, (value, _) in found.items()}
        ours = source == "local" and mark == self.lab
        return {"there": True, "ours": ours or host.begun(self.name), **values}

    def diff(self, observed: dict[str, Any]) -> Diff:
        if not observed["there"]:
            given = {_OURS: self.lab} | self._wanted
            options = [word for key, value in given.items() for word in ("-o", f"{key}={value}")]
            summary = f"make dataset {self.dataset}"
            # Not one that could be pasted in haste.
            undo = "zfs destroy, once nobody needs what was put there since"
            return Diff((self._change(summary, "create", *options, undo=undo),))
        place = f"/{self.dataset}"
        if observed["mountpoint"] != place:
            return Diff(
                conflict=f"{self.dataset} of {self.host} is mounted at {observed['mountpoint']}, "
                f"and the lab has it at {place}; `zfs set mountpoint={place} {self.dataset}` moves "
                "it, where nobody stands on the old place"
            )
        new = {key: value for key, value in self._wanted.items() if observed[key] != value}
        if new and not observed["ours"]:
            has = ", ".join(f"{key} {observed[key]}" for key in new)
            return Diff(
                conflict=f"dataset {self.dataset} of {self.host} is somebody's, and has {has}; "
                f"write that into the lab, or give it to us: zfs set {_OURS}={self.lab} "
                f"{self.dataset}"
            )
        changes = [
            self._change(
                f"set {key} of {self.dataset} to {value}",
                *("set", f"{key}={value}"),
                replaces=f"{key} {observed[key]}",
                undo=f"zfs set {key}={observed[key]} {self.dataset}",
            )
            for key, value in new.items()
        ]
        if observed["mounted"] != "yes":
            undo = f"zfs unmount {self.dataset}"
            changes.append(self._change(f"mount {self.dataset}", "mount", undo=undo))
        return Diff(tuple(changes))

    def _change(self, summary: str, *words: str, undo: str, replaces: str = "") -> Change:
        call = change(*ENGLISH, "zfs", *words, self.dataset, sudo=True, timeout_s=self.timeout_s)
        return Change(summary, call, replaces=replaces, undo=undo)


def is_ours(host: Host, dataset: str, lab: str) -> bool:
    """Whether a dataset carries the lab's mark itself: what lies above hands one down."""
    found = _properties(host, dataset, _OURS)
    return found is not None and found[_OURS] == (lab, "local")


def usable_bytes(host: Host, pool: str) -> int:
    """What a pool holds [bytes]: what is taken, and what is still free.

    Raises
    ------
    StepFailed
        There is no such pool, or the host can't tell.
    """
    found = _properties(host, pool, "used", "available")
    if found is None:
        raise StepFailed(
            f"{host.name} has no pool {pool}",
            where=host.name,
            fix="`zpool import` shows whether it can be had back",
        )
    return sum(int(value) for value, _ in found.values())


def is_scrubbed(host: Host, pool: str) -> str:
    """Why a pool is not scrubbed once a month by what the distribution brings; empty where it is.

    Raises
    ------
    StepFailed
        The host can't tell.
    """
    jobs = [line for line in read_file(host, _SCRUBS).splitlines() if not line.startswith("#")]
    if not any("zfs-linux/scrub" in line for line in jobs):
        return f"{_SCRUBS} has no such job: is zfsutils-linux installed, or was it taken out?"
    found = _properties(host, pool, _PER_POOL)
    if found is None:
        return "there is no such pool"
    if found[_PER_POOL][0] == "disable":
        return f"somebody has switched it off: zfs inherit {_PER_POOL} {pool} switches it on again"
    return ""


def _properties(host: Host, dataset: str, *names: str) -> dict[str, tuple[str, str]] | None:
    """Value and source of each property, in exact numbers; None where there is no such dataset.

    Raises
    ------
    StepFailed
        It can't tell.
    """
    form = ("-H", "-p", "-o", "property,value,source")
    words = ("zfs", "get", *form, ",".join(names), dataset)
    said = host.read(*ENGLISH, *words, ok=None, sudo=True)
    if said.exit_status and "does not exist" in said.stderr:
        return None
    rows = [line.split("\t") for line in said.stdout.splitlines()]
    found = {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}
    if said.exit_status or not set(names) <= set(found):
        raise StepFailed(
            f"{host.name} can't tell what {dataset} is: "
            f"{host.cut((said.stderr or said.stdout).strip(), 300, end=True) or 'no answer'}",
            where=host.name,
            fix=f"try `{' '.join(words)}` there by hand",
        )
    return found
