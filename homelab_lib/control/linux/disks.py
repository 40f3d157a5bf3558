"""The disks of a Linux machine: what lies on each of them, and the names that stay theirs.

Two look: `lsblk`, which knows of all that the kernel sees on a disk, and `wipefs`, which reads the
disk itself.

Sources: lsblk(8), wipefs(8) of util-linux 2.38 and 2.41; systemd, ``60-persistent-storage.rules``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape, fitted, whole
from homelab_lib.runbook.resource import Host
from homelab_lib.units import format_bytes

_LSBLK = ("lsblk", "-J", "-b", "-o", "NAME,KNAME,SERIAL,SIZE,TYPE,FSTYPE,LABEL,PTTYPE,MOUNTPOINT")
_BY_ID = "/dev/disk/by-id"
_BUSES = ("nvme-", "ata-", "scsi-", "usb-")  # what carries a disk's model and serial number
_TABLES = ("gpt", "dos")
_PMBR = "PMBR"  # stands beside each GPT; alone, the GPT is where nobody looks or can't be read
_NOT_DISKS = ("loop", "ram", "zram", "zd", "sr", "fd")


def _block(value: Any) -> Any:
    """A block device of `lsblk`, with all that lies on it."""
    words = ("serial?", "fstype?", "label?", "pttype?", "mountpoint?")
    known = {"kname": str, "type": str, "size": whole, **dict.fromkeys(words, str)}
    return fitted(value, known | {"children?": [_block]})


_BLOCKS: Shape = {"blockdevices": [_block]}
_LABELS: Shape = {"signatures": [{"type?": str, "label?": str}]}


@dataclass(frozen=True)
class Drive:
    """A disk.

    Parameters
    ----------
    name
        What it is called since the last boot: ``sdb``.
    serial
        Its serial number; empty for none.
    size_bytes
        Its size [bytes].
    devices
        Its own name, and those of all that lies on it: ``sdb``, ``sdb1``, ``dm-0``.
    holds
        What lies on it, in words.
    """

    name: str
    serial: str
    size_bytes: int
    devices: tuple[str, ...]
    holds: tuple[str, ...]

    @property
    def told(self) -> str:
        """``sdb (HLNAS14T0001, 14.00 TB)``."""
        return f"{self.name} ({self.serial or 'no serial number'}, {format_bytes(self.size_bytes)})"


def drives(host: Host) -> list[Drive]:
    """A machine's disks.

    Raises
    ------
    NotUnderstood
        It answers in another form.
    """
    line = " ".join(_LSBLK)
    said = answers.expected(host.json(*_LSBLK), _BLOCKS, host=host.name, line=line)
    rows = [row for row in said["blockdevices"] if not row["kname"].startswith(_NOT_DISKS)]
    return [
        Drive(
            row["kname"],
            row.get("serial", "").strip(),
            row["size"],
            tuple(each["kname"] for each in _below(row)),
            tuple(_holds(row)),
        )
        for row in rows
        if row["type"] == "disk"
    ]


def _below(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield row
    for child in row.get("children") or ():
        yield from _below(child)


def _holds(row: dict[str, Any]) -> Iterator[str]:
    parts = sum(each["type"] == "part" for each in _below(row))
    if parts:
        yield f"{parts} partition{'s' if parts > 1 else ''}"
    elif row.get("pttype"):
        yield _named(row["pttype"], "")
    for each in _below(row):
        if each.get("fstype"):
            yield _named(each["fstype"], each.get("label", ""))
        elif each is not row and each["type"] != "part":  # plain dm-crypt has no label of its own
            yield f"{each['kname']} ({each['type']})"
        if each.get("mountpoint"):
            yield f"what is mounted at {each['mountpoint']}"


def _named(kind: str, label: str) -> str:
    if kind in _TABLES:
        return f"a {kind} partition table"
    if kind == _PMBR:
        return "a gpt partition table that can't be read (that of a disk from a USB case, say)"
    if kind == "zfs_member":
        return label_of(label) if label else "the label of a pool"
    return f"{kind} {label}".strip()


def label_of(pool: str) -> str:
    """How a drive's holdings tell of a pool's label."""
    return f"the label of pool {pool}"


def labels(host: Host, name: str) -> list[str]:
    """What stands on a disk itself by `wipefs`, which only looks here.

    Parameters
    ----------
    host, name
        Where, and which: ``sdb``.
    """
    rows = signatures(host, f"/dev/{name}")
    if any(kind == "gpt" for kind, _ in rows):
        rows = [row for row in rows if row[0] != _PMBR]
    return list(dict.fromkeys(_named(*row) for row in rows))


def signatures(host: Host, path: str) -> list[tuple[str, str]]:
    """The kind and the label of each signature on a device, by `wipefs`.

    Parameters
    ----------
    host, path
        Where, and which: ``/dev/sdb``.

    Raises
    ------
    NotUnderstood
        It answers in another form.
    """
    words = ("wipefs", "-n", "-J", path)
    text = host.read(*words, sudo=True).stdout.strip()
    if not text:
        return []  # older ones print nothing where there is nothing
    said = answers.understood(text, _LABELS, host=host.name, line=" ".join(words))
    return [(row.get("type", "a label"), row.get("label", "")) for row in said["signatures"]]


def lasting_paths(host: Host, names: Sequence[str]) -> dict[str, str]:
    """The path of each disk that stays its own, whatever it is called after the next boot.

    Parameters
    ----------
    host, names
        Where, and which: ``sdb``.

    Returns
    -------
    dict of str to str
        By name; a disk that has no such path is not in it.
    """
    shown = host.read("ls", "-1", _BY_ID, ok=(0, 2)).stdout.splitlines()
    links = [f"{_BY_ID}/{link}" for link in shown if "-part" not in link]
    if not links:
        return {}
    ends = host.read("readlink", "-f", *links).stdout.splitlines()
    found: dict[str, str] = {}
    for link, end in sorted(zip(links, ends, strict=True), key=lambda pair: _rank(pair[0])):
        found.setdefault(end.removeprefix("/dev/"), link)
    return {name: found[name] for name in names if name in found}


def _rank(link: str) -> tuple[int, int, str]:
    """Those with model and serial number come first, of these the shortest."""
    name = link.rpartition("/")[2]
    bus = next((at for at, each in enumerate(_BUSES) if name.startswith(each)), len(_BUSES))
    return bus, len(name), name
