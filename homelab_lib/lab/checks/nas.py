"""What NASes are told: users that aren't, tasks on nothing, copies that would delete."""

from collections.abc import Iterator

from homelab_lib.lab.accounts import NasUser
from homelab_lib.lab.checks.addresses import ip, of_host
from homelab_lib.lab.checks.fault import Fault, each_known, twice, unknown
from homelab_lib.lab.checks.linux_nas import is_linux, to_be_made
from homelab_lib.lab.document import Steps
from homelab_lib.lab.host import LINUX
from homelab_lib.lab.iscsi import Iscsi, IscsiPortal
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.nas import Nas, NfsService, SmbService

_BUILT_IN: dict[str, dict[str, tuple[str, ...]]] = {
    "truenas": {
        "user": ("root", "nobody", "truenas_admin", "apps"),
        "group": ("root", "nogroup", "truenas_admin", "apps", "builtin_administrators",
                  "builtin_users"),
    },
    "linux": {"user": ("root", "nobody"), "group": ("root", "nogroup")},
}  # fmt: skip
"""Whom a fresh machine knows to whom files may be given: TrueNAS's own, and those of Debian."""

_ALL_ADDRESSES = ("0.0.0.0", "::")
_CALLED = {"portal": "portal", "initiators": "list of initiators", "auth": "login by CHAP"}


def faults(lab: Lab) -> Iterator[Fault]:
    for name, nas in lab.nas.items():
        path = ("nas", name)
        if name not in lab.hosts:
            yield unknown(path, name, lab.hosts, "host")
            continue
        yield from _set_up_by_nobody(path, nas, lab)
        yield from _accounts(path, nas, lab)
        yield from _access(path, nas, lab)
        yield from _tasks(path, nas, lab)
        yield from _cloud(path, nas, lab)
        for field, service in (("smb", nas.smb), ("nfs", nas.nfs)):
            if service is not None:
                yield from _listens((*path, field), service, name, lab)
        if nas.apps_pool is not None and nas.apps_pool not in _pools(lab, name):
            yield unknown((*path, "apps_pool"), nas.apps_pool, _pools(lab, name), f"pool of {name}")
        if nas.iscsi is not None:
            yield from _iscsi((*path, "iscsi"), nas.iscsi, name, lab)
        for key, command in nas.commands.items():
            yield from _who((*path, "commands", key, "user"), f"user:{command.user}", nas, lab)
        for key, test in nas.smart_tests.items():
            disks = lab.hosts[name].disks
            here = (*path, "smart_tests", key, "disks")
            yield from each_known(here, test.disks, disks, f"disk of {name}")


def _set_up_by_nobody(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    """What is to be made on a system that no runbook sets up as a NAS."""
    system = lab.system(nas.name)
    if system is not None and system.kind not in ("truenas", *LINUX):
        for where in to_be_made(path, nas):
            what = f"no runbook sets up {system.kind} as a NAS"
            yield Fault(where, f"{what}: do it by hand there, and say exists: true")


def _pools(lab: Lab, host: str) -> list[str]:
    return list(lab.pools.get(host, {}))


def _datasets(lab: Lab, host: str) -> list[str]:
    return list(lab.datasets.get(host, {}))


def _shares(lab: Lab, host: str) -> list[str]:
    return list(lab.smb_shares.get(host, {}))


# Accounts ----------------------------------------------------------------------------------------


def _accounts(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    for name, user in nas.users.items():
        here = (*path, "users", name)
        if user.group is not None:
            yield from _who((*here, "group"), f"group:{user.group}", nas, lab)
        for index, group in enumerate(user.groups):
            yield from _who((*here, "groups", index), f"group:{group}", nas, lab)
        yield from _login(here, user)
        if name in nas.groups and user.group is None:
            what = f"group {name!r} is described apart; write group: {name}, or leave that out"
            yield Fault(here, what)
    uids = (((*path, "users", n, "uid"), user.uid) for n, user in nas.users.items())
    yield from twice(uids, "the number")
    gids = (((*path, "groups", n, "gid"), group.gid) for n, group in nas.groups.items())
    yield from twice(gids, "the number")


def _login(path: Steps, user: NasUser) -> Iterator[Fault]:
    if user.smb and user.password is None and not user.exists and not user.locked:
        what = "it is for Windows shares, which take a password only; say where that is kept"
        yield Fault(path, f"{what}: password: env:NAME")
    if user.ssh_password and user.password is None and not user.exists:
        yield Fault((*path, "ssh_password"), "it has no password")


def _who(path: Steps, who: str, nas: Nas, lab: Lab) -> Iterator[Fault]:
    kind, colon, name = who.partition(":")
    if not colon:
        return
    linux = is_linux(lab, nas.name)
    built_in = _BUILT_IN["linux" if linux else "truenas"][kind]
    own = [user.name for user in nas.users.values() if user.group is None]
    known = [*nas.users, *built_in] if kind == "user" else [*nas.groups, *own, *built_in]
    if name in known:
        return
    if linux and name in _BUILT_IN["truenas"][kind]:
        what = f"a TrueNAS has the {kind} {name!r} by itself, and a plain Linux has not; describe "
        yield Fault(path, f"{what}it under nas.{nas.name}.{kind}s, or name another", name)
    else:
        yield unknown(path, name, known, kind)


def _access(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    datasets, shares = _datasets(lab, nas.name), _shares(lab, nas.name)
    for name, acl in nas.acls.items():
        here = (*path, "acls", name)
        if name not in datasets and not (name.startswith("/") and is_linux(lab, nas.name)):
            yield unknown(here, name, datasets, f"dataset of {nas.name}")
        if acl.owner is not None:
            yield from _who((*here, "owner"), f"user:{acl.owner}", nas, lab)
        if acl.group is not None:
            yield from _who((*here, "group"), f"group:{acl.group}", nas, lab)
        for index, entry in enumerate(acl.entries):
            yield from _who((*here, "entries", index, "who"), entry.who, nas, lab)
        said = (acl.preset, acl.entries, acl.owner, acl.group, acl.mode)
        if not any(said):
            what = "a mode" if is_linux(lab, nas.name) else "a preset or entries"
            yield Fault(here, f"it says nothing; name an owner, a group, {what}")
        if acl.traverse and not acl.recursive:
            yield Fault((*here, "traverse"), "it goes with recursive: true")
    for name, share in nas.share_acls.items():
        here = (*path, "share_acls", name)
        if name not in shares:
            yield unknown(here, name, shares, f"SMB share of {nas.name}")
        for index, each in enumerate(share.entries):
            yield from _who((*here, "entries", index, "who"), each.who, nas, lab)


# Tasks -------------------------------------------------------------------------------------------


def _tasks(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    pools, datasets = _pools(lab, nas.name), _datasets(lab, nas.name)
    for name, task in nas.snapshot_tasks.items():
        here = (*path, "snapshot_tasks", name)
        if task.dataset not in (*pools, *datasets):
            known = [*pools, *datasets]
            yield unknown((*here, "dataset"), task.dataset, known, f"pool or dataset of {nas.name}")
        below = [each for each in datasets if each.startswith(f"{task.dataset}/")]
        yield from each_known((*here, "exclude"), task.exclude, below, "dataset in it")
        if task.exclude and not task.recursive:
            yield Fault((*here, "exclude"), "nothing is left out where recursive is false")
        if task.begin > task.end:
            yield Fault((*here, "end"), f"{task.end} is before {task.begin}")
    keys = (
        ((*path, "snapshot_tasks", name), f"{task.dataset} {task.naming_schema} {task.schedule}")
        for name, task in nas.snapshot_tasks.items()
    )
    yield from twice(keys, "the task on")
    for name in nas.scrubs:
        if name not in pools:
            yield unknown((*path, "scrubs", name), name, pools, f"pool of {nas.name}")


def _cloud(path: Steps, nas: Nas, lab: Lab) -> Iterator[Fault]:
    datasets = _datasets(lab, nas.name)
    for name, task in nas.cloud_tasks.items():
        here = (*path, "cloud_tasks", name)
        if task.dataset not in datasets:
            yield unknown((*here, "dataset"), task.dataset, datasets, f"dataset of {nas.name}")
        elif task.path and not f"{task.path}/".startswith(f"/mnt/{task.dataset}/"):
            what = f"{task.path} isn't in dataset {task.dataset!r}, which is at /mnt/{task.dataset}"
            yield Fault((*here, "path"), what)
        if task.credential not in nas.cloud_credentials:
            known = nas.cloud_credentials
            yield unknown((*here, "credential"), task.credential, known, "login")
        if task.mode == "SYNC" and task.least_files is None:
            what = "SYNC deletes at the far end what is missing here, and a dataset that isn't "
            what += "mounted looks empty: write mode: COPY, or say least_files"
            yield Fault((*here, "mode"), what)
        if task.snapshot and task.direction == "PULL":
            yield Fault((*here, "direction"), "a copy into the house takes no snapshot: snapshot: "
                        "false")  # fmt: skip
        if task.encryption_password is None and (task.encryption_salt or task.encrypt_names):
            yield Fault(here, "it isn't encrypted; write encryption_password, too")


# iSCSI -------------------------------------------------------------------------------------------


def _listens(
    path: Steps,
    what: SmbService | NfsService | IscsiPortal,
    host: str,
    lab: Lab,
    every: tuple[str, ...] = (),
) -> Iterator[Fault]:
    """A service answers at addresses of its own host, as far as these are known; `every` are words
    for all of them. A TrueNAS binds none to what DHCP gave it."""
    described = lab.hosts[host]
    own = [str(ip(cidr)) for _, cidr in of_host(host, described)]
    if not any(each.automatic for each in described.attached.values()):
        yield from each_known((*path, "listen"), what.listen, [*own, *every], f"address of {host}")
    elif described.os.kind == "truenas" and what.phase is not None:
        all_of_them = f"write {every[0]}" if every else "leave it out"
        for index, each in enumerate(what.listen):
            if each not in (*own, *every):
                why = "TrueNAS binds a service only to what was given to a port by hand, not by "
                why += f"DHCP: write {each} at a port of {host}, or {all_of_them} for all of them"
                yield Fault((*path, "listen", index), why)


def _iscsi(path: Steps, iscsi: Iscsi, host: str, lab: Lab) -> Iterator[Fault]:
    for name, portal in iscsi.portals.items():
        yield from _listens((*path, "portals", name), portal, host, lab, _ALL_ADDRESSES)
    pools = _pools(lab, host)
    for name, extent in iscsi.extents.items():
        here = (*path, "extents", name)
        if (extent.zvol is None) == (extent.file is None):
            yield Fault(here, "an extent is a zvol or a file, one of them")
        elif extent.zvol and (pool := extent.zvol.partition("/")[0]) not in pools:
            yield unknown((*here, "zvol"), pool, pools, f"pool of {host}")
    lent: list[tuple[Steps, str]] = []
    for name, target in iscsi.targets.items():
        here = (*path, "targets", name)
        for field, known in (
            ("portal", iscsi.portals),
            ("initiators", iscsi.initiators),
            ("auth", iscsi.auths),
        ):
            wanted = getattr(target, field)
            if wanted is not None and wanted not in known:
                yield unknown((*here, field), wanted, known, _CALLED[field])
        for lun, extent in target.extents.items():
            if extent not in iscsi.extents:
                yield unknown((*here, "extents", lun), extent, iscsi.extents, "extent")
            lent.append(((*here, "extents", lun), extent))
        if target.initiators is None and not target.networks:
            what = "everyone could log in; name initiators, or networks it is reached from"
            yield Fault(here, what)
    yield from twice(lent, "the extent")
