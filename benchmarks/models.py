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
from homelab_lib.lab import load_lab
from homelab_lib.models.montecarlo import simulate_loss
from homelab_lib.models.vram import kv_cache_bytes
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


def main() -> None:
    """Measure, print, and keep the results."""
    lab = load_lab()
    disks = np.linspace(4e12, 24e12, MANY).astype(np.int64) // 4096 * 4096
    contexts = np.linspace(512, 131072, MANY).astype(np.int64)
    cache = {"n_layer": 32, "n_head_kv": 8, "key_length": 128, "value_length": 128}
    pool = {"afr": 0.011, "mttr_hours": 60.0, "years": 5.0}
    begun = time.perf_counter()
    simulate_loss(4, 2, **pool, histories=2_000_000, rng=np.random.default_rng(1))
    rate = 2_000_000 * pool["years"] / (time.perf_counter() - begun)
    found = {
        "import homelab_lib [s]": import_s(),
        "load the shipped lab [s]": took(load_lab),
        "rules on the shipped lab [s]": took(lambda: findings(lab)),
        "claims on the shipped lab [s]": took(lambda: judge(lab, findings(lab))),
        "10^6 pool capacities [s]": took(lambda: pool_capacity("raidz2", 4, disks), 1),
        "10^6 KV caches [s]": took(lambda: kv_cache_bytes(n_ctx=contexts, **cache), 1),
        "Monte Carlo [pool-years/s]": rate,
    }
    for name, value in found.items():
        print(f"{name:>32}: {value:,.3f}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
