"""The lab's alert rules before Prometheus's own tool: what it refuses is never loaded, and what it
reckons with them is what somebody is told of."""

import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.recipes.kubernetes import dashboard, exporters
from real.rules import NODE, TARGETS, groups, promtool, trial, whole

__all__ = ["promtool"]

pytestmark = pytest.mark.real


@pytest.fixture
def checked(promtool):
    return lambda groups: promtool("check", "rules", rules={"groups": groups})


def test_it_takes_every_rule(checked):
    of_all = groups(*TARGETS)
    status, says = checked(of_all)
    assert status == 0, says
    assert f"{len(of_all[0]['rules'])} rules found" in says


def test_it_would_see_a_slip(checked):
    broken = groups(NODE)
    broken[0]["rules"][-1]["expr"] += " <"
    status, says = checked(broken)
    assert status != 0
    assert "parse error" in says


def test_it_takes_how_each_target_is_asked(promtool):
    asked = [exporters.scraped(target, "monitoring")["spec"] for target in TARGETS]
    told = [
        {
            "job_name": spec["jobName"],
            "metrics_path": spec.get("metricsPath", "/metrics"),
            "params": spec.get("params", {}),
            "static_configs": spec["staticConfigs"],
        }
        for spec in asked
    ]
    status, says = promtool("check", "config", prometheus={"scrape_configs": told})
    assert status == 0, says
    status, says = promtool("check", "config", prometheus={"scrape_configs": [*told, told[0]]})
    assert status != 0
    assert "multiple scrape configs with job name" in says


CHIP = "instance='10.0.30.23:9100',chip='0000:00:10_0_0000:01:00_0'"
AMD = f"node_hwmon_temp_celsius{{{CHIP},sensor='temp2'}}"
RX7600 = "job='desktop',instance='10.0.10.50:9100',card='card0'"
B580 = (
    "node_hwmon_chip_names{job='truenas',instance='10.0.30.5:9100',"
    "chip='0000:00:1c_0_0000:03:00_0',chip_name='xe'}"
)
TANK = "job='truenas',device='tank',fstype='zfs',mountpoint='/mnt/tank'"
POOLS = (("truenas", "tank"), ("truenas", "boot-pool"), ("proxmox", "rpool"),
         ("proxmox", "fastmirror"))  # fmt: skip
TANK_POOL = POOLS[0]


def online(pool):
    return "node_zfs_zpool_state{{job='{}',zpool='{}',state='online'}}".format(*pool)


def degraded(pool):
    return "node_zfs_zpool_state{{job='{}',zpool='{}',state='degraded'}}".format(*pool)


WELL = {
    "node_drm_memory_vram_size_bytes{instance='10.0.30.23:9100',card='card1'}": "100x30",
    "node_drm_memory_vram_size_bytes{instance='10.0.30.24:9100',card='card1'}": "100x30",
    "node_drm_memory_vram_used_bytes{instance='10.0.30.23:9100',card='card1'}": "90x30",
    f"node_hwmon_chip_names{{{CHIP},chip_name='amdgpu'}}": "1x30",
    f"node_hwmon_temp_crit_celsius{{{CHIP},sensor='temp2'}}": "110x30",
    AMD: "95x30",
    "node_hwmon_chip_names{instance='10.0.30.10:9100',chip='k10temp',chip_name='k10temp'}": "1x30",
    "node_hwmon_temp_crit_celsius{instance='10.0.30.10:9100',chip='k10temp',sensor='t'}": "90x30",
    "node_hwmon_temp_celsius{instance='10.0.30.10:9100',chip='k10temp',sensor='t'}": "89x30",
    "DCGM_FI_DEV_GPU_TEMP{gpu='0',Hostname='k3s-gpu1'}": "60x30",
    "DCGM_FI_DEV_XID_ERRORS{gpu='0'}": "0x30",
    "DCGM_FI_DEV_FB_USED{gpu='0'}": "12000x30",
    "DCGM_FI_DEV_FB_FREE{gpu='0'}": "4000x30",
    "up{job='truenas'}": "1x30",
    "up{job='desktop'}": "1x30",
    "up{job='proxmox'}": "1x30",
    f"node_drm_memory_vram_size_bytes{{{RX7600}}}": "100x30",
    f"node_drm_memory_vram_used_bytes{{{RX7600}}}": "50x30",
    B580: "1x30",
    **dict.fromkeys(map(online, POOLS), "1x30"),
    **{degraded(pool): "0x30" for pool in POOLS},
    f"node_filesystem_avail_bytes{{{TANK}}}": "30x30",
    f"node_filesystem_size_bytes{{{TANK}}}": "100x30",
    "graphite_last_processed_timestamp_seconds{job='attic'}": "0+60x30",
    "network_ups_tools_ups_status{job='ups',ups='ups',flag='OB'}": "0x30",
    "pve_up{job='api',id='node/proxmox'}": "1x30",
    "pve_up{job='api',id='qemu/201'}": "1x30",
    "pve_onboot_status{job='api',id='qemu/201'}": "1x30",
    "pve_up{job='api',id='qemu/999'}": "0x30",
    "pve_onboot_status{job='api',id='qemu/999'}": "0x30",
}
"""A house in which all is well; a guest that nobody wants to start with its node is off."""
TROUBLE = {
    "AMDCardsSilent": {
        "node_drm_memory_vram_size_bytes{instance='10.0.30.24:9100',card='card1'}": None
    },
    "GpuMemoryFull": {
        "node_drm_memory_vram_used_bytes{instance='10.0.30.23:9100',card='card1'}": "98x30"
    },
    "GpuHot": {AMD: "107x30"},
    "NvidiaSilent": {"DCGM_FI_DEV_GPU_TEMP{gpu='0',Hostname='k3s-gpu1'}": None},
    "NvidiaHot": {"DCGM_FI_DEV_GPU_TEMP{gpu='0',Hostname='k3s-gpu1'}": "93x30"},
    "NvidiaFault": {"DCGM_FI_DEV_XID_ERRORS{gpu='0'}": "0x20 79x10"},
    "NvidiaMemoryFull": {"DCGM_FI_DEV_FB_FREE{gpu='0'}": "100x30"},
    "AtticSendsNothing": {
        "graphite_last_processed_timestamp_seconds{job='attic'}": "0+60x8 480x22"
    },
    "TruenasPoolSick": {online(TANK_POOL): "1x20 0x10", degraded(TANK_POOL): "0x20 1x10"},
    "TruenasPoolGoneTank": {online(TANK_POOL): None, degraded(TANK_POOL): None},
    "TruenasIntelCardsSilent": {B580: None},
    "DesktopAMDCardsSilent": {f"node_drm_memory_vram_size_bytes{{{RX7600}}}": None},
    "DesktopSilent": {  # and of its card nothing besides
        "up{job='desktop'}": "0x30",
        f"node_drm_memory_vram_size_bytes{{{RX7600}}}": None,
        f"node_drm_memory_vram_used_bytes{{{RX7600}}}": None,
    },
    "TruenasLinkSlowEnp4s0": {
        "node_network_speed_bytes{job='truenas',device='enp4s0'}": "125000000x30"
    },
    "UpsOnBattery": {"network_ups_tools_ups_status{job='ups',ups='ups',flag='OB'}": "0x20 1x10"},
    "UpsBatteryLow": {"network_ups_tools_ups_status{job='ups',ups='ups',flag='LB'}": "1x30"},
    "ApiDown": {"pve_up{job='api',id='storage/proxmox/vm-backups'}": "0x30"},
    "ApiGuestDown": {"pve_up{job='api',id='qemu/201'}": "0x30"},
    "ApiStorageFull": {
        "pve_disk_usage_bytes{job='api',id='storage/proxmox/local'}": "95x30",
        "pve_disk_size_bytes{job='api',id='storage/proxmox/local'}": "100x30",
    },
    "ApiNotBackedUp": {"pve_not_backed_up_info{job='api',id='qemu/204'}": "1x30"},
    "ProxmoxSilent": {"up{job='proxmox'}": "0x30"},
}


def test_no_card_at_all_is_as_silent_as_one_that_is_missing(promtool):
    """Where nothing is counted there is no number, and no number is less than two."""
    told = {f: v for f, v in WELL.items() if not f.startswith("node_drm")}
    test = {
        "interval": "1m",
        "input_series": [{"series": k, "values": v} for k, v in told.items()],
        "alert_rule_test": [{
            "alertname": "AMDCardsSilent",
            "eval_time": "25m",
            "exp_alerts": [{
                "exp_labels": {"severity": "critical"},
                "exp_annotations": {"summary": "Of AMD's 2 cards not all tell something: amdgpu "
                                    "does not hold one, or a node is silent"},
            }],
        }],
    }  # fmt: skip
    status, says = promtool("test", "rules", rules={"groups": groups(*TARGETS)}, test=whole(test))
    assert status == 0, says


@pytest.mark.parametrize("left", [15, 25])
def test_a_pool_that_fills_up_is_told_of_after_half_an_hour(promtool, left):
    series = {"avail": left, "size": 100}
    label = {"severity": "warning", "job": "truenas", "device": "tank", "fstype": "zfs"}
    alert = {
        "exp_labels": label | {"mountpoint": "/mnt/tank"},
        "exp_annotations": {
            "summary": "/mnt/tank is more than 80 % full: ZFS gets slow from there on"
        },
    }
    test = {
        "interval": "1m",
        "input_series": [
            {"series": f"node_filesystem_{what}_bytes{{{TANK}}}", "values": f"{value}x60"}
            for what, value in series.items()
        ],
        "alert_rule_test": [
            {"alertname": "TruenasPoolFull", "eval_time": when, "exp_alerts": told}
            for when, told in (("20m", []), ("40m", [alert] if left < 20 else []))
        ],
    }
    status, says = promtool("test", "rules", rules={"groups": groups(*TARGETS)}, test=whole(test))
    assert status == 0, says


def test_it_takes_what_the_dashboard_asks(checked):
    lab = load_lab()
    board = dashboard.document(lab, lab.clusters["homelab"], "monitoring")
    panels = json.loads(board["data"]["homelab.json"])["panels"]
    records = [
        {"record": f"panel:{each['id']}", "expr": each["targets"][0]["expr"]} for each in panels
    ]
    status, says = checked([{"name": "panels", "rules": records}])
    assert status == 0, says


@pytest.mark.parametrize("trouble", [None, *TROUBLE])
def test_each_trouble_is_told_of_and_nothing_else(promtool, trouble):
    series = {k: v for k, v in (WELL | TROUBLE.get(trouble, {})).items() if v is not None}
    test = trial(series, [trouble] if trouble else [])
    status, says = promtool("test", "rules", rules={"groups": groups(*TARGETS)}, test=whole(test))
    assert status == 0, says
