"""The lab's own dashboard: pools, graphics cards, links, the UPS and who answers at all."""

import json
from typing import Any

from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.recipes.kubernetes import cards, manifests

_HEIGHT, _WIDTH = 8, 12
_PANELS = {
    "host": (
        ("Who answers", "up", "none"),
        ("Processors at rest",
         'avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m]))', "percentunit"),
        ("Memory left", "node_memory_MemAvailable_bytes", "bytes"),
    ),
    "pool": (
        ("Pools that are online", 'node_zfs_zpool_state{state="online"}', "none"),
        ("Room in file systems",
         'node_filesystem_avail_bytes{fstype="zfs"} / node_filesystem_size_bytes{fstype="zfs"}',
         "percentunit"),
    ),
    "AMD": (
        ("Memory of AMD's cards in use", "node_drm_memory_vram_used_bytes", "bytes"),
        ("AMD's cards at work", "node_drm_gpu_busy_percent", "percent"),
    ),
    "Intel": (
        ("Power of Intel's cards",
         "rate(node_hwmon_energy_joule_total[5m]) and on (instance, chip) "
         'node_hwmon_chip_names{chip_name=~"i915|xe"}', "watt"),
    ),
    "heat": (("Heat of AMD's and Intel's cards", cards.HEAT, "celsius"),),
    "NVIDIA": (
        ("Memory of NVIDIA's cards in use", "DCGM_FI_DEV_FB_USED * 1048576", "bytes"),
        ("NVIDIA's cards at work", "DCGM_FI_DEV_GPU_UTIL", "percent"),
        ("Heat of NVIDIA's cards", "DCGM_FI_DEV_GPU_TEMP", "celsius"),
    ),
    "link": (
        ("Received", "rate(node_network_receive_bytes_total[5m]) * 8", "bps"),
        ("Sent", "rate(node_network_transmit_bytes_total[5m]) * 8", "bps"),
    ),
    "ups": (("Charge of the UPS", "network_ups_tools_battery_charge", "percent"),),
}  # fmt: skip
"""Of what is watched: title, query and unit of each panel."""


def document(lab: Lab, cluster: Cluster, namespace: str) -> manifests.Object:
    """The dashboard as Grafana's sidecar picks it up.

    Parameters
    ----------
    lab, cluster
        What there is, and the cluster that watches it.
    namespace
        Where Grafana is.
    """
    assert cluster.monitoring is not None
    targets = cluster.monitoring.targets
    watched: set[str] = {"host", *(what for target in targets for what in target.watches)}
    watched |= cards.counted(lab, cluster).keys()
    watched |= {vendor for target in targets for vendor in cards.kept(lab, target)}
    if cluster.monitoring.nvidia is None:
        watched.discard("NVIDIA")
    if watched & {"AMD", "Intel"}:
        watched.add("heat")
    panels = [panel for what in _PANELS if what in watched for panel in _PANELS[what]]
    board = {
        "uid": f"homelab-{lab.name}"[:40],
        "title": f"Home lab: {lab.title}",
        "tags": ["homelab"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "panels": [_panel(index, *panel) for index, panel in enumerate(panels)],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "homelab-dashboard",
            "namespace": namespace,
            "labels": {"grafana_dashboard": "1"},
        },
        "data": {"homelab.json": json.dumps(board, indent=1, sort_keys=True)},
    }


def _panel(index: int, title: str, query: str, unit: str) -> dict[str, Any]:
    x, y = index % 2 * _WIDTH, index // 2 * _HEIGHT
    source = {"type": "prometheus", "uid": "prometheus"}
    return {
        "id": index + 1,
        "type": "timeseries",
        "title": title,
        "datasource": source,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"datasource": source, "expr": query, "refId": "A"}],
    }
