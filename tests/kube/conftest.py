"""A control plane for all files here, and the twin's beside it: the same nodes, the same classes.

Under ``HOMELAB_STRICT=1`` all of it has to run.
"""

import json
import shutil
from contextlib import closing
from typing import Any

import pytest

from contract.carried_out import CarriedOut, Sent
from homelab_lib.lab import load_lab
from homelab_lib.recipes.phase import possible
from homelab_lib.session.run import Run
from homelab_lib.target.twin import TwinTarget
from kube.build import TOOLS
from kube.kubelet import Kubelets
from kube.plane import plane
from kube.sides import Real, Twin
from strictly import strictly

MISSING = [package for program, package in TOOLS.items() if shutil.which(program) is None]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return strictly((yield))


@pytest.fixture(scope="session")
def carried(tmp_path_factory: pytest.TempPathFactory) -> CarriedOut:
    """What the shipped lab's runbooks send, in order on one twin, but for its backups."""
    found, lab = CarriedOut(), load_lab()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("STATE", "REPORTS"):
            patch.setenv(f"HOMELAB_{name}", str(tmp_path_factory.mktemp(name.lower())))
        with closing(TwinTarget.before_phase(lab, 1)) as on:
            for book in (each for each in possible(lab) if not each.name.endswith("_backup")):
                with closing(Run(book.name, on=on)) as run:
                    run.plan()
                    changes = run._plan.changes
                    found.changes += [Sent(change.call, change.shows) for change in changes]
                    for step in run.selected:
                        run.step(step)
    return found


@pytest.fixture(scope="session")
def twin() -> Twin:
    """One card in one node; another keeps pods away."""
    found = Twin()
    nodes = {node["metadata"]["name"]: node for node in found.cluster.all("Node")}
    for room in ("capacity", "allocatable"):
        nodes["k3s-gpu1"]["status"][room]["nvidia.com/gpu"] = "1"
    taint = {"key": "gpu", "value": "slow", "effect": "NoSchedule"}
    nodes["k3s-gpu3"]["spec"]["taints"] = [taint]
    assert found.says("create namespace test").status == 0
    return found


@pytest.fixture(scope="session")
def real(twin: Twin, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same nodes and classes on a control plane that runs."""
    if MISSING:
        pytest.skip(f"this machine lacks {', '.join(MISSING)}")
    nodes = {node["metadata"]["name"]: node for node in twin.cluster.all("Node")}
    with plane(tmp_path_factory.mktemp("plane")) as made, Kubelets(made, nodes) as lets:
        side = Real(made, lets.silent)
        assert side.says("create namespace test").status == 0
        for kind in ("StorageClass", "RuntimeClass"):
            for each in twin.cluster.all(kind):
                meta = {key: each["metadata"].get(key) for key in ("name", "annotations")}
                document = {**each, "metadata": meta}
                assert side.says("create -f -", document).status == 0, json.dumps(document)
        yield side
