"""What the API says of storages, and does with them.

Source: `PVE::API2::Storage::{Config,Status,Content}` (pve-storage 9.1).
"""

import posixpath
import re
from typing import Any

from homelab_lib.twin.machine.surroundings import NetError
from homelab_lib.twin.proxmox.api import Given, Later, Methods, Task
from homelab_lib.twin.proxmox.archives import archive_called, form_of
from homelab_lib.twin.proxmox.backup_calls import listed
from homelab_lib.twin.proxmox.backup_servers import entered, left, why_not
from homelab_lib.twin.proxmox.formats import (
    BOOLEAN,
    CONTENT,
    NODE,
    STORAGE_OF,
    VMID,
)
from homelab_lib.twin.proxmox.node import ProxmoxNode
from homelab_lib.twin.proxmox.schema import ParameterError, Property, PveError, split_list
from homelab_lib.twin.proxmox.storage import FILES, FOLDERS, Store, guest_of, mounted_at
from homelab_lib.twin.proxmox.storage_options import CONTENTS, CREATE, DOWNLOAD, KINDS, UPDATE

calls = Methods()

_GOOD_NAMES = {"import": r".+\.(ova|ovf|qcow2|raw|vmdk)", "iso": r".+\.(iso|img)"}
_HOLDS = {
    "zfspool": ("images", "rootdir"),
    "lvm": ("images", "rootdir"),
    "lvmthin": ("images", "rootdir"),
    "rbd": ("images", "rootdir"),
    "pbs": ("backup",),
}
"""What kinds may hold that may not hold everything."""


# Looking -----------------------------------------------------------------------------------------


@calls("GET", "/storage", {"type": Property(enum=KINDS)})
def _storages(node: ProxmoxNode, given: Given) -> Any:
    stores = node.stores.values()
    return [each.config for each in stores if given.get("type", each.kind) == each.kind]


@calls("GET", "/storage/{storage}")
def _storage(node: ProxmoxNode, given: Given) -> Any:
    return node.stores.named(given["storage"]).config


@calls(
    "GET",
    "/nodes/{node}/storage",
    {
        "content": CONTENTS,
        "enabled": BOOLEAN,
        "format": BOOLEAN,
        "storage": STORAGE_OF,
        "target": Property(format=NODE),
    },
)
def _node_storages(node: ProxmoxNode, given: Given) -> Any:
    return statuses(node, given)


def statuses(node: ProxmoxNode, given: Given) -> list[dict[str, Any]]:
    """How the storages are that were asked for."""
    if "storage" in given and given["storage"] not in node.stores:
        raise ParameterError({"storage": "No such storage."})
    contents = set(given.get("content", "").split(",")) - {""}
    node.look_at_shares()
    for store in node.stores.values():
        if store.kind == "pbs" and str(store.options.get("server")) in node.backup_servers:
            store.active = not why_not(node, store)
    return [
        store.status
        for name, store in sorted(node.stores.items())
        if given.get("storage", name) == name
        and (store.enabled or not (contents or given.get("enabled") == "1"))
        and (not contents or contents & set(store.content))
    ]


@calls(
    "GET",
    "/nodes/{node}/storage/{storage}/content",
    {
        "content": Property(format=CONTENT),
        "vmid": Property("integer", format=VMID, minimum=100, maximum=999_999_999),
    },
)
def _content(node: ProxmoxNode, given: Given) -> Any:
    store = node.stores.named(given["storage"])
    if not store.active:
        raise PveError(f"storage '{store.name}' is not online")
    if given.get("content", "backup") == "backup" and "backup" in store.content:
        node.learn("backups")
    served = listed(node, store) if store.kind == "pbs" else ()
    rows = [*_files(node, store), *_volumes(store), *served]
    return [
        row
        for row in rows
        if given.get("content", row["content"]) == row["content"]
        and ("vmid" not in given or row.get("vmid") == int(given["vmid"]))
    ]


def _files(node: ProxmoxNode, store: Store) -> list[dict[str, Any]]:
    rows = []
    for content, folder in FOLDERS.items() if store.kind in FILES else ():
        path = posixpath.join(store.place, folder)
        if content not in store.content or not node.files.is_dir(path):
            continue
        for file in node.files.listdir(path):
            entry = node.files.entry(posixpath.join(path, file))
            if content == "backup" and (found := archive_called(file)) is not None:
                found = store.archives.get(file, found)
                rows.append(found.row(f"{store.name}:backup/{file}", form_of(file)))
            elif entry is not None and entry.kind == "file" and content != "backup":
                form = "qcow2" if file.endswith((".qcow2", ".img")) else "raw"
                form = {"snippets": "snippet", "iso": "iso"}.get(content, form)
                named = {"volid": f"{store.name}:{content}/{file}", "content": content}
                rows.append(named | {"format": form, "size": entry.size, "ctime": 0})
    return rows


def _volumes(store: Store) -> list[dict[str, Any]]:
    rows = []
    for name, size in sorted(store.volumes.items()):
        container = "subvol-" in name or "basevol-" in name
        form = "subvol" if container else "qcow2" if name.endswith(".qcow2") else "raw"
        row: dict[str, Any] = {"volid": f"{store.name}:{name}", "size": size, "format": form}
        row["content"] = "rootdir" if container else "images"
        vmid = guest_of(name)
        rows.append(row if vmid is None else row | {"vmid": vmid})
    return rows


# Changing ----------------------------------------------------------------------------------------


_NEEDS = {"nfs": ("server", "export"), "pbs": ("server", "datastore")}
"""What a kind of storage can't be made without: PVE::SectionConfig, check_config."""


@calls("POST", "/storage", CREATE)
def _create(node: ProxmoxNode, given: Given) -> Any:
    name, kind = given.pop("storage"), given.pop("type")
    if name in node.stores:
        raise PveError(f"create storage failed: storage ID '{name}' already defined")
    for option in _NEEDS.get(kind, ()):
        if option not in given:
            raise PveError(f"missing value for required option '{option}'")
    content = split_list(given.pop("content", "")) or list(_HOLDS.get(kind, ("images",)))
    _refuse_content(kind, content, "create")
    place = given.pop("pool" if kind == "zfspool" else "path", "") or mounted_at(name, kind)
    if kind == "zfspool" and place.partition("/")[0] not in node.zpools:
        raise PveError(f"create storage failed: no such pool '{place}'")
    enabled = given.pop("disable", "0") != "1"
    if kind == "nfs" and enabled:  # it is tried at once, and not made where that fails
        found, why = node.world.nfs(node, given.get("server", ""), given.get("export", ""))
        if found is None:
            raise PveError(f"create storage failed: mount error: mount.nfs: {why}")
    size = node.rootfs_bytes[0]
    if kind == "zfspool":
        size = int(node.zpools[place.partition("/")[0]].size_bytes * 31 / 32)
    password = given.pop("password", "")
    store = Store(name, kind, content, place, size, options=dict(given), enabled=enabled)
    if kind == "pbs":
        entered(node, store, password)
    node.stores[name] = store
    if kind in FILES:
        node.files.mkdir(place, parents=True)
        for folder in FOLDERS.values():
            node.files.mkdir(f"{place}/{folder}", parents=True)
    return {"storage": name, "type": kind}


def _refuse_content(kind: str, content: list[str], verb: str) -> None:
    for each in content:
        if each not in (*_HOLDS.get(kind, (each,)), "none"):
            why = f"storage does not support content type '{each}'"
            raise PveError(f"{verb} storage failed: {why}")


@calls("PUT", "/storage/{storage}", UPDATE)
def _update(node: ProxmoxNode, given: Given) -> Any:
    store = node.stores.named(given.pop("storage"))
    given.pop("digest", None)
    for key in re.split(r"[\s,;]+", given.pop("delete", "")):
        store.options.pop(key, None)
    if "content" in given:
        wanted = [each for each in re.split(r"[\s,;]+", given.pop("content")) if each]
        _refuse_content(store.kind, wanted, "update")
        store.content = wanted
    if "disable" in given:
        store.enabled = given.pop("disable") != "1"
    store.options |= given
    return {"storage": store.name, "type": store.kind}


@calls("DELETE", "/storage/{storage}")
def _delete(node: ProxmoxNode, given: Given) -> Any:
    """What is on it stays where it is: it is only no storage of the cluster any more."""
    store = node.stores.named(given["storage"])
    if store.kind == "pbs":
        left(node, store)
    del node.stores[store.name]


@calls("POST", "/nodes/{node}/storage/{storage}/download-url", DOWNLOAD)
def _download(node: ProxmoxNode, given: Given) -> Any:
    store = node.stores.named(given["storage"])
    if given["content"] not in store.content:
        what = given["content"]
        raise PveError(f"storage '{store.name}' is not configured for content-type '{what}'")
    form = _GOOD_NAMES.get(given["content"], ".+")
    if not re.fullmatch(form, given["filename"]):
        raise ParameterError({"filename": "wrong file extension"})
    path = node.volume_path(f"{store.name}:{given['content']}/{given['filename']}")
    upid = node.tasks.begin("download", given["filename"])
    log = f"downloading {given['url']} to {path}\n"

    def ended(more: str = "", failure: str = "") -> Task:
        node.tasks.end(upid, failure or "OK")
        return Task(upid, log + more, failure)

    wanted = given.get("checksum", "")
    there = node.files.entry(path)
    if there is not None:
        if wanted and there.sha256 == wanted:
            return ended("OK, got correct file already, no need to download\n")
        text = f"checksum mismatch: got '{there.sha256}' != expect '{wanted}', aborting"
        return ended(failure=text if wanted else f"refusing to override existing file '{path}'")
    try:
        status, entry = node.world.fetch(node, given["url"])
    except NetError as error:
        why = f"download failed: {error}"
        return Later(error.takes_s, lambda: ended(failure=why))
    if status != 200:
        return ended(failure=f"download failed: HTTP {status}")
    part = f"{path}.tmp_dwnl.{upid.split(':')[2]}"
    node.files.put(part, b"")

    def done() -> Task:
        node.files.remove(part)
        if wanted and entry.sha256 != wanted:
            text = f"checksum mismatch: got '{entry.sha256}' != expect '{wanted}'"
            return ended(failure=text)
        if node.files.full:
            return ended(failure="download failed: No space left on device")
        node.files.put(path, entry.data, digest=entry.digest, size_bytes=entry.size_bytes)
        return ended("calculating checksum...OK, checksum verified\n")

    return Later(entry.size / node.world.internet_bytes_per_s, done)
