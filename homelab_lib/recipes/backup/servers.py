"""Proxmox Backup Servers of the lab: their datastores, what is done with these again and again, and
who may write into them."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import partial

from homelab_lib.control.backup_server import manager
from homelab_lib.control.backup_server.access import ROLE, BackupUser, MayBackUp, tokens
from homelab_lib.control.backup_server.datastore import Datastore
from homelab_lib.control.backup_server.jobs import Job
from homelab_lib.control.backup_server.notifications import MAIL, TROUBLE, Notifying
from homelab_lib.control.backup_server.state import (
    Collected,
    Room,
    collected,
    made_s,
    pruned,
    room,
    snapshots,
)
from homelab_lib.control.clock import clock_s
from homelab_lib.control.linux.timers import on_calendar
from homelab_lib.lab import Lab
from homelab_lib.lab.backup_server import BackupServer
from homelab_lib.lab.backup_server import Datastore as Described
from homelab_lib.lab.per_host import at, every
from homelab_lib.lab.storage import VmStorage
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted

_DAY_S = 86_400.0
_FULL = 0.80  # from here on it is full before anybody has bought a disk
_GRACE_MIN = 24 * 60 + 5  # what was touched within it is not removed
_LOOKS_LATE_D = 8.0  # a job that looks through all is given so long beyond its time


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The datastores that a phase makes, and the rights of the nodes that it lets back up to them.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    for server in lab.backup_servers.values():
        made = [s for s in server.datastores.values() if s.phase == phase and not s.exists]
        entered = [
            each
            for each in every(lab.storages)
            if each.phase == phase and not each.exists and lab.backup_server_of(each) is server
        ]
        before: tuple[str, ...] = ()
        if made:
            yield _installed(server)
            before = (f"server-{server.name}",)
        if made and server.mail_to is not None:
            yield from _heard(lab, server, server.mail_to, before)
        for store in made:
            yield _datastore(lab, server, store, before)
        there = {f"datastore-{store.name}" for store in made}
        for token in dict.fromkeys(each.username or "" for each in entered):
            here = [each for each in entered if each.username == token]
            yield from _access(lab, server, token, here, there)


def entry_of(storage: VmStorage) -> str:
    """The step after which a node may enter a datastore of one of the lab's own servers."""
    return f"rights-{_plain(storage.username or '')}"


def _plain(token: str) -> str:
    """A token's name as a part of a step's."""
    return token.replace("@", "-").replace("!", "-").replace(".", "-").lower()


def _installed(server: BackupServer) -> Step:
    def verify(ctx: Context) -> Check:
        said = ctx.host(server.name).read(
            "dpkg-query", "-W", "-f", "${Version}", "proxmox-backup-server", ok=(0, 1)
        )
        there = not said.exit_status and bool(said.stdout)
        title = f"Proxmox Backup Server is installed on {server.name}"
        return Check(title, there, said.stdout if there else "it is not", looks_at="written")

    return Step(
        f"server-{server.name}",
        f"Install Proxmox Backup Server on {server.name}",
        why="It is installed from an image of its own, or onto a Debian: an installer asks "
        "questions that only a person answers. A disk or a share for its datastores is mounted "
        "then, too: what is backed up shall not lie with what it is a backup of.",
        manual=Manual(
            f"install Proxmox Backup Server on {server.name}, and mount what its datastores lie on:"
            + "".join(
                f"\n    {s.share or 'a disk'} at {s.path}" for s in server.datastores.values()
            ),
            verify=verify,
        ),
    )


def _heard(lab: Lab, server: BackupServer, whom: str, needs: tuple[str, ...]) -> Iterator[Step]:
    sends = Notifying(server.name, "endpoint sendmail", (("mailto", whom),), lab.name)
    chosen = (("match-severity", TROUBLE), ("target", MAIL))
    yield Step(
        f"heard-{server.name}",
        f"Have {server.name} write to {whom} when a job fails",
        why="Pruning, verifying and garbage collection fail in silence, and a datastore that is "
        "full or broken is found when something is to come back from it. What went well is not "
        "sent: mail that comes each night is not read.",
        needs=needs,
        ensure=lambda ctx: iter([sends, Notifying(server.name, "matcher", chosen, lab.name)]),
    )
    yield Step(
        f"heard-{server.name}-tried",
        f"See that mail from {server.name} arrives",
        why="The server hands it to the machine's own mailer, and knows nothing of what becomes "
        "of it: many a provider takes no mail from a house.",
        needs=(f"heard-{server.name}",),
        manual=Manual(
            f"on {server.name}: proxmox-backup-manager notification target test {MAIL}\n    and "
            f"look whether {whom} has got it; if not, let its mailer (postfix) send by a provider"
        ),
    )


def _datastore(lab: Lab, server: BackupServer, store: Described, needs: tuple[str, ...]) -> Step:
    made = Datastore(
        server.name, store.name, store.path, _sources(lab, store), on_calendar(store.gc),
        store.tuning.text, lab.name, server.mail_to is not None,
    )  # fmt: skip
    keep = tuple((f"keep-{name}", str(n)) for name, n in sorted(store.keep.counts.items()))
    again = (("ignore-verified", "true"), ("outdated-after", str(store.verify_again_days)))
    prune, verify = on_calendar(store.prune), on_calendar(store.verify)
    wanted: list[Wanted] = [
        made,
        Job(server.name, "prune", store.name, prune, keep, lab.name),
        Job(server.name, "verify", store.name, verify, again, lab.name),
    ]
    return Step(
        f"datastore-{store.name}",
        f"Make datastore {store.name} on {server.name}",
        why=f"Backups lie in {store.path} as chunks that they share, so only the server can forget "
        "some: it does that by a job, removes the chunks that nobody uses any more by another, and "
        "reads all of it again and again to see that it can be read. A folder in which something "
        "lies is never taken. To make one takes seconds on a disk, and minutes over NFS: 65,536 "
        "folders. Whether access times move there, by which it knows what is used, the server "
        "tries itself.",
        needs=needs,
        ensure=lambda ctx: iter(wanted),
    )


def _sources(lab: Lab, store: Described) -> tuple[str, ...]:
    """What of NFS is to be mounted, by each address of who exports it."""
    share = at(lab.nfs_shares, store.share) if store.share else None
    if share is None:
        return ()
    return tuple(f"{address}:{share.path}" for address in lab.addresses(share.host))


def _access(
    lab: Lab, server: BackupServer, token: str, entered: list[VmStorage], there: Collection[str]
) -> Iterator[Step]:
    user = token.partition("!")[0]
    host, end = server.name, _plain(token)
    stores = tuple(dict.fromkeys(each.datastore or "" for each in entered))
    made = tuple(f"datastore-{name}" for name in stores if f"datastore-{name}" in there)
    yield Step(
        f"user-{_plain(user)}",
        f"Have {user} known to {host}",
        why="He has no password: he comes by a token, which can be taken from him alone.",
        ensure=lambda ctx: iter([BackupUser(host, user, lab.name)]),
    )
    reference = next((each.password for each in entered if each.password), "a secret's reference")

    def verify(ctx: Context) -> Check:
        known = tokens(ctx.host(host), user)
        says = "it is not" if token not in known else f"it {known[token] or 'is'}"
        return Check(f"token {token} is known to {host}", known.get(token) == "", says)

    yield Step(
        f"token-{end}",
        f"Make token {token}",
        why="The server shows a token's secret once and never again. So a person makes it, and "
        f"puts the secret where the lab looks for it: {reference}.",
        needs=(f"user-{_plain(user)}",),
        manual=Manual(
            f"on {host}: proxmox-backup-manager user generate-token {user} "
            f"{token.partition('!')[2]}\n    and keep its value as {reference}",
            verify=verify,
        ),
    )
    yield Step(
        f"rights-{end}",
        f"Let {token} back up to {', '.join(stores)}, and forget nothing",
        why=f"{ROLE} writes backups and reads one's own. It is granted to the user and to his "
        "token, which never has more than he has. What whoever holds the token could forget stops "
        "this step.",
        needs=(*made, f"token-{end}"),
        ensure=lambda ctx: iter([MayBackUp(host, name, (user, token)) for name in stores]),
        check=partial(_known_by, host, entered),
    )


def _known_by(host: str, entered: list[VmStorage], ctx: Context) -> Iterator[Check]:
    """The server shows the certificate that the lab knows it by."""
    for each in entered:
        if each.fingerprint:
            shown = manager.fingerprint(ctx.host(host))
            same = shown == each.fingerprint.lower()
            says = shown if same else f"{shown}, in the lab {each.fingerprint.lower()}"
            yield Check(f"{host} has the certificate that {each.name} knows it by", same, says)


# Health ------------------------------------------------------------------------------------------


def looks(lab: Lab, phases: Collection[int]) -> Iterator[Step]:
    """What `health` looks at of datastores: how full, and what came of their jobs.

    Parameters
    ----------
    lab, phases
        The lab, and the numbers of the phases that are done.
    """
    for server in lab.backup_servers.values():
        there = [s for s in server.datastores.values() if s.exists or s.phase in phases]
        if there:
            yield Step(
                f"datastores-{server.name}",
                f"Datastores of {server.name}",
                why="A datastore fills while all backups are green, and a chunk that went bad "
                "takes each backup with it that uses it: only who reads them all hears of it.",
                check=partial(_looked_at, server, there),
            )


def _looked_at(server: BackupServer, stores: list[Described], ctx: Context) -> Iterator[Check]:
    host = ctx.host(server.name)
    now_s, ran = clock_s(host), collected(host)
    for store in stores:
        last = ran.get(store.name, Collected(None, ""))
        yield _has_room(store, room(host, store.name), last)
        since_s = now_s - (last.ended_s or made_s(host, store.path))
        late = since_s > store.gc_within_days * _DAY_S
        says = f"{since_s / _DAY_S:.0f} days ago: {last.state}" if last.ended_s else "not yet"
        well = not late and (last.ended_s is None or last.well)
        if not well:
            says += f"; `proxmox-backup-manager garbage-collection start {store.name}` says why"
        yield Check(f"what nobody uses of {store.name} was removed", well, says)
        yield _forgets(store, pruned(host, store.name))
        every_one = snapshots(host, store.name)
        broken = [each.name for each in every_one if each.verified == "failed"]
        says = (
            f"{', '.join(sorted(set(broken)))}: forget these and back up anew; if it comes again "
            "the disk under it fails: replace it"
        )
        says = says if broken else f"of {len(every_one)}"
        yield Check(f"no backup in datastore {store.name} is broken", not broken, says)
        due_s = (store.verify_again_days + _LOOKS_LATE_D) * _DAY_S
        unseen = [e.name for e in every_one if not e.verified and now_s - e.made_s > due_s]
        says = f"never: {', '.join(sorted(set(unseen)))}; see its verify job" if unseen else ""
        yield Check(f"backups in datastore {store.name} were looked through", not unseen, says)


def _forgets(store: Described, jobs: dict[str, Collected]) -> Check:
    """A job that fails leaves all that is too old, until the datastore is full."""
    bad = [f"{name}: {last.state}" for name, last in jobs.items() if last.ended_s and not last.well]
    says = "; ".join(bad) or ", ".join(jobs) or "no job does"
    if bad:
        says += "; its task's log on the server says why"
    title = f"what is too old in datastore {store.name} was forgotten the last time"
    return Check(title, not bad, says)


def _has_room(store: Described, there: Room, last: Collected) -> Check:
    """What is forgotten is free a day later only: that is said before anybody buys a disk."""
    used, pending = there.share(there.used_bytes), there.share(last.pending_bytes)
    says = f"{used:.0%} are taken"
    if used >= _FULL and pending and last.ended_s is not None:
        grace_s = 60.0 * (store.tuning.gc_atime_cutoff_minutes or _GRACE_MIN)
        free = datetime.fromtimestamp(last.ended_s + grace_s, UTC)
        says += (
            f", {pending:.0%} by chunks that no backup uses: garbage collection removes them in a "
            f"run after {free:%Y-%m-%d %H:%M} UTC; delete none by hand"
        )
    if used >= _FULL and used - pending >= _FULL:
        says += (
            "; keep fewer, or give it more room: what is full takes none, and what is forgotten "
            "is free after a day and a second garbage collection"
        )
    return Check(f"datastore {store.name} has room", used < _FULL, says)
