"""What stands on a Proxmox node's storages."""

from dataclasses import dataclass
from typing import Any, Literal

from homelab_lib import answers
from homelab_lib.answers import SCALAR, Shape, whole
from homelab_lib.control.linux import look_at_file
from homelab_lib.control.proxmox.api import api, changing, follow_task
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_STORAGES: Shape = [{"storage": str, "type": str, "content?": str}]
_STATUS: Shape = [{"storage": str, "active?": whole}]
_FOLDERS = {
    "import": "import",
    "iso": "template/iso",
    "vztmpl": "template/cache",
}  # of a storage, by content


def storage_row(host: Host, storage: str) -> dict[str, Any] | None:
    """What a node's configuration says of a storage; None where it has none of that name."""
    rows = api(host, "/storage", shape=_STORAGES)
    return next((row for row in rows if row["storage"] == storage), None)


def is_active(host: Host, node: str, storage: str) -> bool:
    """Whether a node can use a storage just now."""
    status = api(host, f"/nodes/{node}/storage", shape=_STATUS)
    return any(row["storage"] == storage and row.get("active") for row in status)


@dataclass(frozen=True)
class StorageContent:
    """A storage that may hold what we put on it. Nothing that it may hold already is taken away."""

    host: str
    storage: str
    content: tuple[str, ...]
    timeout_s: float = 30.0

    @property
    def name(self) -> str:
        return f"storage {self.storage}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        found = storage_row(host, self.storage)
        if found is None:
            return None
        return {"type": found["type"], "content": sorted(found.get("content", "").split(","))}

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            return Diff(conflict=f"there is no storage {self.storage!r} on {self.host}")
        missing = sorted(set(self.content) - set(observed["content"]))
        if not missing:
            return Diff()
        now = [each for each in observed["content"] if each and each != "none"]
        wanted = ",".join(sorted({*now, *self.content}))
        call = change("pvesm", "set", self.storage, "--content", wanted, sudo=True)
        return Diff(
            (
                Change(
                    f"let {self.storage} hold {', '.join(missing)}",
                    call,
                    replaces=f"content {','.join(now) or 'none'}",
                    undo=f"pvesm set {self.storage} --content {','.join(now) or 'none'}",
                ),
            )
        )


@dataclass(frozen=True)
class Storage:
    """A place where a node keeps disks of VMs, images or backups. One of that name that lies
    elsewhere is a conflict; what it may hold is only added to.

    Parameters
    ----------
    host, node, storage
        The machine, its node name, and the storage's id.
    kind, place
        Proxmox's type, and the options that say where it is: ``(("pool", "fastmirror"),)``.
    content
        What it may hold.
    """

    host: str
    node: str
    storage: str
    kind: str
    place: tuple[tuple[str, str], ...]
    content: tuple[str, ...]
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"storage {self.storage}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        found = storage_row(host, self.storage)
        if found is None:
            return None
        keys = ("type", *(key for key, _ in self.place))
        kept = {key: found[key] for key in keys if key in found}
        line = "pvesh get /storage"
        answers.expected(kept, {str: SCALAR}, host=host.name, line=line)
        active = is_active(host, self.node, self.storage)
        content = sorted(each for each in found.get("content", "").split(",") if each)
        return {key: str(value) for key, value in kept.items()} | {
            "content": content,
            "active": active,
        }

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is None:
            words = [word for key, value in self.place for word in (f"--{key}", value)]
            if self.kind == "zfspool":  # a volume takes room only for what is written to it
                words += ["--sparse", "1"]
            content = ("--content", ",".join(sorted(self.content)))
            named = ("--storage", self.storage, "--type", self.kind, "--nodes", self.node)
            call = changing("create", "/storage", *named, *words, *content)
            undo = f"pvesm remove {self.storage}"
            return Diff((Change(f"make storage {self.storage} ({self.kind})", call, undo=undo),))
        wanted = {"type": self.kind, **dict(self.place)}
        other = [
            f"{k} {observed.get(k, 'none')}" for k, v in wanted.items() if observed.get(k) != v
        ]
        if other:
            told = ", ".join(f"{key} {value}" for key, value in wanted.items())
            return Diff(
                conflict=f"storage {self.storage} is there, with {', '.join(other)} and not with "
                f"{told}; nothing is done to it: call ours otherwise, or describe it as it is"
            )
        added = StorageContent(self.host, self.storage, self.content).diff(observed)
        if added.clean and not observed["active"]:
            return Diff(waiting=f"storage {self.storage} is not active yet")
        return added


@dataclass(frozen=True)
class Image:
    """An image on a storage, with the digest that it must have.

    Parameters
    ----------
    host, node, storage, folder
        Where it goes: the machine, its node name, the storage and that storage's folder.
    filename, url, sha256
        Its name there, where it is from (empty: it has to be there), what it must be (empty:
        nobody has said).
    content
        What it is to the storage: ``import`` for what disks are made from, ``iso``, or ``vztmpl``
        for the template of a container.
    """

    host: str
    node: str
    storage: str
    folder: str
    filename: str
    url: str
    sha256: str
    content: Literal["import", "iso", "vztmpl"] = "import"
    timeout_s: float = 3600.0

    @property
    def name(self) -> str:
        return f"image {self.filename}"

    @property
    def path(self) -> str:
        return f"{self.folder}/{_FOLDERS[self.content]}/{self.filename}"

    def observe(self, host: Host) -> dict[str, Any] | None:
        return look_at_file(host, self.path)

    def diff(self, observed: dict[str, Any] | None) -> Diff:
        if observed is not None:
            if self.sha256 in ("", observed.get("sha256")):
                return Diff()
            found = observed.get("sha256", "none")
            return Diff(
                conflict=f"{self.path} is there and is not the image we want: its digest is "
                f"{found[:16]}…, not {self.sha256[:16]}…; look at it, then delete it"
            )
        if not self.url:
            return Diff(
                conflict=f"{self.path} is to be there already, and nothing is; put it there, or "
                "give the image a url in the lab"
            )
        call = changing(
            "create",
            f"/nodes/{self.node}/storage/{self.storage}/download-url",
            *("--content", self.content),
            *("--filename", self.filename),
            *("--url", self.url),
            *("--checksum-algorithm", "sha256"),
            *("--checksum", self.sha256),
            timeout_s=self.timeout_s,
        )
        summary = f"download {self.filename}, and check it"
        undo = f"rm {self.path}"
        follow = follow_task(self.node)
        return Diff((Change(summary, call, undo=undo, detached=True, follow=follow),))
