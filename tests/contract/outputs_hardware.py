"""What real machines tell of their memory and processors, read for what is known of them."""

import json
import re

from contract.readers import Output, reads
from homelab_lib.control.linux.hardware import modules, processor
from homelab_lib.transport.command import Result


@reads(r"dmidecode -t memory")
def memory(row: Output) -> None:
    """Every module that is in its place is found, and no empty place."""
    text = row["output"]
    sizes = re.findall(r"^\tSize: (\d+) ([kMGT]B)$", text, re.MULTILINE)
    found = modules(text)
    assert len(found) == len(sizes) > 0
    for module, (number, unit) in zip(found, sizes, strict=True):
        assert module.size_bytes == int(number) * 1024 ** (" kMGT".index(unit[0]))
        assert module.place in text
    set_to = re.findall(r"Configured (?:Memory|Clock) Speed: (\d+) M", text)
    assert [each.speed_mtps for each in found if each.speed_mtps] == [int(n) for n in set_to]


class _Host:
    name = "somebody"

    def __init__(self, text: str) -> None:
        self.text = text

    def json(self, *argv: str, **options: object) -> object:
        return json.loads(self.text)

    def read(self, *argv: str, **options: object) -> Result:
        return Result(1, "", "")


@reads(r"lscpu -J")
def processors(row: Output) -> None:
    found = processor(_Host(row["output"]))
    assert f'"data": "{found.title}"' in row["output"]
    assert found.threads == 2
    assert found.microcode is None, "a VM may not say"
