"""How the machine's tests carry out its runbook, as a notebook does, and what disks it has."""

import os
import time
from pathlib import Path

from homelab_lib.errors import HomelabError
from homelab_lib.session import run as session

LAB = "tests/machine/lab"
SERIALS = [f"MACHINE{number:04}" for number in range(1, 7)]
GIB = 2**30
LARGER = {f"LARGE{size:04}{letter}": size * GIB for size in (20, 300) for letter in "ABC"}
PASSWORD = "correct horse"
FORGET = (
    "exportfs -ua; rm -f /etc/exports.d/* /etc/samba/homelab.conf /var/lib/homelab/files; "
    "[ ! -e /etc/samba/smb.conf.before-homelab ] || "
    "mv /etc/samba/smb.conf.before-homelab /etc/samba/smb.conf; "
    "for u in ann ben; do smbpasswd -x $u; userdel $u; done; groupdel family; "
    "zpool destroy -f tank"
)


def by_serial(nas, serials):
    """The stable names of disks with these serial numbers."""
    return " ".join(f"/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{each}" for each in serials)


def blank(nas):
    """Disks on which nothing is."""
    nas.ssh("for p in $(zpool list -H -o name); do zpool destroy -f $p; done; "
            "for d in /dev/sd?; do wipefs -qaf $d?* $d; done; "
            "partprobe; udevadm settle", check=False)  # fmt: skip


def run(nas, mode="apply", approve="", lab=LAB, **more):
    """Run phase 1 as its notebook does; gives what was sent, and the error that ended it."""
    ran, error = None, None
    try:
        ran = session.begin(
            "phase1",
            lab=lab,
            target="ssh",
            mode=mode,
            approve=approve,
            ssh_config=str(nas.folder / "ssh_config"),
            **more,
        )
        ran.plan()
        for name in ran.runbook.names:
            ran.step(name)
        ran.finish()
    except HomelabError as caught:
        error = caught
    finally:
        if ran is not None:
            ran.close()
    return ran, error


def sent(ran):
    return sum(len(outcome.sent) for outcome in ran.outcomes)


def planned(nas, **more):
    ran, error = run(nas, "plan", **more)
    assert error is None, error
    return ran._plan


def cut(nas, plan, after):
    """Cut the power as soon as so many changes are written down as sent."""
    reports = Path(os.environ["HOMELAB_REPORTS"])
    while True:
        intents = 0
        for journal in reports.glob("*_ssh_*/journal.jsonl"):
            intents += sum('"intent"' in line for line in journal.read_text().splitlines())
        if intents >= after:
            nas.cut_power()
            return
        time.sleep(0.01)
