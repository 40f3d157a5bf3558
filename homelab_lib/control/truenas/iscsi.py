"""Block devices that a TrueNAS lends by iSCSI, row by row.

A portal and a list of initiators have no name but their comment, so that is what tells them from
others. Source: the middleware's API models of 25.04, 25.10 and 26.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.truenas.family import Family, Field, Values
from homelab_lib.control.truenas.midclt import Release, call, changing
from homelab_lib.control.truenas.row import Row
from homelab_lib.runbook.resource import NOT_UNDONE, Change, Diff, Host
from homelab_lib.secret import Secret

PORTAL = Family(
    "iscsi.portal",
    "iSCSI portal",
    key=("comment",),
    fields={"comment": Field(""), "listen": Field((), of="ip")},
)
INITIATORS = Family(
    "iscsi.initiator",
    "iSCSI initiators",
    key=("comment",),
    fields={"comment": Field(""), "initiators": Field((), unordered=True)},
)
LOGIN = Family(
    "iscsi.auth",
    "iSCSI login",
    key=("tag", "user"),
    fields={
        "tag": Field(0),
        "user": Field(""),
        "peeruser": Field(""),
        "secret": Field(""),
        "peersecret": Field(""),
    },
    unmarked=True,
    secret=True,
)
TARGET = Family(
    "iscsi.target",
    "iSCSI target",
    key=("name",),
    mark="alias",
    fields={
        "name": Field(),
        "alias": Field(""),
        "mode": Field("ISCSI"),
        "groups": Field([]),
        "auth_networks": Field((), unordered=True),
    },
)
EXTENT = Family(
    "iscsi.extent",
    "iSCSI extent",
    key=("name",),
    mark="comment",
    fields={
        "name": Field(),
        "comment": Field(""),
        "type": Field("DISK"),
        "disk": Field(),
        "path": Field(),
        "filesize": Field(),
        "serial": Field(),
        "blocksize": Field(512),
        "rpm": Field("SSD"),
        "ro": Field(False),
        "enabled": Field(True),
    },
)
LENT = Family(
    "iscsi.targetextent",
    "iSCSI LUN",
    key=("target", "lunid"),
    fields={"target": Field(0), "lunid": Field(0), "extent": Field(0)},
    unmarked=True,
)


def portal(host: str, lab: str, release: Release, name: str, listen: Sequence[str]) -> Row:
    """Addresses at which it answers."""
    wanted = {"listen": [{"ip": address} for address in listen]}
    return Row(host, lab, release, PORTAL, {"comment": _marked(name, lab)}, wanted)


def initiators(host: str, lab: str, release: Release, name: str, names: Sequence[str]) -> Row:
    """Who may log in; nobody else."""
    wanted = {"initiators": sorted(names)}
    return Row(host, lab, release, INITIATORS, {"comment": _marked(name, lab)}, wanted)


def _marked(name: str, lab: str) -> str:
    return f"{name}; {mark.text(lab)}"


def chap_login(
    host: str, lab: str, release: Release, tag: int, user: str, secrets: Mapping[str, Secret],
    peer_user: str = "",
) -> Row:  # fmt: skip
    """A login by CHAP. Its secrets are told when it is made: one that is there has them."""
    wanted = {"peeruser": peer_user}
    key = {"tag": tag, "user": user}
    return Row(host, lab, release, LOGIN, key, wanted, secrets=dict(secrets))


def target(
    host: str, lab: str, release: Release, name: str, group: Values, networks: Sequence[str],
    alias: str | None = None,
) -> Row:  # fmt: skip
    """What an initiator logs in to, by one portal; its alias carries our mark."""
    wanted: dict[str, Any] = {"groups": [dict(group)], "auth_networks": sorted(networks)}
    if alias:
        wanted["alias"] = _marked(alias, lab)
    return Row(host, lab, release, TARGET, {"name": name}, wanted)


def extent(
    host: str, lab: str, release: Release, name: str, of: Values, rpm: str = "SSD",
    read_only: bool = False, block_bytes: int = 512, serial: str | None = None,
    size_bytes: int | None = None,
) -> Row:  # fmt: skip
    """What is lent: ``{"type": "DISK", "disk": "zvol/tank/lun0"}`` or a file and its path."""
    wanted = {**of, "rpm": rpm, "ro": read_only, "blocksize": block_bytes, "enabled": True}
    wanted |= {} if serial is None else {"serial": serial}
    new: Values = {} if size_bytes is None else {"filesize": size_bytes}
    return Row(host, lab, release, EXTENT, {"name": name}, wanted, new)


def lent(host: str, lab: str, release: Release, target_row: int, lun: int, extent_row: int) -> Row:
    """Which target lends which extent, by the numbers of their rows."""
    key = {"target": target_row, "lunid": lun}
    return Row(host, lab, release, LENT, key, {"extent": extent_row})


# What lies below ---------------------------------------------------------------------------------

_VOLUMES: Shape = [
    {
        "type": str,
        "volsize?": {"rawvalue?": (whole, None)},
        "comments?": {"value?": SCALAR, "source?": str},
    }
]


@dataclass(frozen=True)
class Volume:
    """A zvol: a block device out of a pool.

    Parameters
    ----------
    host, lab, volume
        Where it is, the lab it belongs to, and its full name.
    size_bytes
        How large it is [bytes]; None: it has to be there, as large as it is, whoever made it.
    sparse
        Whether it takes only the space that is used.
    """

    host: str
    lab: str
    volume: str
    size_bytes: int | None
    sparse: bool = True
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"zvol {self.volume}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        asked = ([["id", "=", self.volume]], {"extra": {"retrieve_children": False}})
        rows = call(host, "pool.dataset.query", *asked, shape=_VOLUMES)
        if not rows:
            return None
        comments = rows[0].get("comments", {})
        return {
            "type": rows[0]["type"],
            "size": rows[0].get("volsize", {}).get("rawvalue") or 0,
            "comments": str(comments.get("value", "")) if comments.get("source") == "LOCAL" else "",
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return self._create()
        if observed["type"] != "VOLUME":
            return Diff(conflict=f"{self.volume} is a file system, and should be a zvol")
        size = observed["size"]
        if self.size_bytes is None:
            return Diff()
        if not mark.marks(observed["comments"], self.lab):
            return Diff(
                conflict=f"{self.volume} was there before ({size} bytes), and we did not make it: "
                "whoever it is lent to writes over what somebody has on it. If it is meant, leave "
                f"its size_bytes out of the lab; if lab {self.lab} may let it grow, too, write "
                f"“{mark.text(self.lab)}” into its comments"
            )
        if size == self.size_bytes:
            return Diff()
        if size > self.size_bytes:
            return Diff(
                conflict=f"{self.volume} has {size} bytes, and the lab wants {self.size_bytes}: a "
                "zvol that gets smaller loses what lies at its end; write its size into the lab"
            )
        call_ = changing("pool.dataset.update", self.volume, {"volsize": self.size_bytes})
        undo = f"{NOT_UNDONE}: a zvol that gets smaller loses what lies at its end"
        change = Change(f"let {self.name} grow", call_, replaces=f"volsize {size}", undo=undo)
        return Diff((change,))

    def _create(self) -> Diff:
        if self.size_bytes is None:
            return Diff(conflict=f"there is no {self.name}; write its size_bytes into the lab")
        document = {
            "name": self.volume,
            "type": "VOLUME",
            "volsize": self.size_bytes,
            "sparse": self.sparse,
            "comments": mark.text(self.lab),
        }
        call_ = changing("pool.dataset.create", document)
        undo = "delete it in TrueNAS (Datasets), which destroys what was written to it since"
        return Diff((Change(f"make {self.name}", call_, undo=undo),))
