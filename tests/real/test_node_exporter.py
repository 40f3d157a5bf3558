"""A node exporter that runs, with the words that ours is given, on files as kernels have them: what
it tells is what the rules go by."""

import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from homelab_lib.recipes.kubernetes import node_exporter
from real.rules import DESKTOP, NAS, groups, promtool, trial, whole

pytestmark = pytest.mark.real
__all__ = ["promtool"]

PROGRAM = shutil.which(node_exporter.PACKAGE)
_OF_RULES = re.compile(r"(node_(?:drm|hwmon|zfs_zpool_state|filesystem)\w*)\{(.*)\} (\S+)")
_VRAM = {"total": 8 << 30, "used": 2 << 30}
_AMD = {
    **{f"mem_info_{kind}_{what}": size for kind in ("vram", "vis_vram", "gtt")
       for what, size in _VRAM.items()},
    "gpu_busy_percent": 12,
    "mem_info_vram_vendor": "samsung",
    "power_dpm_force_performance_level": "auto",
    "unique_id": "",
    "uevent": "DRIVER=amdgpu",
}  # fmt: skip
"""What amdgpu has of a card in ``/sys/class/drm/card0/device``."""


class Machine:
    """The files of a machine that an exporter reads.

    Parameters
    ----------
    folder, target
        Where they lie, and as whom Prometheus knows it.
    """

    def __init__(self, folder, target):
        self.folder, self.target = folder, target
        for name in ("sys/class/drm", "sys/class/hwmon", "proc/1", "proc/self", "root/mnt/tank"):
            (folder / name).mkdir(parents=True)
        mount = "36 25 0:32 / /mnt/tank rw,relatime shared:1 - zfs tank rw,xattr,posixacl"
        self.put("proc/1/mountinfo", mount)
        self.put("proc/1/mounts", "tank /mnt/tank zfs rw,relatime,xattr,posixacl 0 0")
        self.put("proc/self/mountinfo", mount)

    def put(self, path, text):
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"{text}\n")

    def card(self, driver, files, sensors):
        """A card on the bus, with what its driver has in hwmon."""
        bus = f"sys/devices/pci0000:00/0000:00:01.0/0000:0{len(driver)}:00.0"
        for name, text in (files | {f"hwmon/hwmon3/{k}": v for k, v in sensors.items()}).items():
            self.put(f"{bus}/{name}", text)
        self.put(f"{bus}/hwmon/hwmon3/name", driver)
        (self.folder / bus / "hwmon/hwmon3/device").symlink_to(self.folder / bus)
        (self.folder / bus / "drm/card0").mkdir(parents=True)
        (self.folder / bus / "drm/card0/device").symlink_to(self.folder / bus)
        (self.folder / "sys/class/drm/card0").symlink_to(self.folder / bus / "drm/card0")
        hwmon = self.folder / "sys/class/hwmon/hwmon3"
        hwmon.symlink_to(self.folder / bus / "hwmon/hwmon3")

    def pool(self, name, state):
        self.put(f"proc/spl/kstat/zfs/{name}/state", state)

    def told(self, words):
        """What an exporter tells of it: series as promtool takes them."""
        with (
            _answering(self.folder, words) as address,
            urlopen(f"http://{address}/metrics") as page,
        ):
            text = page.read().decode()
        label = f"job='{self.target.name}',instance='{self.target.address}:{self.target.port}'"
        found = {f"up{{{label}}}": "1x30"}
        for name, labels, value in _OF_RULES.findall(text):
            found[f"{name}{{{labels},{label}}}"] = f"{float(value):f}x30"
        return found


@contextmanager
def _answering(folder, words):
    if PROGRAM is None:
        pytest.skip(f"this machine has no node exporter (package {node_exporter.PACKAGE})")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    here = (f"--path.sysfs={folder}/sys", f"--path.procfs={folder}/proc",
            f"--path.rootfs={folder}/root", f"--web.listen-address={address}",
            "--collector.filesystem.mount-points-exclude=^/proc")  # fmt: skip
    own = ("--web.listen-address", "--path.rootfs", "--collector.filesystem")
    given = [word for word in words if not word.startswith(own)]
    command = [PROGRAM, *given, *here]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            said = [""]
            while "istening on" not in said[-1]:
                said.append(process.stderr.readline())
                assert said[-1], "".join(said)  # it is over, and this is what it said
            yield address
        finally:
            process.kill()


@pytest.fixture
def desktop(tmp_path):
    machine = Machine(tmp_path / "desktop", DESKTOP)
    machine.card("amdgpu", _AMD, {"temp2_input": 61000, "temp2_crit": 110000})
    return machine


@pytest.fixture
def nas(tmp_path):
    machine = Machine(tmp_path / "nas", NAS)
    machine.card("xe", {"uevent": "DRIVER=xe"}, {"energy1_input": 12_345_678})  # Linux 6.12
    for pool in ("tank", "boot-pool"):
        machine.pool(pool, "ONLINE")
    return machine


def _fires(promtool, target, series, *told):
    rules = [r for r in groups(target)[0]["rules"] if target.name in r["alert"].lower()
             or r["alert"] in ("HomelabSpeaks", "GpuHot", "GpuMemoryFull")]  # fmt: skip
    document = {"groups": [{"name": "homelab", "rules": rules}]}
    status, says = promtool("test", "rules", rules=document, test=whole(trial(series, told)))
    assert status == 0, says


def test_what_the_desktop_tells_is_what_the_rules_of_its_card_go_by(promtool, desktop):
    words = node_exporter.words(DESKTOP)
    well = desktop.told(words)
    assert any(name.startswith("node_drm_memory_vram_used_bytes{card=") for name in well)
    _fires(promtool, DESKTOP, well)
    without = desktop.told([word for word in words if word != "--collector.drm"])
    _fires(promtool, DESKTOP, without, "DesktopAMDCardsSilent")
    card = desktop.folder / "sys/class/hwmon/hwmon3/temp2_input"
    card.write_text("107000\n")
    (desktop.folder / "sys/class/drm/card0/device/mem_info_vram_used").write_text(f"{8 << 30}\n")
    _fires(promtool, DESKTOP, desktop.told(words), "GpuHot", "GpuMemoryFull")


@pytest.mark.parametrize("state", ["DEGRADED", "FAULTED", "SUSPENDED"])
def test_what_the_nas_tells_is_what_the_rules_of_its_pools_go_by(promtool, nas, state):
    words = node_exporter.container(NAS, ("tank",))["command"]
    well = nas.told(words)
    assert any(name.startswith('node_filesystem_avail_bytes{device="tank"') for name in well)
    _fires(promtool, NAS, {k: v for k, v in well.items() if "filesystem" not in k})
    nas.pool("boot-pool", state)
    told = {k: v for k, v in nas.told(words).items() if "filesystem" not in k}
    _fires(promtool, NAS, told, "TruenasPoolSick")


def test_a_pool_that_was_not_imported_and_a_card_that_no_driver_holds_are_told_of(promtool, nas):
    words = node_exporter.container(NAS, ("tank",))["command"]
    shutil.rmtree(nas.folder / "proc/spl/kstat/zfs/tank")
    (nas.folder / "sys/class/hwmon/hwmon3").unlink()
    told = {k: v for k, v in nas.told(words).items() if "filesystem" not in k}
    _fires(promtool, NAS, told, "TruenasPoolGoneTank", "TruenasIntelCardsSilent")


def test_how_full_a_pool_is_is_told_of_each_file_system_in_it(nas):
    """The numbers are those of the file system that the folder lies on here."""
    told = nas.told(node_exporter.container(NAS, ("tank",))["command"])
    for what in ("avail", "size"):
        (value,) = (v for k, v in told.items() if k.startswith(f"node_filesystem_{what}_bytes"))
        assert float(value.partition("x")[0]) > 0
