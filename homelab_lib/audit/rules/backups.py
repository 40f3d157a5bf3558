"""Copies as they are described: enough of them, apart from each other, and tried once."""

from collections.abc import Iterator

from homelab_lib.audit.finding import Finding, Fix
from homelab_lib.audit.rules import rule
from homelab_lib.lab.archives import archives_copied, only_archives
from homelab_lib.lab.backups import FileBackup
from homelab_lib.lab.lab import Lab
from homelab_lib.models.copies import Copy, standing
from homelab_lib.wiring.carried_on import backups_carried_on, carried_on

_HOUR_S = 3600.0

Group = tuple[str, list[Copy]]
"""The first record that says so, and the copies, each as it will be."""


def _described(lab: Lab) -> dict[tuple[str, str], Group]:
    """By machine and folder."""
    found: dict[tuple[str, str], Group] = {}
    archives = only_archives(lab)
    for name, each in lab.backups.files.items():
        if name in archives:
            continue
        key = (each.machine, ", ".join(each.paths))
        found.setdefault(key, (f"backups.files.{name}", []))[1].append(_by_restic(lab, each))
    of_guests = backups_carried_on(lab)
    for host, nas in lab.nas.items():
        for name, task in nas.cloud_tasks.items():
            if task.direction == "PUSH" and (host, name) not in of_guests:
                copy = Copy(name, task.credential, True, 0.0, task.within_hours * _HOUR_S)
                key = (host, task.path or f"/mnt/{task.dataset}")
                found.setdefault(key, (f"nas.{host}.cloud_tasks.{name}", []))[1].append(copy)
    return found


def _by_restic(lab: Lab, backup: FileBackup) -> Copy:
    place = lab.backups.repositories[backup.repository]
    within_s = backup.within_hours * _HOUR_S
    return Copy(backup.name, place.medium, place.offsite, 0.0, within_s)


def _whole(lab: Lab) -> dict[tuple[str, str], Group]:
    """By host and guests that are backed up together; a NAS or restic may copy on what they are."""
    guests: dict[tuple[str, str], Group] = {}
    for name, each in lab.backups.guests.items():
        within_s = each.within_hours * _HOUR_S
        copies = [Copy(name, each.medium, each.offsite, 0.0, within_s)]
        for _, task in carried_on(lab, each.host, each.storage):
            copies.append(Copy(task.name, task.credential, True, 0.0, within_s))
        copies += [_by_restic(lab, on) for on in archives_copied(lab, each.host, each.storage)]
        for guest in each.guests:
            subject = f"backups.guests.{name}"
            guests.setdefault((each.host, guest), (subject, []))[1].extend(copies)
    together: dict[tuple[str, str], list[str]] = {}
    for (host, guest), (subject, copies) in guests.items():
        kept = ", ".join(copy.name for copy in copies)
        together.setdefault((host, f"{subject} {kept}"), []).append(guest)
    return {
        (host, f"{', '.join(names)} as a whole"): guests[host, names[0]]
        for (host, _), names in together.items()
    }


@rule("fewer-than-three-copies")
def three_copies(lab: Lab) -> Iterator[Finding]:
    """Data with fewer than three copies, or with all of them on one medium or in the house."""
    for (machine, paths), (subject, copies) in (_described(lab) | _whole(lab)).items():
        how = standing(f"the disks of {machine}", copies)
        if how.missing:
            yield Finding(
                "fewer-than-three-copies",
                "risks",
                subject,
                f"Of {paths} on {machine} there are {how.missing}: what takes the house, or one "
                "medium, may take the last.",
                how.copies,
                "copies",
                tuple(f"{copy.name}: {copy.medium}" for copy in copies),
                Fix("another copy, in another place, on another medium"),
            )


@rule("key-on-no-paper")
def keys_on_paper(lab: Lab) -> Iterator[Finding]:
    """A repository whose key is only where the fire is."""
    for name, each in lab.backups.repositories.items():
        if not each.paper:
            yield Finding(
                "key-on-no-paper",
                "risks",
                f"backups.repositories.{name}",
                f"Nobody has the key to {name} on paper: it lies on the machines that are to be "
                "brought back by it.",
                fix=Fix("write it down, and say under paper who keeps it"),
            )
    for host, stores in lab.storages.items():
        for store in stores.values():
            if store.kind == "pbs" and store.encrypted and not store.paper:
                yield Finding(
                    "key-on-no-paper",
                    "risks",
                    f"storages.{host}.{store.name}",
                    f"Nobody has the key to {store.name} on paper: it lies on {host}, which is to "
                    "be brought back by it.",
                    fix=Fix("write it down, and say under paper who keeps it"),
                )


@rule("copy-never-brought-back")
def drilled(lab: Lab) -> Iterator[Finding]:
    """Folders that are copied, and from no copy of which a drill brings anything back."""
    names = [each.backup for each in lab.backups.drills.values()]
    names += [each.backup for each in lab.backups.claim_drills.values()]
    names += [each.carried_by for each in lab.backups.guest_drills.values() if each.carried_by]
    tried = [lab.backups.files[name] for name in names]
    places = {(each.machine, each.paths) for each in tried}
    for name, each in lab.backups.files.items():
        if (each.machine, each.paths) not in places:
            yield Finding(
                "copy-never-brought-back",
                "risks",
                f"backups.files.{name}",
                f"{', '.join(each.paths)} of {each.machine} goes to {each.repository}, and no "
                "drill brings anything back from there.",
                fix=Fix("a drill of it, under backups.drills"),
            )
    restored = {each.backup for each in lab.backups.guest_drills.values()}
    for name, guests in lab.backups.guests.items():
        if name not in restored:
            kept = "is" if len(guests.guests) == 1 else "are"
            yield Finding(
                "copy-never-brought-back",
                "risks",
                f"backups.guests.{name}",
                f"{', '.join(guests.guests)} {kept} backed up to {guests.storage}, and no drill "
                "restores one of them.",
                fix=Fix("a drill of one, under backups.guest_drills"),
            )
