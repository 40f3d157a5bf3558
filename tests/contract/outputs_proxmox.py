"""What Proxmox's own programs printed on real nodes, read by what reads them here."""

import json
import re

from contract.readers import Output, reads
from homelab_lib.control.proxmox.boot_loader import boot_loader
from homelab_lib.control.proxmox.mapping import PciMapping
from homelab_lib.control.proxmox.pci import functions
from homelab_lib.transport.command import Result

_LSPCI = "0000:01:00.0 VGA compatible controller [0300]: A card [10de:2204]\n"


class Node:
    """A node that answers these, by how the command begins."""

    name = "node1"

    def __init__(self, **said: str) -> None:
        self.said = said

    def read(self, *argv: str, ok: tuple[int, ...] = (0,), **options: object) -> Result:
        text = self.said[argv[0].replace("-", "_")]
        # With nothing of its own it complains, and its status is 2.
        return Result(2 if "does not exist" in text else 0, text, "")

    def json(self, *argv: str, **options: object) -> object:
        return json.loads(self.read(*argv).stdout)["data"]


@reads(r"proxmox-boot-tool status")
def loaders(row: Output) -> None:
    """Every partition is known, and each that could not be mounted."""
    found = boot_loader(Node(proxmox_boot_tool=row["output"]))  # type: ignore[arg-type]
    configured = re.findall(r"(\S+) is configured with: (\w+)", row["output"])
    assert found.partitions == tuple(uuid for uuid, _ in configured)
    named = {"uefi": "systemd-boot"}
    assert set(found.kinds) == {named.get(k, k) for _, k in configured} or not configured
    assert len(found.skipped) == row["output"].count("- skipping")
    assert found.kinds


@reads(r"GET /nodes/node1/hardware/pci")
def buses(row: Output) -> None:
    node = Node(pvesh=row["output"], lspci=_LSPCI)
    told = {each["id"]: each for each in json.loads(row["output"])["data"]}
    for each in functions(node, "node1"):  # type: ignore[arg-type]
        fact = told[each.address]
        assert (each.group, f"0x{each.id[:4]}") == (fact["iommugroup"], fact["vendor"])
        assert fact["class"].startswith(f"0x{each.class_code}")


@reads(r"GET /cluster/mapping/pci")
def mappings(row: Output) -> None:
    """What stands there is what a mapping of ours would be, but for who made it."""
    [told] = json.loads(row["output"])["data"]
    parts = dict(part.split("=") for part in told["map"][0].split(","))
    wanted = PciMapping("node1", parts["node"], told["id"], parts["path"], parts["id"], "",
                        int(parts["iommugroup"]), "lab")  # fmt: skip
    node = Node(pvesh=row["output"])
    assert wanted.diff(wanted.observe(node)).clean  # type: ignore[arg-type]
