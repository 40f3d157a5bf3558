"""How fast the models and the audit are: the figures that the sweep and the notebooks lean on.

Run it with ``python benchmarks/models.py``.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from homelab_lib.audit.ledger import judge
from homelab_lib.audit.run import findings
from homelab_lib.lab import Lab, load_lab
from homelab_lib.models.context import Serving, Transformer, kv_cache_bytes
from homelab_lib.models.montecarlo import simulate_loss
from homelab_lib.models.zfs import pool_capacity

RESULTS = Path(__file__).with_name("results") / "models.json"
MANY = 1_000_000


def took(action: Callable[[], object], repeat: int = 3) -> float:
    """The best of some runs [s]."""
    best = float("inf")
    for _ in range(repeat):
        begun = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - begun)
    return best


def import_s() -> float:
    """What `import homelab_lib` costs a Python process [s]."""

    def run(code: str) -> float:
        return took(lambda: subprocess.run([sys.executable, "-c", code], check=True), 5)

    return run("import homelab_lib") - run("pass")


def grown(lab: Lab, times: int) -> Lab:
    """A lab with so many of each host, with its VMs, pools and cables."""
    hosts, vms = dict(lab.hosts), dict(lab.vms)
    pools, cables = dict(lab.pools), list(lab.cables)
    for mark in (f"-{n}" for n in range(1, times)):
        for name, host in lab.hosts.items():
            hosts[name + mark] = host.model_copy(update={"name": name + mark})
        for name, vm in lab.vms.items():
            vms[name + mark] = vm.model_copy(update={"name": name + mark, "host": vm.host + mark})
        for name, own in lab.pools.items():
            there = {each: pool.model_copy(update={"host": name + mark})
                     for each, pool in own.items()}  # fmt: skip
            pools[name + mark] = there
        for cable in lab.cables:
            ends = {"name": cable.name + mark}
            for side, (owner, _, port) in (("a", cable.a.partition(".")),
                                           ("b", cable.b.partition("."))):  # fmt: skip
                ends[side] = f"{owner + mark if owner in lab.hosts else owner}.{port}"
            cables.append(cable.model_copy(update=ends))
    more = {"hosts": hosts, "vms": vms, "pools": pools, "cables": tuple(cables)}
    return lab.model_copy(update=more)


def main() -> None:
    """Measure, print, and keep the results."""
    lab = load_lab()
    disks = np.linspace(4e12, 24e12, MANY).astype(np.int64) // 4096 * 4096
    contexts = np.linspace(512, 131072, MANY).astype(np.int64)
    llama = Transformer("llama", 32, 4096, 14336, 128256, 32, 8, 128, 128)
    pool = {"afr": 0.011, "mttr_hours": 60.0, "years": 5.0}
    begun = time.perf_counter()
    simulate_loss(4, 2, **pool, histories=2_000_000, rng=np.random.default_rng(1))
    rate = 2_000_000 * pool["years"] / (time.perf_counter() - begun)
    rack = grown(lab, 10)
    found = {
        "import homelab_lib [s]": import_s(),
        "load the shipped lab [s]": took(load_lab),
        "rules on the shipped lab [s]": took(lambda: findings(lab)),
        "claims on the shipped lab [s]": took(lambda: judge(lab, findings(lab))),
        f"audit of {len(rack.hosts)} hosts [s]": took(lambda: judge(rack, findings(rack))),
        "10^6 pool capacities [s]": took(lambda: pool_capacity("raidz2", 4, disks), 1),
        "10^6 KV caches [s]": took(lambda: kv_cache_bytes(llama, Serving(contexts)), 1),
        "Monte Carlo [pool-years/s]": rate,
    }
    for name, value in found.items():
        print(f"{name:>32}: {value:,.3f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
