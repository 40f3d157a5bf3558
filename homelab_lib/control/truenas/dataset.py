"""Datasets of a TrueNAS pool."""

from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import SCALAR, Shape
from homelab_lib.control import mark
from homelab_lib.control.truenas.midclt import call, changing
from homelab_lib.runbook.resource import Change, Diff, Host

_PROPERTY: Shape = {"rawvalue?": SCALAR, "value?": SCALAR, "source?": str}
_DATASETS: Shape = [
    {
        "type": str,
        "recordsize?": _PROPERTY,
        "quota?": _PROPERTY,
        "casesensitivity?": _PROPERTY,
        "comments?": _PROPERTY,
        "locked?": bool,
    }
]
_POOLS: Shape = [{"status": str}]
_RECORD_SIZES = {
    2**n: f"{2 ** (n - 10)}K" if n < 20 else f"{2 ** (n - 20)}M" for n in range(10, 25)
} | {512: "512"}


@dataclass(frozen=True)
class ZfsDataset:
    """A dataset.

    Parameters
    ----------
    host, lab, dataset
        Where it is, the lab it belongs to, and its full name.
    share_type
        TrueNAS's preset, which can only be given when it is made.
    recordsize_bytes, quota_bytes
        Record size and quota [bytes]; None leaves them alone.
    """

    host: str
    lab: str
    dataset: str
    share_type: str
    recordsize_bytes: int | None = None
    quota_bytes: int | None = None
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"dataset {self.dataset}"

    @property
    def _pool(self) -> str:
        return self.dataset.partition("/")[0]

    def observe(self, host: Host) -> dict[str, Any]:
        rows = call(
            host,
            "pool.dataset.query",
            [["id", "=", self.dataset]],
            {"extra": {"retrieve_children": False}},
            shape=_DATASETS,
        )
        pools = call(host, "pool.query", [["name", "=", self._pool]], shape=_POOLS)
        pool = pools[0]["status"] if pools else None
        if not rows:
            return {"pool": pool, "there": False}
        row = rows[0]
        return {
            "pool": pool,
            "there": True,
            "type": row["type"],
            "recordsize": _bytes(row, "recordsize"),
            "quota": _bytes(row, "quota"),
            "casesensitivity": row.get("casesensitivity", {}).get("rawvalue"),
            "locked": row.get("locked", False),
            "comments": own_comment(row),
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["pool"] is None:
            return Diff(conflict=f"there is no pool {self._pool} on {self.host}; make it first")
        if observed["pool"] not in ("ONLINE", "DEGRADED"):
            return Diff(conflict=f"pool {self._pool} is {observed['pool']}; mend it first")
        if not observed["there"]:
            document = {
                "name": self.dataset,
                "type": "FILESYSTEM",
                "share_type": self.share_type,
                "comments": mark.text(self.lab),
            }
            call_ = changing("pool.dataset.create", document | self._differing({}))
            # Not one that could be pasted in haste.
            undo = "delete it in TrueNAS (Datasets), which destroys what was put there since"
            return Diff((Change(f"make dataset {self.dataset}", call_, undo=undo),))
        return self._as_wanted(observed)

    def _as_wanted(self, observed: dict[str, Any]) -> Diff:
        if observed["type"] != "FILESYSTEM":
            kind = observed["type"].lower()
            return Diff(conflict=f"{self.dataset} is a {kind}, and should be a file system")
        if observed["locked"]:
            return Diff(conflict=f"dataset {self.dataset} is locked; unlock it in TrueNAS")
        insensitive = observed["casesensitivity"] == "insensitive"
        if insensitive != (self.share_type == "SMB"):
            return Diff(
                conflict=f"dataset {self.dataset} was made for another kind of share (its names "
                f"are case-{observed['casesensitivity']}), which can't be changed; use another one"
            )
        wanted = self._differing(observed)
        if not wanted:
            return Diff()
        before = ", ".join(f"{name} {observed[name]}" for name in wanted)
        if not mark.marks(observed["comments"], self.lab):
            says = f" ({observed['comments']!r})" if observed["comments"] else ""
            return Diff(
                conflict=f"dataset {self.dataset} is there already{says}, and we did not make it: "
                f"it has {before}. If lab {self.lab} may change it, write “{mark.text(self.lab)}” "
                "into its comments; else give the lab another dataset"
            )
        call_ = changing("pool.dataset.update", self.dataset, wanted)
        summary = f"set {', '.join(wanted)} of {self.dataset}"
        old = {name: observed[name] for name in wanted}
        if "recordsize" in old:
            old["recordsize"] = _RECORD_SIZES.get(old["recordsize"], "INHERIT")
        undo = changing("pool.dataset.update", self.dataset, old).line
        return Diff((Change(summary, call_, replaces=before, undo=undo),))

    def _differing(self, observed: dict[str, Any]) -> dict[str, Any]:
        """Properties to set, as the middleware wants them."""
        wanted: dict[str, Any] = {}
        if self.recordsize_bytes and observed.get("recordsize") != self.recordsize_bytes:
            wanted["recordsize"] = _RECORD_SIZES[self.recordsize_bytes]
        if self.quota_bytes is not None and observed.get("quota") != self.quota_bytes:
            wanted["quota"] = self.quota_bytes
        return wanted


def _bytes(row: dict[str, Any], name: str) -> int:
    """A property's size [bytes]; 0 for none (a quota), or where a volume has no such property."""
    value = str(row.get(name, {}).get("rawvalue", ""))
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0


def own_comment(row: dict[str, Any]) -> str:
    """What stands in the dataset's own comments; one that it inherited is its parent's."""
    comments = row.get("comments", {})
    return str(comments.get("value", "")) if comments.get("source") == "LOCAL" else ""
