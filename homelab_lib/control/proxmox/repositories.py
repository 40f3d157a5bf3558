"""Where the packages of a Proxmox node come from.

Source: `PVE::API2::APT` (pve-manager 9.2): the node knows its own standard sources by handles, and
writes them as its release has them, deb822 since 9 and a list before. The enterprise ones answer
401 to whoever has no subscription, by which every update fails.
"""

from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control.linux import look_at_files
from homelab_lib.control.proxmox.api import api, changing, follow_task
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host

_SUBSCRIPTION: Shape = {"status": str}
_DOCUMENT: Shape = {
    "files": [{"path": str, "repositories": [{"URIs?": [str], "Suites?": [str],
                                              "Enabled?": (bool, whole)}]}],
    "standard-repos?": [{"handle": str, "status?": (bool, whole)}],
}  # fmt: skip
_ENTERPRISE = "://enterprise.proxmox.com/"
_LISTS = "/var/lib/apt/lists"


@dataclass(frozen=True)
class Repositories:
    """Package sources that can be read: without a subscription the free ones, and no others."""

    host: str
    node: str
    timeout_s: float = 300.0

    @property
    def name(self) -> str:
        return f"package sources of {self.node}"

    def observe(self, host: Host) -> dict[str, Any]:
        """Whether there is a subscription; the sources; those that were never read."""
        status = api(host, f"/nodes/{self.node}/subscription", shape=_SUBSCRIPTION)["status"]
        path = f"/nodes/{self.node}/apt/repositories"
        document = api(host, path, shape=_DOCUMENT)
        sources = [
            {"path": file["path"], "index": index, "uri": next(iter(each.get("URIs", [])), ""),
             "suite": next(iter(each.get("Suites", [])), ""), "on": bool(each.get("Enabled"))}
            for file in document["files"] for index, each in enumerate(file["repositories"])
        ]  # fmt: skip
        on = [each for each in sources if each["on"]]
        found = look_at_files(host, [_list_of(each) for each in on])
        standard = {row["handle"]: row.get("status") for row in document.get("standard-repos", [])}
        return {
            "subscribed": status == "active",
            "sources": sources,
            "free": bool(standard.get("no-subscription")),
            "unread": [each["uri"] for each, at in zip(on, found, strict=True) if at is None],
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        if observed["subscribed"]:
            return Diff()
        changes = [
            self._off(each)
            for each in observed["sources"]
            if each["on"] and _ENTERPRISE in each["uri"]
        ]
        path = f"/nodes/{self.node}/apt/repositories"
        if not observed["free"]:
            call = changing("set", path, "--handle", "no-subscription")
            undo = "switch it off in Proxmox (Updates, Repositories)"
            summary = "add the source that needs no subscription"
            changes.append(Change(summary, call, undo=undo))
        free_unread = [uri for uri in observed["unread"] if _ENTERPRISE not in uri]
        if changes or free_unread:
            read = changing("create", f"/nodes/{self.node}/apt/update", timeout_s=self.timeout_s)
            follow = follow_task(self.node)
            what = "read what the package sources have"
            undo = f"{NOTHING_TO_UNDO}: apt knows what there is"
            changes.append(Change(what, read, detached=True, follow=follow, undo=undo))
        return Diff(tuple(changes))

    def _off(self, source: dict[str, Any]) -> Change:
        place = ("--path", source["path"], "--index", str(source["index"]))
        path = f"/nodes/{self.node}/apt/repositories"
        return Change(
            f"switch off {source['uri']}",
            changing("create", path, *place, "--enabled", "0"),
            replaces=f"{source['path']}: switched on",
            undo=f"pvesh create {path} {' '.join(place)} --enabled 1",
        )


def _list_of(source: dict[str, Any]) -> str:
    """Where apt keeps what it has read of a source."""
    place = str(source["uri"]).partition("://")[2].strip("/").replace("/", "_")
    return f"{_LISTS}/{place}_dists_{source['suite']}_InRelease"
