"""The kernel's command line, changed by the resource that changes it on a Proxmox host, on a real
machine with GRUB that is really restarted.

What is real: files, their shells, grub-mkconfig, GRUB, the kernel, systemd, SSH, and the power.
What is not: no Proxmox is installed. Of its programs there is what `PROGRAMS` says, so that a
kernel is pinned, boot partitions are kept alike, and guests shut down, is not seen here.
"""

import threading
from datetime import UTC, datetime

import pytest

from homelab_lib.control.proxmox.boot_settings import BootSettings
from homelab_lib.errors import HomelabError, Unseen
from homelab_lib.lab import load_lab
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Check, Runbook, Step
from homelab_lib.secret import Mask
from homelab_lib.target.ssh import SshTarget
from machine.machine import machine, missing

pytestmark = pytest.mark.machine

LAB = load_lab("tests/machine/lab")
MISSING = missing()
PROGRAMS = {
    "proxmox-boot-tool": """\
case "$*" in
status) echo "E: /etc/kernel/proxmox-boot-uuids does not exist." >&2; exit 2;;
"kernel list") printf 'Automatically selected kernels:\\n6.12.0-1-pve\\n';;
esac
""",
    "pvesh": """\
case "$2" in
/cluster/status) echo '[{"name": "nas", "local": 1}]';;
*/hardware/pci) cd /sys/bus/pci/devices; printf '['; for d in *; do
    read -r class < "$d/class"; read -r vendor < "$d/vendor"; read -r device < "$d/device"
    printf '%s{"id": "%s", "class": "%s", "vendor": "%s", "device": "%s"}' \\
        "$comma" "$d" "$class" "$vendor" "$device"; comma=,
    done; echo ']';;
*) echo '[]';;
esac
""",
    "lspci": "",  # no card of it has to be held back
}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A machine whose menu GRUB's own program has made, as an installer leaves it: the image has
    one that is written by hand. Its kernel has a name of Proxmox's besides."""
    if MISSING:
        pytest.skip(f"this machine lacks {', '.join(MISSING)}")
    with machine(tmp_path_factory.mktemp("node"), {}) as made:
        for name, script in PROGRAMS.items():
            place = f"/usr/local/bin/{name}"
            made.ssh(f"cat > {place} <<'END'\n#!/bin/sh\n{script}END\nchmod 755 {place}")
        for each in ("vmlinuz", "initrd.img"):
            made.ssh(f"ln /boot/{each}-$(uname -r) /boot/{each}-6.12.0-1-pve")
        made.ssh("update-grub && sync")
        yield made


@pytest.fixture
def run(node, tmp_path, monkeypatch):
    """Plan what there is to do and carry it out, as a run of a runbook does; the journal is kept
    from one to the next. Gives what was sent, and the error that ended it."""
    monkeypatch.setenv("HOMELAB_STATE", str(tmp_path / "state"))

    def carry_out(*options, progress=lambda step, host, text: None):
        settings = BootSettings("nas", "nas", options, (), (), lab=LAB.name)
        runbook = Runbook("restart", "Settings of the kernel", (_step(settings),))
        target, mask = SshTarget(LAB, str(node.folder / "ssh_config"), allow_changes=True), Mask()
        try:
            journal = Journal(
                tmp_path / "journal.jsonl", mask=mask, wall=lambda: datetime.now(UTC).isoformat()
            )
            plan = _plan(target, runbook, settings, journal, mask)
            sender = Sender(target.link, target.clock, journal, mask, plan, progress=progress)
            engine = Engine(runbook, "apply", sender, target.trust, target.seal)
            error = None
            try:
                engine.run_step("boot")
            except HomelabError as caught:
                error = caught
            return [each.planned.call for each in engine.outcomes["boot"].sent], error
        finally:
            target.close()

    return carry_out


def _step(settings):
    def check(ctx):
        words = ctx.host("nas").read("cat", "/proc/cmdline").stdout.split()
        lacks = [each for each in settings.options if each not in words]
        yield Check("the kernel was told", not lacks, " ".join(words))

    return Step("boot", "Settings", ensure=lambda ctx: [settings], check=check)


def _plan(target, runbook, settings, journal, mask):
    """What one look says is to be sent. A rehearsal would need a twin of this half of a node."""
    looking = Sender(target.link, target.clock, journal.remembering(), mask)
    engine = Engine(runbook, "verify", looking, target.trust, target.seal)
    wants = settings.diff(settings.observe(engine.host("nas")))
    assert not wants.conflict, wants.conflict
    changes = [PlannedChange.of("boot", settings.name, "nas", each, mask) for each in wants.changes]
    name = runbook.name
    return Plan(name, LAB.name, LAB.digest, "ssh", ("boot",), target.hosts(), tuple(changes))


def told(node):
    """The kernel's command line, less the file that GRUB took it from."""
    return node.says("cat /proc/cmdline").split()[1:]


def boot_id(node):
    return node.says("cat /proc/sys/kernel/random/boot_id")


def test_the_machine_restarts_into_the_option_and_only_once(node, run):
    first = boot_id(node)
    menu = node.says(r"grep -m1 -E '^\s*linux\s' /boot/grub/grub.cfg").split()

    def dies(step, host, text):
        if text == "restart nas":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("intel_iommu=on", progress=dies)
    assert boot_id(node) == first, "it died before the restart was sent"
    sent, error = run("intel_iommu=on")
    assert sent[-1] == "systemctl reboot"
    assert "update-grub" not in sent, "that was done"
    assert isinstance(error, Unseen), error
    second = boot_id(node)
    assert second != first
    assert told(node) == [*menu[2:], "intel_iommu=on"]
    assert "DMAR: IOMMU enabled" in node.says("dmesg")
    assert run("intel_iommu=on") == ([], None)
    assert boot_id(node) == second


def test_the_power_goes_while_the_menu_is_made_and_the_machine_starts_all_the_same(
    node, run, tmp_path
):
    before, found = told(node), []
    cutter = threading.Thread(target=cut_while_the_menu_is_made, args=(node, found))
    cutter.start()
    errors = []
    while not errors or (errors[-1] is not None and len(errors) < 4):
        errors.append(run("intel_iommu=on", "iommu=pt")[1])
        cutter.join()
    assert errors[-1] is None, errors
    assert found == [before], "it starts by the menu of before"
    told_of = (tmp_path / "journal.jsonl").read_text().splitlines()
    made = [line for line in told_of if '"intent"' in line and '"call": "update-grub"' in line]
    assert len(made) == 2, "what was cut off is done again"
    assert {*told(node)} - {*before} == {"iommu=pt"}
    assert run("intel_iommu=on", "iommu=pt") == ([], None)


def cut_while_the_menu_is_made(node, found):
    """Cut the power while GRUB's program writes, switch it on again, and see what was started."""
    writes = "until [ -e /boot/grub/grub.cfg.new ]; do sleep 0.1; done"
    node.ssh(f"timeout 200 sh -c '{writes}'")
    node.cut_power()
    node.start()
    found.append(told(node))
