"""Disks' tests of themselves, as `smartctl` tells of them.

Source: smartctl(8), its JSON of versions 7.0 to 7.5; a SCSI disk tells of each test apart.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, understood
from homelab_lib.runbook.resource import Host

_LINE = ("smartctl", "-a", "--json=c")
_SCSI_TESTS = 20
_NO_PROGRAM = 127
_WORD: Shape = {"string?": str, "value?": int, "passed?": bool}
_TABLE: Shape = {"table?": [{"type?": _WORD, "status?": _WORD}]}
_TESTED: Shape = {"code?": _WORD, "result?": _WORD}
_NVME: Shape = {"table?": [{"self_test_code?": _WORD, "self_test_result?": _WORD}]}
_SHAPE: Shape = {
    "smart_status?": {"passed?": bool},
    "ata_smart_data?": {"self_test?": {"status?": {"string?": str, "remaining_percent?": int}}},
    "ata_smart_self_test_log?": {"standard?": _TABLE, "extended?": _TABLE},
    "nvme_self_test_log?": _NVME,
    **{f"scsi_self_test_{number}?": _TESTED for number in range(_SCSI_TESTS)},
}


@dataclass(frozen=True)
class Health:
    """What a disk says of itself.

    Parameters
    ----------
    passed
        Whether it calls itself healthy; None where it does not say.
    long_test
        Whether its newest long test went well; None where it has had none.
    running
        The test that it is at, in its own words; empty for none.
    """

    passed: bool | None
    long_test: bool | None
    running: str = ""

    @property
    def says(self) -> str:
        """In words; empty where there is nothing to say against it."""
        if self.passed is False:
            return "it calls itself failing"
        if self.running:
            return f"its test is {self.running}"
        if self.long_test is None:
            return "it has had no long test"
        return "" if self.long_test else "its long test failed"


def look_at_health(host: Host, disk: str) -> Health:
    """What `smartctl` tells of a disk.

    Parameters
    ----------
    disk
        Its name: ``sdb``.
    """
    words = (*_LINE, f"/dev/{disk}")
    # Its exit status is a set of findings; what it printed counts.
    said = host.read(*words, ok=None, sudo=True)
    if not said.stdout.strip():
        return Health(None, None)  # a USB bridge, say, that passes nothing on
    return read_health(said.stdout, host=host.name, line=" ".join(words))


def can_be_asked(host: Host, disk: str) -> bool:
    """Whether a machine has `smartctl` at all: a plain Linux may not."""
    said = host.read(*_LINE, f"/dev/{disk}", ok=None, sudo=True)
    return said.exit_status != _NO_PROGRAM or bool(said.stdout.strip())


def read_health(text: str, *, host: str, line: str) -> Health:
    """A disk's health out of the JSON that `smartctl` prints."""
    from_disk = understood(text, _SHAPE, host=host, line=line)
    tests = list(_tests(from_disk))
    status = from_disk.get("ata_smart_data", {}).get("self_test", {}).get("status", {})
    running = status.get("string", "") if "remaining_percent" in status else ""
    longs = [well for kind, well in tests if _is_long(kind)]
    passed = from_disk.get("smart_status", {}).get("passed")
    return Health(passed, longs[0] if longs else None, running)


def _is_long(kind: str) -> bool:
    return kind.lower().startswith(("extended", "background long", "foreground long"))


def _tests(said: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Kind and end of each test that has ended, the newest first."""
    for log in said.get("ata_smart_self_test_log", {}).values():
        for row in log.get("table", ()):
            status = row.get("status", {})
            if "passed" in status:  # one that goes on, or was called off, has not passed or failed
                yield row.get("type", {}).get("string", ""), status["passed"]
    for row in said.get("nvme_self_test_log", {}).get("table", ()):
        result = row.get("self_test_result", {}).get("value")
        yield row.get("self_test_code", {}).get("string", ""), result == 0
    for number in range(_SCSI_TESTS):
        row = said.get(f"scsi_self_test_{number}", {})
        if row:
            result = row.get("result", {}).get("value")
            yield row.get("code", {}).get("string", ""), result == 0
