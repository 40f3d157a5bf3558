"""What each call of an OPNsense rests on.

`validator`: the verdicts of the release's own controllers and models are compared, document by
document. `source`: what was read in its controllers, and held against transcripts of them.
"""

from collections.abc import Iterator

from homelab_lib.twin.fidelity import Fidelity, Grounds

_READ = "its controllers"
_BACKUP = ("backups/{host}", "download/{host}", "download/{host}/{id}", "diff/{host}/{a}/{b}")


def _grounds() -> Iterator[Grounds]:
    for call in (*_BACKUP, "providers"):
        yield Grounds(f"GET /api/core/backup/{call}", Fidelity.SOURCE, _READ)
    for call in ("revertBackup/{id}", "deleteBackup/{id}"):
        yield Grounds(f"POST /api/core/backup/{call}", Fidelity.SOURCE, _READ)


GROUNDS: tuple[Grounds, ...] = tuple(_grounds())
