"""Backups that were restored once: copies by restic, and files brought back from them.

Each copy is one step, and so is each drill; the last step holds the rule of three copies, two media
and another place against what is there, with dates.
"""

from collections.abc import Iterator
from functools import partial

from homelab_lib.control.kubernetes.etcd import FOLDER as ETCD_SNAPSHOTS
from homelab_lib.control.kubernetes.etcd import EtcdSnapshot
from homelab_lib.control.linux import File, Packages
from homelab_lib.control.linux.copies import Copied, check_commands, commands
from homelab_lib.control.linux.drills import RestoreDrill as Drill
from homelab_lib.control.linux.restic import Access, locks, tags
from homelab_lib.control.linux.timers import (
    OwnTimer,
    job_text,
    service_file,
    timer_file,
    timer_text,
)
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.archives import archives_copied, only_archives
from homelab_lib.lab.backups import FileBackup, Repository, RestoreDrill
from homelab_lib.models import copies as rule
from homelab_lib.recipes.backup import claims, configurations, guest_drills, guests, servers
from homelab_lib.recipes.backup.paper import of_repository
from homelab_lib.recipes.backup.promised import copied, drilled, is_new, kept
from homelab_lib.recipes.backup.restic import reached
from homelab_lib.recipes.nas import cloud
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted
from homelab_lib.wiring.carried_on import backups_carried_on

MAKES = ("backups", "backup_servers", "storages", *cloud.MAKES)
looks = servers.looks
_LINUX = ("proxmox", "debian", "ubuntu", "linux")
_TOOLS = {"etcd": "etcd-client", "configuration": "libxml2-utils"}
"""What it takes to read what a drill brings back, besides what every machine has."""
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_LONGEST_S = 86_400


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The copies and drills of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A copy is of a machine on which we can't set it up.
    """
    kept = lab.backups
    made = [each for each in kept.files.values() if each.phase == phase and not each.exists]
    drills = [each for each in kept.drills.values() if each.phase == phase and not each.exists]
    for each in kept.repositories.values():
        if each.phase == phase and not each.exists:
            yield _on_paper(each)
    yield from configurations.steps(lab, phase)
    clouds = list(cloud.steps(lab, phase))
    yield from clouds
    later = _carrying(lab)
    now = [each for each in made if each.name not in later]
    yield from (_copy(lab, phase, each) for each in now)
    for drill in drills:
        if drill.backup not in later:
            yield from _drill(lab, drill, made)
    yield from claims.steps(lab, phase, [f"copy-{each.name}" for each in now])
    whole = list(guests.steps(lab, phase))
    yield from whole
    first = tuple(each.name for each in whole if each.name.startswith("guests-"))
    yield from (_copy(lab, phase, each, first) for each in made if each.name in later)
    for drill in drills:
        if drill.backup in later:
            yield from _drill(lab, drill, made)
    there = [*(f"copy-{each.name}" for each in made), *(each.name for each in whole)]
    yield from guest_drills.steps(lab, phase, there)
    if made or clouds or whole:
        yield Step(
            "three-two-one",
            "Count the copies that the lab describes; safe are three on two media, one elsewhere",
            why="Snapshots and mirrored disks are lost with the data, so they count for nothing "
            "here. A copy that is older than was promised counts for nothing either, nor does one "
            "from which nothing was ever brought back. After a fire the order is: what stands on "
            "paper and any machine with restic; the NAS by its configuration and its pools; the "
            "hypervisor's /etc; its VMs by these runbooks; etcd's snapshot with its token, before "
            "any agent joins; and then everybody's files.",
            needs=(
                *(each.name for each in clouds),
                *(f"copy-{each.name}" for each in made),
                *(each.name for each in whole if each.name.startswith("guests-")),
            ),
            check=partial(gate, lab),
        )


def _carrying(lab: Lab) -> set[str]:
    """The copies of files that carry backups of guests: there have to be some first."""
    places = [(each.host, each.storage) for each in lab.backups.guests.values()]
    return {each.name for place in places for each in archives_copied(lab, *place)}


def _copy(lab: Lab, phase: int, backup: FileBackup, after: tuple[str, ...] = ()) -> Step:
    files = Files(lab, backup)
    return Step(
        f"copy-{backup.name}",
        f"Copy {', '.join(backup.paths)} of {backup.machine} to {files.repository.medium}",
        why="What leaves the machine is encrypted there. Its keys lie in files for root alone, "
        "and a timer of the machine itself does the work, whether anybody looks or not. Old "
        "copies are forgotten by count, and only those of this very backup. A repository that "
        "somebody else has keys or copies in is left alone.",
        needs=(*after, *configurations.needed_by(lab, phase, backup.machine)),
        ensure=files.ensure,
        check=files.check,
        measure=files.age,
    )


def _on_paper(repository: Repository) -> Step:
    """The key is where no fire of the house reaches it."""
    return Step(
        f"key-{repository.name}",
        f"Write the key to {repository.name} on paper",
        why="Whoever loses the key has lost every copy, and it lies on the machines that are to be "
        "brought back. So it is written down, with what it takes to log in there and the address, "
        "and kept in another place.",
        manual=Manual(
            f"write on paper: {repository.url}; the key from {repository.password}"
            + "".join(f"; {name} from {ref}" for name, ref in repository.secrets.items())
            + f"\n    and give it to: {repository.paper or 'somebody who lives elsewhere'}"
        ),
    )


class Files:
    """Copies of a machine's folders; see `steps`."""

    def __init__(self, lab: Lab, backup: FileBackup) -> None:
        self.lab = lab
        self.backup = backup
        self.repository = lab.backups.repositories[backup.repository]
        self.access = Access(backup.repository)
        self.unit = f"homelab-backup-{backup.name}"
        system, host = lab.system(backup.machine), lab.hosts.get(backup.machine)
        kind = system.kind if system else "nothing"
        if kind not in _LINUX or (host and host.standalone):
            raise BadParameter(
                f"{backup.machine} runs {kind}, or is left alone, and restic is to copy its files",
                where=f"backups.files.{backup.name}.machine",
                fix=f"it runs on {', '.join(_LINUX)}; a TrueNAS copies by itself: "
                "nas.NAME.cloud_tasks",
            )

    @property
    def tag(self) -> str:
        """What marks its copies."""
        return tags(self.lab.name, self.backup.name)

    @property
    def _checks(self) -> bool:
        """Whether it is the one that looks through the repository: the first that uses it."""
        users = self.lab.backups.files.values()
        first = next(each for each in users if each.repository == self.backup.repository)
        return first is self.backup

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """restic, the repository, what is done again and again, and the first copy."""
        backup, machine = self.backup, self.backup.machine
        yield from reached(self.lab, machine, self.repository, ctx)
        work = commands(self.access, self.tag, backup.paths, backup.exclude, backup.keep.counts)
        yield from self._timer(self.unit, f"Copy of {backup.name}", work, backup.schedule)
        if self._checks:
            look = check_commands(self.access, self.repository.check_percent)
            title, unit = f"Look through {backup.repository}", f"{self.unit}-check"
            yield from self._timer(unit, title, look, self.repository.check_schedule)
        if ETCD_SNAPSHOTS in backup.paths:
            yield EtcdSnapshot(machine, backup.within_hours * _HOUR_S)
        yield Copied(
            machine, self.unit, self.access, self.lab.name, backup.name,
            backup.within_hours * _HOUR_S,
        )  # fmt: skip

    def _timer(
        self, unit: str, title: str, work: tuple[str, ...], schedule: str
    ) -> Iterator[Wanted]:
        machine, lab = self.backup.machine, self.lab.name
        environment = [self.access.environment, "RESTIC_CACHE_DIR=/var/cache/homelab-restic"]
        job = job_text(title, work, environment, timeout_s=_LONGEST_S)
        yield File(machine, service_file(unit), job, what=f"what {unit} does", lab=lab)
        text = timer_text(title, schedule)
        yield File(machine, timer_file(unit), text, what=f"when {unit} does it", lab=lab)
        yield OwnTimer(machine, unit)

    def copy(self, ctx: Context) -> rule.Copy:
        """What there is of it, by date."""
        return copied(self.lab, self.backup, ctx)

    def check(self, ctx: Context) -> Iterator[Check]:
        """The newest copy is as new as was promised, and nobody left a lock behind."""
        yield is_new(self.copy(ctx), f"the newest copy of {self.backup.name} is new")
        yield from self.units(ctx)
        held = locks(ctx.host(self.backup.machine), self.access)
        stale = [each.says for each in held if each.stale]
        says = "; ".join(each.says for each in held) or "none"
        yield Check(f"no lock was left behind in {self.backup.repository}", not stale, says)

    def units(self, ctx: Context) -> Iterator[Check]:
        """What the timers have started ended well the last time: the copy, and the look through
        the repository where this is the one that looks."""
        host = ctx.host(self.backup.machine)
        for unit in (self.unit, *((f"{self.unit}-check",) * self._checks)):
            state = unit_properties(host, f"{unit}.service", "LoadState", "ActiveState")
            bad = state["ActiveState"] == "failed"
            says = f"it failed: journalctl -u {unit}" if bad else state["ActiveState"]
            yield Check(f"{unit} ended well on {self.backup.machine}", not bad, says)

    def age(self, ctx: Context) -> Iterator[Measurement]:
        """How old the newest copy is."""
        copy = self.copy(ctx)
        if copy.age_s is not None:
            yield Measurement(f"{self.backup.name}: age of the newest copy", copy.age_s, "s")


def _drill(lab: Lab, drill: RestoreDrill, made: list[FileBackup]) -> Iterator[Step]:
    backup = lab.backups.files[drill.backup]
    files = Files(lab, backup)
    paper = drill.from_paper is not None
    here = "with the key on paper alone" if paper else "and compare them"
    why = (
        "A copy is worth what was brought back from it. Files are picked by a number, brought into "
        "a folder of their own beside nothing that runs, compared by checksum with those that are "
        "there, and taken away again. One that was changed since can't be compared, and is told."
    )
    if paper:
        why += (
            " This one is held as after a fire: by the address, the key and the login as they "
            "stand on paper, and nothing that lies on the machine."
        )
    needs = (f"copy-{backup.name}",) if backup in made else ()

    def ensure(ctx: Context) -> Iterator[Wanted]:
        if drill.what in _TOOLS:
            yield Packages(backup.machine, (_TOOLS[drill.what],))
        yield Drill(
            backup.machine,
            drill.name,
            files.access,
            lab.name,
            backup.name,
            drill.files,
            drill.seed,
            drill.every_days * _DAY_S,
            drill.what,
            files.repository.url if paper else "",
            of_repository(files.repository, str(drill.from_paper), ctx) if paper else None,
            drill.needed,
        )

    def check(ctx: Context) -> Iterator[Check]:
        yield _drilled(ctx, drill, backup)

    yield Step(
        f"drill-{drill.name}",
        f"Bring back {_what(drill)} of {backup.name} {here}",
        why=why,
        needs=needs,
        ensure=ensure,
        check=check,
    )


def _what(drill: RestoreDrill) -> str:
    if drill.what == "configuration":
        return f"what is needed ({len(drill.needed)} files)"
    return "the newest snapshot of etcd" if drill.what == "etcd" else f"{drill.files} files"


def _drilled(ctx: Context, drill: RestoreDrill, backup: FileBackup) -> Check:
    return drilled(ctx, backup.machine, drill, f"{backup.name} was brought back")


def gate(lab: Lab, ctx: Context) -> Iterator[Check]:
    """Three copies, two media, another place, and each brought back once: for all that is copied.

    Parameters
    ----------
    lab
        The lab.
    ctx
        Gives its hosts.
    """
    groups: dict[tuple[str, str], list[Files | cloud.Task]] = {}
    archives = only_archives(lab)
    for each in lab.backups.files.values():
        place = (each.machine, ", ".join(each.paths))
        if each.name not in archives:
            groups.setdefault(place, []).append(Files(lab, each))
    of_guests = backups_carried_on(lab)
    for host, nas in lab.nas.items():
        for task in nas.cloud_tasks.values():
            there = (task.phase or task.exists) and task.direction == "PUSH"
            if there and (host, task.name) not in of_guests:
                copied = cloud.Task(lab, host, task)
                groups.setdefault((host, copied.path), []).append(copied)
    for (machine, paths), ways in groups.items():
        found = [way.copy(ctx) for way in ways]
        yield kept(f"{paths} of {machine}", f"the disks of {machine}", found)
    for drill in lab.backups.drills.values():
        yield _drilled(ctx, drill, lab.backups.files[drill.backup])
    for each in lab.backups.claim_drills.values():
        yield claims.Drill(lab, each).done(ctx)
    yield from guests.gate(lab, ctx)
    for whole in lab.backups.guest_drills.values():
        yield guest_drills.done(lab, whole, ctx)
