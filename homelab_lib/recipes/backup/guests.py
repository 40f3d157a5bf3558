"""Whole guests: backed up by Proxmox onto one of its storages."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from homelab_lib.control.backup_server.manager import fingerprint as certificate_of
from homelab_lib.control.clock import clock_s
from homelab_lib.control.linux.timers import on_calendar
from homelab_lib.control.proxmox.backup_server import KEYS, BackupServer
from homelab_lib.control.proxmox.backups import Backup, BackupJob, GuestsBackedUp, newest_backups
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.archives import archives_copied
from homelab_lib.lab.backups import GuestBackup
from homelab_lib.lab.storage import VmStorage
from homelab_lib.models import copies as rule
from homelab_lib.recipes.backup import servers
from homelab_lib.recipes.backup.promised import copied, is_new, kept
from homelab_lib.recipes.nas.cloud import Task
from homelab_lib.recipes.proxmox.host import made_storage
from homelab_lib.recipes.proxmox.virtual_machine import node
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted
from homelab_lib.wiring.carried_on import carried_on

_HOUR_S = 3600.0


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of the guests that a phase has backed up.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A host can't be reached.
    """
    made_there = list(servers.steps(lab, phase))
    yield from made_there
    stores = list(_storages(lab, phase, {step.name for step in made_there}))
    yield from stores
    made = [each for each in lab.backups.guests.values() if each.phase == phase]
    there = {step.name for step in stores}
    for backup in made:
        guests = Guests(lab, backup)
        yield Step(
            f"guests-{backup.name}",
            f"Back up {guests.names} to {backup.storage} of {guests.node}",
            why="Proxmox itself does it, by a job of its own, whether anybody looks or not. The "
            "guests run on: a disk is frozen for a moment where the guest agent answers. What a "
            "guest has on NFS, and a card, are not in it." + guests.where_it_stands,
            needs=tuple({f"storage-{backup.storage}"} & there),
            ensure=guests.ensure,
            check=guests.check,
            measure=guests.ages,
        )


def _storages(lab: Lab, phase: int, there: Collection[str]) -> Iterator[Step]:
    """The storages that guests are backed up to, after the steps that are there."""
    for host, stores in lab.storages.items():
        used = lab.backups.storages_of(host)
        for store in stores.values():
            if store.phase != phase or store.exists or store.name not in used:
                continue
            if store.kind == "pbs":
                needs = tuple({servers.entry_of(store)} & set(there))
                yield from _server(lab, host, store, needs)
                continue
            if store.kind == "cifs":
                raise BadParameter(
                    f"storage {store.name!r} is of kind {store.kind}, which asks for a password",
                    where=f"storages.{host}.{store.name}",
                    fix="make it by hand in Proxmox, and say exists: true of it",
                )
            wanted = made_storage(host, node(lab, host), store)
            yield Step(
                f"storage-{store.name}",
                f"Tell {wanted.node} where backups of its guests go",
                why="A storage is a name for a folder or a share, and what may lie there. "
                "One of that name which lies elsewhere is left alone.",
                ensure=lambda ctx, wanted=wanted: iter([wanted]),  # type: ignore[misc]
            )


def _server(lab: Lab, host: str, store: VmStorage, needs: tuple[str, ...]) -> Iterator[Step]:
    """A backup server's datastore, and the key to what is in it."""
    where = f"storages.{host}.{store.name}"
    own = lab.backup_server_of(store)
    for key in ("username", "password", *(("fingerprint",) if own is None else ())):
        if getattr(store, key) is None:
            raise BadParameter(
                f"storage {store.name!r} is a backup server's, and has no {key}",
                where=f"{where}.{key}",
                fix="make a token there that may back up to this datastore alone (role "
                "DatastoreBackup), and write its name, where its secret is kept and the server's "
                "fingerprint: see `proxmox-backup-manager cert info`",
            )
    server, datastore, username = str(store.server), str(store.datastore), str(store.username)
    password = str(store.password)

    def ensure(ctx: Context) -> Iterator[Wanted]:
        fingerprint = store.fingerprint or (own and certificate_of(ctx.host(own.name))) or ""
        yield BackupServer(
            host, node(lab, host), store.name, server, datastore, username, fingerprint,
            store.encrypted, ctx.secret(password),
        )  # fmt: skip

    yield Step(
        f"storage-{store.name}",
        f"Have {node(lab, host)} back up to datastore {datastore} of {server}",
        why="The server is known by its certificate, and is entered by a token that may write "
        "backups and nothing else: whoever takes this host over can't forget what is there. What "
        "is kept how long is the server's affair, and so is looking through it."
        + _stands_on(lab, store),
        needs=needs,
        ensure=ensure,
    )
    if store.encrypted:
        path = f"{KEYS}/{store.name}.enc"
        yield Step(
            f"key-{store.name}",
            f"Write the key to {store.name} on paper",
            why="What is on the server can't be read without it, and it lies on the very host that "
            "is to be brought back.",
            needs=(f"storage-{store.name}",),
            manual=Manual(
                f"print on {host}: proxmox-backup-client key paperkey --output-format text {path}"
                f"\n    write beside it: datastore {datastore} of {server}; token {username}, its "
                f"secret from {password};\n    the server's fingerprint, as `pvesh get /storage/"
                f"{store.name}` shows it on {host}"
                f"\n    and give it to: {store.paper or 'somebody who lives elsewhere'}"
            ),
        )


def _stands_on(lab: Lab, store: VmStorage) -> str:
    """In which order all comes back where the server is a guest of the host that it backs up."""
    guest, host = lab.own_server_of(store), store.host
    if guest is None:
        return ""
    return (
        f" It is {guest.name}, a guest of {host} itself: if that is lost, install {host} anew, "
        f"make {guest.name} anew from the lab, mount its datastore where it still lies, enter it "
        "with the key from paper, and only then restore the others. It is not backed up to itself."
    )


class Guests:
    """Guests of a host, and their backups; see `steps`."""

    def __init__(self, lab: Lab, backup: GuestBackup) -> None:
        self.lab = lab
        self.backup = backup
        self.host = backup.host
        self.node = node(lab, backup.host)
        if lab.hosts[backup.host].ssh is None:
            raise BadParameter(
                f"{backup.host} is to back up its guests, and has no SSH login",
                where=f"hosts.{backup.host}.ssh",
                fix="add one",
            )
        every = {each.name: each for each in (*lab.vms.values(), *lab.containers.values())}
        self.guests = tuple((every[name].vmid, name) for name in backup.guests)
        self.storage = lab.storages[backup.host][backup.storage]

    @property
    def names(self) -> str:
        """Whom, in words."""
        return ", ".join(self.backup.guests)

    @property
    def by_server(self) -> bool:
        """Whether a Proxmox Backup Server keeps them."""
        return self.storage.kind == "pbs"

    @property
    def where_it_stands(self) -> str:
        """What to think of where the backups are; empty where that is nothing special."""
        if self.storage.kind in ("nfs", "cifs", "pbs"):
            return ""
        return (
            f" {self.backup.storage} is a disk of {self.host} itself: what takes the host takes "
            "the backups, so it counts for nothing more than a mistake undone."
        )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The job, and a first backup of each."""
        backup = self.backup
        keep = () if self.by_server else tuple(sorted(backup.keep.counts.items()))
        ids = tuple(vmid for vmid, _ in self.guests)
        yield BackupJob(
            self.host, f"homelab-{backup.name}", ids, backup.storage,
            on_calendar(backup.schedule), keep, self.by_server, self.lab.name,
        )  # fmt: skip
        yield GuestsBackedUp(
            self.host, self.node, backup.storage, self.guests,
            backup.within_hours * _HOUR_S, self.by_server,
        )  # fmt: skip

    def _newest(self, ctx: Context) -> dict[int, Backup]:
        host = ctx.host(self.host)
        return newest_backups(host, self.node, self.backup.storage, clock_s(host))

    def copies(self, ctx: Context) -> Iterator[tuple[str, rule.Copy]]:
        """What there is of each guest, by date, and what copies of that are in other places."""
        where = (self.lab, self.host, self.backup.storage)
        onward = [Task(self.lab, nas, task).copy(ctx) for nas, task in carried_on(*where)]
        onward += [copied(self.lab, each, ctx) for each in archives_copied(*where)]
        for copy in self._copies(ctx, self._newest(ctx)):
            yield copy.name, replace(copy, name=self.backup.name)
            for further in onward:
                yield copy.name, _onward(self.backup.name, copy, further)

    def _copies(self, ctx: Context, there: dict[int, Backup]) -> Iterator[rule.Copy]:
        """What there is of each guest, by date."""
        now_s = clock_s(ctx.host(self.host))
        for vmid, name in self.guests:
            age_s = now_s - there[vmid].made_s if vmid in there else None
            within_s = self.backup.within_hours * _HOUR_S
            yield rule.Copy(name, self.backup.medium, self.backup.offsite, age_s, within_s)

    def check(self, ctx: Context) -> Iterator[Check]:
        """The newest backup of each guest is as new as was promised, and its server finds it
        whole."""
        there = self._newest(ctx)
        for copy in self._copies(ctx, there):
            title = f"the newest backup of {copy.name} on {self.backup.storage} is new"
            yield is_new(copy, title)
        bad = [name for vmid, name in self.guests
               if vmid in there and there[vmid].verified == "failed"]  # fmt: skip
        says = f"the look through it failed: {', '.join(bad)}" if bad else "none was found broken"
        yield Check(f"no newest backup on {self.backup.storage} is broken", not bad, says)
        if self.storage.encrypted:
            open_ = [name for vmid, name in self.guests
                     if vmid in there and not there[vmid].encrypted]  # fmt: skip
            title = f"the newest backups on {self.backup.storage} are encrypted"
            says = f"whoever has the server reads {', '.join(open_)}" if open_ else ""
            yield Check(title, not open_, says)

    def ages(self, ctx: Context) -> Iterator[Measurement]:
        """How old the newest backups are."""
        for copy in self._copies(ctx, self._newest(ctx)):
            if copy.age_s is not None:
                yield Measurement(f"{copy.name}: age of the newest backup", copy.age_s, "s")


def _onward(name: str, backup: rule.Copy, task: rule.Copy) -> rule.Copy:
    """A copy of backups, as a copy of what they are of: as old as the newest of them that was there
    when it was made. Where none of those is known any more, it was not older than was promised."""
    age_s = None
    if task.age_s is not None and backup.age_s is not None:
        is_in = task.age_s <= backup.age_s
        age_s = backup.age_s if is_in else task.age_s + backup.within_s
    within_s = task.within_s + backup.within_s
    return rule.Copy(f"{name} by {task.name}", task.medium, task.offsite, age_s, within_s)


def gate(lab: Lab, ctx: Context) -> Iterator[Check]:
    """Three copies, two media, another place, for each guest as a whole.

    Parameters
    ----------
    lab, ctx
        The lab, and who gives its hosts.
    """
    copied: dict[tuple[str, str], list[rule.Copy]] = {}
    for backup in lab.backups.guests.values():
        for guest, copy in Guests(lab, backup).copies(ctx):
            copied.setdefault((backup.host, guest), []).append(copy)
    for (host, guest), copies in copied.items():
        yield kept(f"{guest} as a whole", f"the disks of {host}", copies)
