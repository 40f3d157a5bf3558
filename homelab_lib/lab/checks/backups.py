"""What copies say of other things: machines, repositories, and what is brought back."""

from collections.abc import Iterator

from homelab_lib.lab.checks.fault import Fault, twice, unknown
from homelab_lib.lab.lab import Lab


def faults(lab: Lab) -> Iterator[Fault]:
    kept = lab.backups
    places = ((("backups", "repositories", n, "url"), r.url) for n, r in kept.repositories.items())
    yield from twice(places, "the repository")
    for name, each in kept.files.items():
        path = ("backups", "files", name)
        if each.machine not in lab.machines():
            yield unknown((*path, "machine"), each.machine, lab.machines(), "machine we log in on")
        if each.repository not in kept.repositories:
            here = (*path, "repository")
            yield unknown(here, each.repository, kept.repositories, "repository")
        elif (each.phase or 0) < (kept.repositories[each.repository].phase or 0):
            what = f"repository {each.repository} is made by a later phase"
            yield Fault((*path, "phase"), what)
    for name, drill in kept.drills.items():
        path = ("backups", "drills", name)
        if drill.backup not in kept.files:
            yield unknown((*path, "backup"), drill.backup, kept.files, "copy of files")
            continue
        if drill.what == "etcd" and not any(
            p.endswith("/db/snapshots") for p in kept.files[drill.backup].paths
        ):
            folder = "/var/lib/rancher/k3s/server/db/snapshots"
            what = f"etcd's snapshots are in none of its paths: {folder}"
            yield Fault((*path, "backup"), what)
        place = kept.repositories.get(kept.files[drill.backup].repository)
        if drill.from_paper and place is not None and not place.offsite:
            what = f"{place.name} is in the house: what is lost with it is not brought back by it"
            yield Fault((*path, "from_paper"), what)
        if drill.from_paper and place is not None and place.kind != "s3":
            what = f"{place.name} is no s3: its login does not fit on a line of paper"
            yield Fault((*path, "from_paper"), what)
