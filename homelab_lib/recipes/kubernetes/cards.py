"""What is told of graphics cards: which of a lab's cards tell anything, and what is wrong with one.

No software of its own is needed for AMD's: the node exporter's `drm` collector tells of their
memory and work, `hwmon` of their heat, with the limit that amdgpu knows of each sensor. Of Intel's
it knows power and heat alone, the heat with a kernel from 6.15 on (TrueNAS 25.04 and 25.10 have
6.12, 26 has 6.18): how much of their memory is in use stands in no file. NVIDIA's need an exporter,
which runs in the cluster.

Sources: prometheus/node_exporter `collector/drm_linux.go` (amdgpu alone), `hwmon_linux.go`; Linux
`drivers/gpu/drm/amd/pm/amdgpu_pm.c` (temp[1-3]_crit), Documentation/ABI/testing
`sysfs-driver-intel-xe-hwmon` (temp2_input, temp3_input: 6.15), `drivers/gpu/drm/xe/xe_hwmon.c`
(a chip for each card of its own, and none for the processor's graphics); NVIDIA/dcgm-exporter
`etc/default-counters.csv`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import Target

Told = tuple[str, str, str, str, str]
"""A rule's name, its expression, for how long, how grave, and what is said."""

_CARD = {
    "AMD": "node_drm_memory_vram_size_bytes{{{where}}}",
    "Intel": 'node_hwmon_chip_names{{chip_name=~"i915|xe",{where}}}',
}
"""What is told of each card of a maker's."""
_DRIVER = {"AMD": "amdgpu", "Intel": "xe or i915"}
_NEAR_C = 5
"""How near to its own limit a sensor may come [K]."""
HEAT = (
    "node_hwmon_temp_celsius and on (instance, chip) "
    'node_hwmon_chip_names{chip_name=~"amdgpu|i915|xe"}'
)


def counted(lab: Lab, cluster: Cluster) -> Counter[str]:
    """How many cards the nodes of a cluster have, by their makers."""
    vms = (lab.vms[name] for name in cluster.vms)
    return Counter(lab.hosts[vm.host].gpus[card].vendor for vm in vms for card in vm.gpus)


def untold(lab: Lab, cluster: Cluster) -> list[str]:
    """The cards of a lab of which nobody tells its monitoring anything: in no node of the cluster,
    and in no host that a node exporter tells of."""
    asked = cluster.monitoring.targets if cluster.monitoring is not None else ()
    hosts = {target.name for target in asked if target.exporter == "node"}
    found = []
    for host in lab.hosts.values():
        for name, card in host.gpus.items():
            given = {vm.name for vm in lab.vms_with(f"{host.name}.{name}")}
            at_home = host.name in hosts and card.vendor != "NVIDIA"
            tells = bool(given & set(cluster.vms)) if given else at_home
            if not tells:
                found.append(f"{card.title} in {host.name}")
    return found


def kept(lab: Lab, target: Target) -> Counter[str]:
    """How many cards a machine outside of the cluster tells of itself, by their makers: those that
    it has given to no VM."""
    host = lab.hosts.get(target.name)
    if host is None or target.exporter != "node":
        return Counter()
    own = (c for name, c in host.gpus.items() if not lab.vms_with(f"{host.name}.{name}"))
    return Counter(card.vendor for card in own if card.vendor != "NVIDIA")


def unheard(lab: Lab, cluster: Cluster) -> str:
    """A sentence on those cards, and on what is told of none; nothing where all is told."""
    asked = cluster.monitoring.targets if cluster.monitoring is not None else ()
    silent = untold(lab, cluster)
    said = ""
    if silent:
        said = (
            f" Of {' and '.join(silent)} nothing is told: no node of the cluster has it, and no "
            "exporter there tells of cards (what a TrueNAS sends has none)."
        )
    intel = counted(lab, cluster) + sum((kept(lab, each) for each in asked), Counter())
    if intel["Intel"]:
        said += (
            " Of Intel's cards no memory in use is told, which stands in no file; their heat by a "
            "kernel from 6.15 on, which TrueNAS has from 26 on."
        )
    return said


def rules(lab: Lab, cluster: Cluster) -> Iterator[Told]:
    """What somebody is told of the cards in a cluster's nodes."""
    count = counted(lab, cluster)
    assert cluster.monitoring is not None
    outside = {t.name: found for t in cluster.monitoring.targets if (found := kept(lab, t))}
    if count["NVIDIA"] and cluster.monitoring.nvidia is not None:
        yield from _of_nvidia()
    if count["AMD"] or any(found["AMD"] for found in outside.values()):
        yield from _of_amd()
    for vendor in ("AMD", "Intel"):
        if count[vendor]:
            yield _silent(vendor, count[vendor], outside)


def on_target(lab: Lab, target: Target, name: str) -> Iterator[Told]:
    """What somebody is told of the cards of a machine outside of the cluster, while it answers.

    Parameters
    ----------
    lab, target, name
        The machine, and how the names of its rules begin.
    """
    job = f'job="{target.name}"'
    for vendor, count in kept(lab, target).items():
        told = f"count({_CARD[vendor].format(where=job)})"
        expression = f"({told} < {count} or absent({told})) and on () up{{{job}}} == 1"
        says = f"Of {count} cards of {vendor}'s in {target.name} not all tell something: "
        says += f"{_DRIVER[vendor]} does not hold one"
        yield f"{name}{vendor}CardsSilent", expression, "10m", "critical", says


def _silent(vendor: str, count: int, outside: Iterable[str]) -> Told:
    """Fewer in the cluster tell something than there are; none is no number to Prometheus, and no
    trouble."""
    elsewhere = 'job!~"{}"'.format("|".join(outside))
    told = f"count({_CARD[vendor].format(where=elsewhere)})"
    expression = f"{told} < {count} or absent({told})"
    says = f"Of {vendor}'s {count} cards not all tell something: {_DRIVER[vendor]} does not hold "
    return f"{vendor}CardsSilent", expression, "10m", "critical", f"{says}one, or a node is silent"


def _of_amd() -> Iterator[Told]:
    memory = "node_drm_memory_vram_used_bytes / node_drm_memory_vram_size_bytes > 0.97"
    hot = (
        f"node_hwmon_temp_celsius > on (instance, chip, sensor) node_hwmon_temp_crit_celsius - "
        f'{_NEAR_C} and on (instance, chip) node_hwmon_chip_names{{chip_name="amdgpu"}}'
    )
    yield (
        "GpuMemoryFull", memory, "10m", "warning",
        "Memory of {{ $labels.card }} of {{ $labels.instance }} is full: models go to the "
        "processor",
    )  # fmt: skip
    yield (
        "GpuHot", hot, "10m", "warning",
        "A card of {{ $labels.instance }} is at {{ $value }} °C at {{ $labels.sensor }}, near its "
        "own limit",
    )  # fmt: skip


def _of_nvidia() -> Iterator[Told]:
    """NVIDIA's cards, of which the node exporter knows nothing. On consumers' cards the fields of
    profiling are missing, so none of them is asked."""
    memory = "DCGM_FI_DEV_FB_USED / (DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE) > 0.97"
    yield from (
        ("NvidiaSilent", "absent(DCGM_FI_DEV_GPU_TEMP)", "10m", "critical",
         "No card of NVIDIA's tells anything: a driver, a runtime, or a taint keeps its exporter "
         "away"),
        ("NvidiaMemoryFull", memory, "10m", "warning",
         "Memory of card {{ $labels.gpu }} of {{ $labels.Hostname }} is full: models go to the "
         "processor"),
        ("NvidiaFault", "changes(DCGM_FI_DEV_XID_ERRORS[15m]) > 0 and DCGM_FI_DEV_XID_ERRORS > 0",
         "0m", "critical", "The driver reports fault {{ $value }} (Xid) of card {{ $labels.gpu }}"),
        ("NvidiaHot", "DCGM_FI_DEV_GPU_TEMP > 88", "10m", "warning",
         "Card {{ $labels.gpu }} is at {{ $value }} °C"),
    )  # fmt: skip
