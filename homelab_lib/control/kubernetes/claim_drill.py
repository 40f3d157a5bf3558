"""A drill of a claim: what a copy has of it is restored into a claim of its own, and compared.

The living claim is only read. Beside it stands, for some minutes, another one of the same class and
size, in a namespace of its own and on the same node, whose folder was empty before; into that the
copy goes, whole, and files picked by a seed are compared with those that are there. Then it is
deleted, and its folder with it.

Sources: rancher/local-path-provisioner v0.0.32 (provisioner.go: the folder's name, ``hostPath`` or
``local``, reclaim policy Delete); restic 0.18's documentation (050_restore).
"""

from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.kubernetes.kubectl import KUBECTL, get
from homelab_lib.control.kubernetes.objects import is_ours
from homelab_lib.control.linux.drills import BEGIN, COPY, FOLDER, NOTE, ROOM, is_held, last_held
from homelab_lib.control.linux.restic import Access, tags
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.transport.command import change

SPACE = "homelab-drill"
DRILL = "homelab/drill"
"""The label of what a drill makes: its name. Nothing without it is deleted."""
_CLAIM: Shape = {
    "spec": {
        "volumeName?": str,
        "storageClassName?": str,
        "accessModes": [str],
        "resources": {"requests": {"storage": str}},
    }
}
_EXPRESSION: Shape = {"key": str, "values?": [str]}
_VOLUME: Shape = {
    "spec": {
        "hostPath?": {"path": str},
        "local?": {"path": str},
        "nodeAffinity?": {
            "required?": {"nodeSelectorTerms": [{"matchExpressions?": [_EXPRESSION]}]}
        },
    }
}
_LABELLED: Shape = {"metadata": {"name": str, "labels?": {str: str}}}

# After what every drill begins with: $1 the living one's folder, $2 how that of the other ends,
# whose number nobody knows before it is made; then restic.
_RESTORE = (
    'old="$1" end="_homelab-drill_$2" new=; shift 2; '
    '[ -d "$old" ] || { echo "there is no $old" >&2; exit 1; }; '
    'for f in "${old%/*}"/pvc-*"$end"; do [ -z "$new" ] || { '
    'echo "there are two folders of $end" >&2; exit 1; }; new="$f"; done; '
    '[ -d "$new" ] && [ -z "$(ls -A "$new")" ] || { '
    'echo "$new is not there, or not empty" >&2; exit 1; }; '
)
# It is there twice for a moment, beside the living one, whose files come and go meanwhile.
_HAS_ROOM = (
    'find "$old" -type f -exec stat -c %s -- {} + > "$d/list" 2> "$d/why" || true; need=0; '
    'while read -r size; do need=$((need + size)); done < "$d/list"; ' + ROOM +
    '[ "$((need / 512))" -lt "$room" ] || { echo "it takes $((need / 512)) KiB for some minutes, '
    'and ${d%/*} has $room KiB free: make room" >&2; exit 1; }; '
)  # fmt: skip
_COMPARE = (
    'if "$@" restore "$snap" --include "$old" --target "$d/all" > "$d/out" 2> "$d/why"; then '
    '[ -d "$d/all$old" ] || { echo "copy $snap has nothing of $old" >&2; exit 1; }; '
    'cp -a -- "$d/all$old/." "$new/"; (cd "$new"; find . -type f) | sort > "$d/list"; '
    'n=$(wc -l < "$d/list"); [ "$n" -gt 0 ] || { '
    'echo "copy $snap holds no file of $old" >&2; exit 1; }; '
    '[ "$want" -le "$n" ] || want=$n; i=0; '
    'while [ "$i" -lt "$want" ]; do k=$(( (seed + i * n / want) % n + 1 )); i=$((i + 1)); '
    'line=$(sed -n "${k}p" "$d/list"); p="${line#./}"; then=$(stat -c "%s %Y" -- "$new/$p"); '
    'now=$(stat -c "%s %Y" -- "$old/$p" 2> "$d/why" || true); '
    'if [ "$now" != "$then" ]; then echo "changed $p" >> "$d/said"; '
    'elif [ "$(sha256sum < "$new/$p")" = "$(sha256sum < "$old/$p")" ]; then '
    'echo "same $p" >> "$d/said"; else echo "differs $p" >> "$d/said"; fi; done; '
    'else cat "$d/why" >&2; echo "lost the whole claim" >> "$d/said"; fi; '
)


@dataclass(frozen=True)
class Place:
    """Where a claim's data lie.

    Parameters
    ----------
    node, path
        The node, and the folder on it.
    storage_class, size
        Its class, and how much it asks for.
    """

    node: str
    path: str
    storage_class: str
    size: str


def place_of(host: Host, namespace: str, claim: str) -> Place:
    """Where the data of a claim lie that is a folder of a node.

    Raises
    ------
    StepFailed
        There is no such claim, or it is no folder of one node.
    """
    called = f"claim {namespace}/{claim}"
    found = get(host, "persistentvolumeclaim", claim, namespace, shape=_CLAIM)
    if found is None or not found["spec"].get("volumeName"):
        raise StepFailed(
            f"there is no {called}" if found is None else f"{called} has no volume yet",
            where=f"{host.name}: {called}",
            fix="say in the lab which claim is to be restored; kubectl get pvc -A lists them",
        )
    spec = found["spec"]
    volume = get(host, "persistentvolume", spec["volumeName"], shape=_VOLUME)
    kept = volume["spec"] if volume else {}
    path = kept.get("hostPath", kept.get("local", {})).get("path", "")
    terms = kept.get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ())
    nodes = [
        name
        for term in terms
        for each in term.get("matchExpressions", ())
        if each["key"] == "kubernetes.io/hostname"
        for name in each.get("values", ())
    ]
    if not path or len(nodes) != 1:
        raise StepFailed(
            f"{called} is no folder of one node",
            where=f"{host.name}: {called}",
            fix="what lies on a NAS is copied by the NAS and brought back from there: drill that "
            "as a copy of its dataset",
        )
    size = spec["resources"]["requests"]["storage"]
    return Place(nodes[0], path, spec.get("storageClassName", ""), size)


@dataclass(frozen=True)
class ClaimDrill:
    """A claim that was restored beside the living one and found whole, not longer ago than was
    promised.

    Parameters
    ----------
    host, drill
        The node, and the drill's name.
    access
        The repository.
    lab, backup
        What its copies are tagged with.
    claim
        Which, for people.
    living, beside
        The folder of the living one, and the name of the other claim in `SPACE`.
    files, seed
        How many files are compared, and by which number they are picked.
    within_s
        How long ago the last one may be [s].
    """

    host: str
    drill: str
    access: Access
    lab: str
    backup: str
    claim: str
    living: str
    beside: str
    files: int
    seed: int
    within_s: float
    timeout_s: float = 3600.0

    @property
    def name(self) -> str:
        return f"drill {self.drill}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What came of the last one, and how long ago it was."""
        return last_held(host, self.drill)

    def diff(self, observed: dict[str, Any]) -> Diff:
        if is_held(observed, self.within_s):
            return Diff()
        call = change(
            *("sh", "-c", BEGIN + _RESTORE + _HAS_ROOM + COPY + _COMPARE + NOTE, "sh"),
            *(f"{FOLDER}/{self.drill}.claim", f"{FOLDER}/{self.drill}", str(self.seed)),
            *(str(self.files), tags(self.lab, self.backup), self.living, self.beside),
            *self.access.words(),
            sudo=True,
            timeout_s=self.timeout_s,
        )
        what = f"restore {self.claim} of {self.backup} beside it, and compare {self.files} files"
        undo = f"{NOTHING_TO_UNDO}: it goes into a claim of its own, which is deleted below"
        return Diff((Change(what, call, detached=True, undo=undo),))


@dataclass(frozen=True)
class Removed:
    """A claim of a drill that is not there any more, nor the job that has opened it.

    Parameters
    ----------
    host, lab
        The server, and the lab whose they are.
    claim
        Their name, in `SPACE`.
    before
        Whether that is what an earlier drill has left.
    """

    host: str
    lab: str
    claim: str
    before: bool = False
    timeout_s: float = 180.0

    @property
    def name(self) -> str:
        return f"claim {self.claim} gone" + (", left from before" if self.before else "")

    def observe(self, host: Host) -> dict[str, str]:
        """Whose the claim and the job are: ``ours``, ``theirs``; those that are not there not."""
        found = {}
        for kind in ("job", "persistentvolumeclaim"):
            there = get(host, kind, self.claim, SPACE, shape=_LABELLED)
            if there is not None:
                labels = there["metadata"].get("labels", {})
                ours = is_ours(labels, self.lab) and labels.get(DRILL) == self.claim
                found[kind] = "ours" if ours else "theirs"
        return found

    def diff(self, observed: dict[str, str]) -> Diff:
        if "theirs" in observed.values():
            what = " and ".join(kind for kind, whose in observed.items() if whose == "theirs")
            return Diff(
                conflict=f"{what} {SPACE}/{self.claim} is there, and we did not make it for lab "
                f"{self.lab} and this drill: look at it, and delete it by hand"
            )
        return Diff(tuple(self._removed(kind) for kind in observed))

    def _removed(self, kind: str) -> Change:
        call = change(*KUBECTL, "delete", kind, self.claim, "-n", SPACE, "--ignore-not-found",
                      sudo=True, timeout_s=self.timeout_s)  # fmt: skip
        if kind == "job":
            undo = f"{NOTHING_TO_UNDO}: it has done its work"
            return Change(f"delete job {SPACE}/{self.claim}", call, undo=undo)
        called = removed(self.claim)
        undo = f"{NOT_UNDONE}: it was a copy, and the backup that it came from stays"
        return Change(f"delete {called} and its folder", call, destroys=(called,), undo=undo)


def removed(claim: str) -> str:
    """What the claim of a drill is called in plans."""
    return f"claim {SPACE}/{claim}"
