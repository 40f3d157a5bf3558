"""What is wrong with monit's settings beyond their fields; a test's kind comes of its condition."""

import re
from collections.abc import Iterator

from homelab_lib.twin.opnsense.fields.base import Leaf
from homelab_lib.twin.opnsense.model import Message
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.tree import Tree

_FILE = ("Timestamp", "Permisssion", "UID", "GID", "Custom")  # the appliance's own spelling
_TESTS_OF = {
    "process": (
        *("Existence", "ProcessResource", "ProcessDiskIO", "UID", "GID", "PID", "PPID", "Uptime"),
        *("Connection", "Custom"),
    ),
    "file": ("Existence", "FileChecksum", "FileSize", "FileContent", *_FILE),
    "fifo": ("Existence", *_FILE),
    "filesystem": (
        *("Existence", "FilesystemMountFlags", "SpaceUsage", "InodeUsage", "DiskIO"),
        *("Permisssion", "Custom"),
    ),
    "directory": ("Existence", *_FILE),
    "host": ("NetworkPing", "Connection", "Custom"),
    "system": ("SystemResource", "Uptime", "Custom"),
    "custom": ("ProgramStatus", "Custom"),
    "network": ("NetworkInterface", "Custom"),
}
_CONDITIONS = {
    "Existence": ("exist", "not exist"),
    "SystemResource": (
        *("loadavg (1min)", "loadavg (5min)", "loadavg (15min)", "cpu usage", "cpu user usage"),
        *("cpu system usage", "cpu wait usage", "memory usage", "swap usage"),
    ),
    "ProcessResource": (
        *("cpu", "total cpu", "threads", "children", "memory usage", "total memory usage"),
    ),
    "ProcessDiskIO": ("disk read rate", "disk write rate"),
    "FileChecksum": ("failed md5 checksum", "changed md5 checksum", "failed checksum expect"),
    "Timestamp": (
        *("access time", "modification time", "change time", "timestamp", "changed access time"),
        *("changed modification time", "changed change time", "changed timestamp"),
    ),
    "FileSize": ("size", "changed size"),
    "FileContent": ("content =", "content !="),
    "FilesystemMountFlags": ("changed fsflags",),
    "SpaceUsage": ("space", "space free"),
    "InodeUsage": ("inodes", "inodes free"),
    "DiskIO": ("read rate", "write rate", "service time"),
    "Permisssion": ("failed permission", "changed permission"),
    "UID": ("failed uid",),
    "PID": ("changed pid",),
    "PPID": ("changed ppid",),
    "Uptime": ("uptime",),
    "ProgramStatus": ("status", "changed status"),
    "NetworkInterface": (
        *("failed link", "changed link capacity", "saturation", "upload", "download"),
    ),
    "NetworkPing": ("failed ping", "failed ping4", "failed ping6"),
    "Connection": ("failed host", "failed port", "failed unixsocket"),
}


def kind_of(condition: str) -> str:
    """What a condition is about: the longest known beginning decides."""
    condition = re.sub(r"\s\s+", " ", condition)
    longest, kind = "", "Custom"
    for each, beginnings in _CONDITIONS.items():
        for beginning in beginnings:
            if condition.startswith(beginning) and len(beginning) > len(longest):
                longest, kind = beginning, each
    if longest == "memory usage":
        by_share = re.search(r"^.*\spercent|%\s*$", condition)
        return "SystemResource" if by_share else "ProcessResource"
    return kind


def check_monit(tree: Tree, full: bool) -> Iterator[Message]:
    """What is wrong with alerts, tests and services."""
    for row in tree.at("alert").rows():
        for leaf in (row["noton"], row["events"]):
            none = not row["noton"].is_empty and row["events"].is_empty
            if (full or leaf.changed) and none:
                text = "At least one event should be selected when using an inverted selection."
                yield Message(leaf.ref, text)
    for row in tree.at("service").rows():
        for leaf in row.leaves():
            if full or leaf.changed:
                yield from _service(row, leaf)
    for row in tree.at("test").rows():
        yield from _test(row, full)


def _used(row: Box) -> bool:
    services = row.tree.at("service").rows()
    return any(row.uuid in each["tests"].value.split(",") for each in services)


def _test(row: Box, full: bool) -> Iterator[Message]:
    kind, condition, name = row["type"], row["condition"], row["name"].value
    if (full or kind.changed) and kind.value != "Custom" and kind.changed and _used(row):
        yield Message(
            kind.ref,
            f"Cannot change the test type to '{kind.value}'. Test '{name}' is linked to a service.",
        )
    if full or condition.changed:
        found = kind_of(condition.value)
        if found not in ("Custom", kind.value) and _used(row):
            yield Message(
                condition.ref,
                f"Condition '{condition.value}' would change the type of the test '{name}' but it "
                "is linked to a service.",
            )
        else:
            kind.set(found)


def _service(row: Box, leaf: Leaf) -> Iterator[Message]:
    kind = row["type"].value
    if leaf.tag == "tests":
        yield from _tests(row, leaf)
    if not leaf.is_empty:
        return

    def lacks(other: str) -> bool:
        return row[other].is_empty

    if leaf.tag in ("pidfile", "match") and kind == "process":
        if lacks("match" if leaf.tag == "pidfile" else "pidfile"):
            yield Message(leaf.ref, "Please set at least one of Pidfile or Match.")
    elif leaf.tag == "address" and kind == "host":
        yield Message(leaf.ref, "Address is mandatory for 'Remote Host' checks.")
    elif leaf.tag in ("address", "interface") and kind == "network":
        if lacks("interface" if leaf.tag == "address" else "address"):
            yield Message(leaf.ref, "Please set at least one of Address or Interface.")
    elif leaf.tag == "path" and kind in ("file", "fifo", "filesystem", "directory"):
        yield Message(leaf.ref, "Path is mandatory.")


def _tests(row: Box, leaf: Leaf) -> Iterator[Message]:
    allowed = _TESTS_OF.get(row["type"].value)
    for uuid in leaf.value.split(","):
        test = row.tree.at("test").get(uuid)
        if test is None or allowed is None or test["type"].value in allowed:
            continue
        kind = test["type"]
        yield Message(
            leaf.ref,
            f"Test {test['name'].value} with type {kind.field.described(kind)} not allowed for "
            "this service type",
        )
