"""Time and peak memory of `make demo`'s papermill run, whole process.

Run it with ``python benchmarks/demo.py``.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "demo.json"


def main() -> None:
    """Measure, print, and keep the results."""
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out.ipynb")
        line = [sys.executable, "-m", "papermill", "--engine", "runbook", "--no-progress-bar",
                str(ROOT / "runbooks" / "phase2.ipynb"), out]  # fmt: skip
        environment = os.environ | {"HOMELAB_REPORTS": folder, "HOMELAB_STATE": folder}
        begun = time.perf_counter()
        subprocess.run(line, check=True, capture_output=True, env=environment)
        found = {
            "wall_s": time.perf_counter() - begun,
            "peak_mib_of_one_process": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            / 1024,
        }
    print(f"{found['wall_s']:.1f} s, {found['peak_mib_of_one_process']:.0f} MiB in one process")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
