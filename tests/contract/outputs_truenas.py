"""What `smartctl` prints of real disks, read as the disks of a NAS are."""

import json

from contract.oracle import contract
from contract.readers import Output, reads, unlike
from contract.small_nas import small_nas
from homelab_lib.control.truenas.smart import read_health


@reads(r"smartctl --json(?!.*--scan)")
def smartctl(row: Output) -> None:
    real = json.loads(row["output"])
    health = read_health(row["output"], host="nas", line=row["command"])
    assert health.passed == real["smart_status"]["passed"]
    logs = real.get("ata_smart_self_test_log", {}).values()
    longs = [
        test["status"]["passed"]
        for log in logs
        for test in log.get("table", ())
        if "Extended" in test["type"]["string"] and "passed" in test["status"]
    ]
    assert health.long_test == (longs[0] if longs else None)
    status = real.get("ata_smart_data", {}).get("self_test", {}).get("status", {})
    assert bool(health.running) == ("remaining_percent" in status)
    assert bool(health.says) == (not longs or bool(health.running))


@reads(r"smartctl --json -x")
def twins_own(row: Output) -> None:
    """The twin's disk tells less than a real one, and nothing that no real one tells."""
    nas = small_nas("25.10.5")
    nas.disks["sda"].self_tests = [("long", True), ("short", True)]
    own = json.loads(nas.run("sudo smartctl -a --json=c /dev/sda", b"").out)
    rows = contract("real-outputs.jsonl")
    like = [each for each in rows if each["command"] == row["command"]]
    real = [json.loads(each["output"]) for each in like]
    found = unlike(own, [each for each in real if each["device"]["protocol"] == "ATA"])
    assert [each for each in found if not each.endswith("is missing")] == []
