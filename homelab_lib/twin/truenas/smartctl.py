"""`smartctl`: what a disk tells of itself, and its tests of itself.

Source: smartctl(8), its JSON of 7.4 as recorded. A test goes on in the disk, whoever asks.
"""

import json

from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.tables import Row
from homelab_lib.twin.truenas.zfs import NasDisk

disk_health = Commands()

_BYTES_PER_S = 180e6  # a large disk's mean from its outer to its inner edge
_SHORT_S = 120.0
_TESTS = {"short": (1, "Short offline"), "long": (2, "Extended offline")}
_NO_DEVICE, _FAILING = 2, 8


@disk_health("smartctl")
def smartctl(nas: TrueNas, call: Call) -> Reply:
    """``smartctl -a [--json=c] DEVICE``, ``smartctl -t short|long DEVICE``."""
    words, options = operands(call, "-t --test -d --device")
    if call.user != "root":
        said = f"Smartctl open device: {words[-1] if words else ''} failed: Permission denied\n"
        return Reply(_NO_DEVICE, said)
    disk = _disk(nas, words[-1]) if words else None
    if disk is None:
        said = f"{words[-1] if words else ''}: Unable to detect device type\n"
        return Reply(1 if not words else _NO_DEVICE, said)
    kind = options.get("-t") or options.get("--test") or ""
    if kind:
        return _begin(nas, disk, kind)
    if nas.ask is not None:  # a twin of a real one, whose disks are those
        told = nas.ask(nas.name, call.argv)
        return Reply(*told) if told else Reply(1, stderr="the real host could not be asked\n")
    if "--json" not in options:
        return Reply(1, "this twin tells of a disk in JSON only: --json=c\n")
    row = _told(disk, call.argv)
    status = row["smartctl"]["exit_status"]
    return Reply(status, json.dumps(row, separators=(",", ":")) + "\n", takes_s=0.5)


def _disk(nas: TrueNas, device: str) -> NasDisk | None:
    name = device.removeprefix("/dev/")
    if name.startswith("disk/by-id/"):
        found = [each for each in nas.disks.values() if name.partition("by-id/")[2] in _links(each)]
        return found[0] if len(found) == 1 else None
    return nas.disks.get(name)


def _links(disk: NasDisk) -> tuple[str, ...]:
    """What udev calls it (60-persistent-storage.rules), whatever model stands in between."""
    if disk.name.startswith("nvme"):
        return f"nvme-eui.{disk.lunid}", f"nvme-*_{disk.serial}"
    return f"wwn-0x{disk.lunid}", f"{disk.bus.lower()}-*_{disk.serial}"


def _begin(nas: TrueNas, disk: NasDisk, kind: str) -> Reply:
    if kind not in _TESTS:
        return Reply(1, f"=======> INVALID ARGUMENT TO -t: {kind}\n")
    takes_s = _SHORT_S if kind == "short" else disk.size_bytes / _BYTES_PER_S
    disk.testing = kind

    def end() -> None:
        if disk.testing == kind:
            disk.testing = ""
            disk.self_tests.insert(0, (kind, disk.healthy))

    nas.world.after(takes_s, end)
    said = f"Testing has begun.\nPlease wait {takes_s / 60:.0f} minutes for test to complete.\n"
    return Reply(0, said, takes_s=0.5)


def _told(disk: NasDisk, argv: tuple[str, ...]) -> Row:
    row: Row = {
        "json_format_version": [1, 0],
        "smartctl": {
            "version": [7, 4],
            "argv": list(argv),
            "exit_status": disk.past | (0 if disk.healthy else _FAILING),
        },
        "device": {"name": f"/dev/{disk.name}", "info_name": f"/dev/{disk.name}"},
        "model_name": disk.model,
        "serial_number": disk.serial,
        "user_capacity": {"blocks": disk.size_bytes // 512, "bytes": disk.size_bytes},
        "rotation_rate": 7200 if disk.rotates else 0,
        "smart_status": {"passed": disk.healthy},
    }
    if disk.name.startswith("nvme"):
        tests = [
            {
                "self_test_code": {"value": _TESTS[kind][0], "string": _TESTS[kind][1].split()[0]},
                "self_test_result": _nvme_result(passed),
            }
            for kind, passed in disk.self_tests
        ]
        row["nvme_self_test_log"] = {"table": tests} if tests else {}
        return row
    return row | {
        "ata_smart_data": {"self_test": {"status": _status(disk)}},
        "ata_smart_self_test_log": {"standard": _ata_log(disk)},
    }


def _nvme_result(passed: bool) -> Row:
    text = "Completed without error" if passed else "Completed: failed segments"
    return {"value": 0 if passed else 7, "string": text}


def _status(disk: NasDisk) -> Row:
    if disk.testing:
        left = {"string": "in progress, 90% remaining", "remaining_percent": 90}
        return {"value": 249} | left
    return {"value": 0, "string": "completed without error", "passed": True}


def _ata_log(disk: NasDisk) -> Row:
    ends = {
        True: {"value": 0, "string": "Completed without error", "passed": True},
        False: {"value": 112, "string": "Completed: read failure", "passed": False},
    }
    table = [
        {
            "type": dict(zip(("value", "string"), _TESTS[kind], strict=True)),
            "status": ends[passed],
            "lifetime_hours": 40,
        }
        for kind, passed in disk.self_tests
    ]
    return {"revision": 1, "count": len(table)} | ({"table": table} if table else {})
