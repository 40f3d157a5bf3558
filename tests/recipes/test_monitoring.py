"""Monitoring of phase 4: what it asks, what it keeps where, and that somebody is told."""

import json
import shutil

import pytest
from pydantic import ValidationError

from homelab_lib import paths
from homelab_lib.control.linux.unit_file import dropin
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.changes import changed
from homelab_lib.lab.production import Target
from homelab_lib.recipes.kubernetes import (
    alerts,
    cards,
    dashboard,
    monitoring,
    node_exporter,
    production,
)
from homelab_lib.twin.machine.program import Call
from recipes.in_production import (
    CLUSTER,
    LAB,
    SECRETS,
    bench_of,
    cluster_of,
    secrets,
    with_cluster,
    with_service,
)

ONLY = ("exporters", "monitoring", "alerts", "told")
SENDING = Target(name="truenas", address="10.0.30.5", exporter="graphite", node_port=30109)
__all__ = ["secrets"]


@pytest.fixture(scope="module")
def _done():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        bench = bench_of(LAB, *ONLY)
        assert bench.stops() == ("", "")
        yield bench


@pytest.fixture
def done(_done):
    _done.wire.sent.clear()
    return _done


def test_a_second_run_and_a_plan_of_it_send_nothing(done):
    assert done.stops() == ("", "")
    again = done.likeness()
    assert again.stops() == ("", "")
    assert done.wire.sent == again.wire.sent == []


def test_numbers_lie_on_the_node_and_not_on_nfs(done):
    claims = cluster_of(done).all("PersistentVolumeClaim", "monitoring")
    assert {claim["spec"]["storageClassName"] for claim in claims} == {"local-path"}
    assert len(claims) == 2, "Prometheus's and Alertmanager's"
    assert all(claim["status"]["phase"] == "Bound" for claim in claims)


def test_what_k3s_has_no_port_for_is_not_asked(done):
    monitors = cluster_of(done).all("servicemonitors.monitoring.coreos.com")
    names = " ".join(each["metadata"]["name"] for each in monitors)
    assert "kubelet" in names
    assert not any(each in names for each in ("scheduler", "controller-manager", "proxy", "etcd"))


def test_no_secret_is_seen_outside_of_a_secret(done):
    kept = {key: each for key, each in cluster_of(done).objects.items() if key[0] != "Secret"}
    shown = json.dumps(list(kept.values())) + " ".join(done.wire.sent)
    assert not any(value in shown for value in SECRETS.values())
    held = cluster_of(done).get("Secret", "grafana-admin", "monitoring")
    assert set(held["data"]) == {"user", "password"}


def test_a_secret_that_somebody_else_made_is_left_alone():
    bench = bench_of(LAB, *ONLY)
    cluster = cluster_of(bench)
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}})
    meta = {"name": "grafana-admin", "namespace": "monitoring"}
    cluster.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"user": "eA=="}}
    )
    step, says = bench.stops()
    assert step == "monitoring"
    assert "grafana-admin is there with another value of password, user" in says
    assert "homelab/lab=" in says


def test_a_secret_that_changes_is_changed_by_its_key_alone(done, monkeypatch):
    monkeypatch.setenv("GRAFANA_PASSWORD", "another-one-than-before")
    assert done.stops() == ("", "")
    [sent] = done.wire.sent
    assert "apply --server-side" in sent
    monkeypatch.setenv("GRAFANA_PASSWORD", SECRETS["GRAFANA_PASSWORD"])
    assert done.stops() == ("", "")


def test_the_alert_that_is_always_on_goes_to_the_person_and_the_watchdog_to_nobody():
    config = alerts.receiving(CLUSTER.monitoring.receiver, "monitoring")
    routes = {r["matchers"][0]["value"]: r["receiver"] for r in config["spec"]["route"]["routes"]}
    assert routes == {alerts.SPEAKS: "person", "Watchdog": "nobody", "info": "nobody"}
    first = config["spec"]["route"]["routes"][0]["matchers"][0]["value"]
    assert first == alerts.SPEAKS, "it is info itself: who comes first decides"


def test_rules_are_about_what_this_lab_has():
    found = {rule["alert"]: rule["expr"] for rule in alerts.rules(LAB, CLUSTER)}
    assert {"ProxmoxSilent", "ProxmoxPoolSick", "GpuMemoryFull", alerts.SPEAKS} <= set(found)
    links = {name: expr for name, expr in found.items() if "LinkSlow" in name}
    assert any("10000000000" in expr for expr in links.values()), "the direct link"
    assert not any("OnBattery" in name for name in found), "it has no UPS"
    ups = Target(name="ups-box", address="10.0.30.5", exporter="nut", watches=("ups",))
    with_ups = with_cluster(monitoring__targets=(ups,))
    names = [rule["alert"] for rule in alerts.rules(with_ups, with_ups.clusters["homelab"])]
    assert {"UpsBoxOnBattery", "UpsBoxUpsFrozen"} <= set(names)


def test_each_card_is_watched_by_what_its_driver_tells_and_the_others_are_named():
    found = {rule["alert"]: rule["expr"] for rule in alerts.rules(LAB, CLUSTER)}
    cluster = 'count(node_drm_memory_vram_size_bytes{job!~"truenas|desktop"}) < 2'
    assert cluster in found["AMDCardsSilent"]
    assert (
        'count(node_drm_memory_vram_size_bytes{job="desktop"}) < 1'
        in (found["DesktopAMDCardsSilent"])
    )
    assert "chip_name" in found["TruenasIntelCardsSilent"]
    assert {"GpuMemoryFull", "GpuHot", "NvidiaHot"} <= found.keys()
    assert "IntelCardsSilent" not in found, "no node has one"
    assert cards.untold(LAB, CLUSTER) == []
    (step,) = (each for each in production.steps(LAB, 4) if each.name == "alerts")
    assert "TrueNAS has from 26 on" in step.why
    board = json.loads(dashboard.document(LAB, CLUSTER, "monitoring")["data"]["homelab.json"])
    asked = [panel["targets"][0]["expr"] for panel in board["panels"]]
    assert {"node_drm_memory_vram_used_bytes", "DCGM_FI_DEV_GPU_TEMP", cards.HEAT} <= set(asked)


def test_cards_of_machines_that_nobody_asks_are_named():
    """What a TrueNAS sends as Graphite has no card, and no pool's state."""
    lab = with_cluster(monitoring__targets=(SENDING,))
    assert cards.untold(lab, lab.clusters["homelab"]) == [
        "Intel Arc B580 in truenas", "AMD Radeon RX 7600 in desktop",
    ]  # fmt: skip
    (step,) = (each for each in production.steps(lab, 4) if each.name == "alerts")
    assert "Of Intel Arc B580 in truenas" in step.why
    assert "Of its pools truenas sends no state" in step.why


def test_the_desktop_tells_of_its_card_at_one_address_and_only_the_cluster_gets_there(done):
    desktop = done.world.machines["desktop"]
    laid = desktop.files.text(dropin(node_exporter.PACKAGE))
    assert "--web.listen-address=10.0.10.50:9100" in laid
    assert "--collector.drm" in laid
    reach = done.world.reach
    machines = done.world.machines
    assert reach(machines["k3s-gpu3"], "10.0.10.50", 9100) == ""
    assert "no rule" in reach(machines["k3s-gpu3"], "10.0.10.50", 22)
    assert "no rule" in reach(machines["truenas"], "10.0.10.50", 9100)


def test_an_exporter_that_told_something_else_before_is_started_anew(done):
    desktop = done.world.machines["desktop"]
    path = dropin(node_exporter.PACKAGE)
    laid = desktop.files.text(path)
    desktop.files.put(path, laid.replace("--collector.drm", ""))
    assert desktop.call(Call(("systemctl", "daemon-reload"))).finished().status == 0
    assert done.stops() == ("", "")
    assert desktop.files.text(path) == laid
    assert [line.partition(": ")[2] for line in done.wire.sent][-2:] == [
        "systemctl daemon-reload", "systemctl restart prometheus-node-exporter",
    ]  # fmt: skip


def test_the_nas_tells_of_its_pools_by_an_app_that_only_reads_them(done):
    nas = done.world.machines["truenas"]
    made = nas.app_values["node-exporter"]["services"]["node-exporter"]
    assert made["volumes"] == ["/mnt/tank:/host/mnt/tank:ro,rslave"]
    assert "user" not in made, "as nobody, as its image has it"
    assert made["image"].startswith("quay.io/prometheus/node-exporter:v")
    assert "$" not in json.dumps(made), "which Compose would take for a variable"
    rules = {rule["alert"] for rule in alerts.rules(LAB, CLUSTER)}
    assert {"TruenasPoolSick", "TruenasPoolGoneTank", "TruenasPoolFull"} <= rules


def test_an_app_that_tells_is_started_again_and_put_right(done):
    nas = done.world.machines["truenas"]
    (row,) = (app for app in nas.apps if app["name"] == "node-exporter")
    row["state"] = "STOPPED"
    nas.app_values["node-exporter"]["services"]["node-exporter"]["image"] = "busybox:1"
    assert done.stops() == ("", "")
    update, start = done.wire.sent
    assert "app.update" in update
    assert "node-exporter:v" in update
    assert "app.start" in start


def test_the_nas_sends_its_numbers_to_the_cluster_and_is_put_right_where_it_does_not():
    done = bench_of(with_cluster(monitoring__targets=(SENDING,)), *ONLY)
    assert done.stops() == ("", "")
    done.wire.sent.clear()
    nas = done.world.machines["truenas"]
    [row] = nas.tables["reporting.exporters"].rows()
    told = {"destination_ip": "10.0.30.21", "destination_port": 30109, "namespace": "truenas"}
    assert told.items() <= row["attributes"].items()
    nas.tables["reporting.exporters"].insert(row | {"enabled": False})
    assert done.stops() == ("", "")
    [sent] = done.wire.sent
    assert "reporting.exporters.update" in sent
    [row] = nas.tables["reporting.exporters"].rows()
    assert row["enabled"]


def test_the_exporter_of_nvidia_s_cards_takes_no_card_and_is_not_kept_away():
    values = monitoring.Watch(LAB, CLUSTER, CLUSTER.monitoring, 4).cards.chart.values
    assert values["runtimeClassName"] == "nvidia"
    assert "nvidia.com/gpu" not in json.dumps(values.get("resources", {}))
    assert {"key": "nvidia.com/gpu", "operator": "Exists"} in values["tolerations"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"exporter": "pve"}, "by pve needs a token_id"),
        ({"exporter": "graphite"}, "by graphite needs a node_port"),
        ({"token": "env:X"}, "by node has no token"),
        ({"exporter": "nut", "watches": ["pool"]}, "tells nothing of pool or link"),
    ],
)
def test_a_target_that_can_t_be_asked_so_is_refused(target, words):
    with pytest.raises(ValidationError, match=words):
        Target(name="it", address="10.0.30.5", **target)


# Seeded mistakes ---------------------------------------------------------------------------------


def test_prometheus_on_nfs_is_refused_before_anything_runs(tmp_path):
    shutil.copytree(paths.data(), tmp_path / "lab", ignore=shutil.ignore_patterns("examples"))
    file = tmp_path / "lab" / "compute.yaml"
    text = file.read_text().replace(
        "      service: prometheus\n", "      service: prometheus\n      storage_class: nfs-tank\n"
    )
    file.write_text(text)
    with pytest.raises(LabError) as caught:
        load_lab(tmp_path / "lab")
    assert "nfs-tank is on NFS, where Prometheus and other databases lose data" in str(caught.value)
    assert "write local-path" in str(caught.value)


@pytest.mark.parametrize(
    ("service", "values", "place"),
    [
        (
            "prometheus",
            {"grafana": {"persistence": {"enabled": True, "storageClassName": "nfs-tank"}}},
            "grafana.persistence.storageClassName",
        ),
        (
            "prometheus",
            {"extra": [{"spec": {"storageClassName": "nfs-tank"}}]},
            "extra.0.spec.storageClassName",
        ),
        (
            "open-webui",
            {"persistence": {"storageClass": "nfs-tank"}},
            "persistence.storageClass",
        ),
    ],
)
def test_no_value_for_a_chart_brings_a_database_onto_nfs(service, values, place):
    with pytest.raises(LabError) as caught:
        changed(load_lab(), (f"services.{service}.chart.values", values))
    words = " ".join(str(caught.value).split())
    assert f"services.{service}.chart.values.{place}: nfs-tank is on NFS, where databases" in words


def test_what_is_no_database_may_lie_on_nfs():
    """A model is read from its start to its end, and by nobody written to."""
    values = {"persistentVolume": {"storageClass": "nfs-tank"}}
    changed(load_lab(), ("services.ollama.chart.values", values))


@pytest.mark.sample
def test_an_app_of_that_name_which_somebody_else_made_is_left_alone():
    bench = bench_of(LAB, *ONLY)
    nas = bench.world.machines["truenas"]
    nas.config["docker"]["pool"] = "tank"
    document = {"services": {"node-exporter": {"image": "somebody/else:1"}}}
    made = {"app_name": "node-exporter", "custom_app": True, "custom_compose_config": document}
    made_there = nas.call(Call(("midclt", "call", "-j", "app.create", json.dumps(made))))
    assert made_there.finished().status == 0
    step, says = bench.stops()
    assert step == "exporters"
    assert "there is an app node-exporter on truenas already, and we did not make it" in says


@pytest.mark.sample
def test_a_firewall_that_keeps_prometheus_from_the_desktop_is_named():
    walls = {"firewall": LAB.firewalls["firewall"].model_copy(update={"filter_rules": ()})}
    step, says = bench_of(LAB.model_copy(update={"firewalls": walls}), *ONLY).stops()
    assert step == "alerts"
    assert "scrapeConfig/monitoring/desktop" in says
    assert "firewall has no rule that lets VLAN 30 into VLAN 10" in says


@pytest.mark.sample
def test_a_target_that_nobody_answers_at_is_named():
    dead = Target(name="switch", address="10.0.30.99", port=9116)
    lab = with_cluster(monitoring__targets=(dead,))
    step, says = bench_of(lab, *ONLY).stops()
    assert step == "alerts"
    assert "Prometheus does not hear from scrapeConfig/monitoring/switch" in says


def test_a_ups_whose_server_does_not_answer_is_named():
    ups = Target(name="ups", address="10.0.30.5", exporter="nut", watches=("ups",))
    step, says = bench_of(with_cluster(monitoring__targets=(ups,)), *ONLY).stops()
    assert step == "alerts"
    assert "scrapeConfig/monitoring/ups" in says
    assert "status 500" in says


@pytest.mark.sample
def test_an_exporter_to_which_nobody_sends_is_told_though_it_answers():
    nas = Target(name="attic", address="10.0.30.6", exporter="graphite", node_port=30110)
    step, says = bench_of(with_cluster(monitoring__targets=(nas,)), *ONLY).stops()
    assert step == "alerts"
    assert "nothing that attic sends has arrived" in says


@pytest.mark.sample
def test_a_receiver_whose_secret_is_wrong_is_told(monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK", "hooks.example.org without a scheme")
    step, says = bench_of(LAB, *ONLY).stops()
    assert step == "alerts"
    assert "none of 1 messages by webhook was taken" in says


@pytest.mark.sample
def test_a_secret_of_grafana_that_nobody_described_is_said_by_its_pod():
    lab = with_service("prometheus", chart__secrets={})
    step, says = bench_of(lab, *ONLY).stops()
    assert step == "monitoring"
    assert 'secret "grafana-admin" not found' in says
