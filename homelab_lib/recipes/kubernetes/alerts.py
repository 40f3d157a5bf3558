"""What somebody is told of: alert rules for what a lab has, and whom Alertmanager tells.

Sources of the metrics' names: prometheus/node_exporter (`collector/zfs_linux.go`,
`netclass_linux.go`); DRuggeri/nut_exporter; prometheus-pve/prometheus-pve-exporter;
prometheus/graphite_exporter; cert-manager.io/docs/devops-tips/prometheus-metrics.
"""

from collections.abc import Iterator
from typing import Any

from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import Receiver, Target
from homelab_lib.recipes.kubernetes import cards, manifests

SPEAKS = "HomelabSpeaks"
"""Always on: the one that shows that a message arrives, and once a month that it still does."""
CONFIG = "homelab"
SECRET = "alert-receiver"
KEYS = {"webhook": "url", "telegram": "token"}
_FULL, _SOON_S = 0.2, 14 * 86400

Rule = dict[str, Any]


def rules(lab: Lab, cluster: Cluster) -> list[Rule]:
    """The rules of a lab, each with a sentence for the person whom it tells.

    Parameters
    ----------
    lab, cluster
        What there is, and the cluster that watches it.
    """
    assert cluster.monitoring is not None
    found = [
        _rule(SPEAKS, "vector(1)", "0m", "info", f"Alerts of lab {lab.name} arrive here"),
        _rule(
            "CertificateEndsSoon",
            f"certmanager_certificate_expiration_timestamp_seconds - time() < {_SOON_S}",
            "1h",
            "warning",
            "Certificate {{ $labels.name }} ends within two weeks and was not renewed",
        ),
    ]
    found += (_rule(*told) for told in cards.rules(lab, cluster))
    for target in cluster.monitoring.targets:
        found += _of_target(lab, target)
    return found


def _of_api(job: str, name: str) -> Iterator[Rule]:
    """What a hypervisor's API tells: nodes and storages, and guests that start with their node."""
    for what, expression, says in (
        ("Down", f'pve_up{{{job},id=~"(node|storage)/.+"}} == 0', "{{ $labels.id }} is down"),
        ("GuestDown", f"pve_up{{{job}}} == 0 and on (id) pve_onboot_status{{{job}}} == 1",
         "{{ $labels.id }} starts with its node, and does not run"),
        ("StorageFull", f'pve_disk_usage_bytes{{{job},id=~"storage/.+"}} '
         f'/ pve_disk_size_bytes{{{job},id=~"storage/.+"}} > 0.85',
         "{{ $labels.id }} is more than 85 % full"),
        ("NotBackedUp", f"pve_not_backed_up_info{{{job}}} == 1",
         "No backup job has {{ $labels.id }} in it"),
    ):  # fmt: skip
        yield _rule(f"{name}{what}", expression, "10m", "warning", says)


def _of_ups(job: str, name: str) -> Iterator[Rule]:
    """What a UPS says of itself, by NUT's flags."""
    for what, flag, for_, severity, says in (
        ("OnBattery", "OB", "1m", "critical", "{{ $labels.ups }} runs on its battery"),
        ("BatteryLow", "LB", "0m", "critical", "{{ $labels.ups }} is about to go off"),
        ("BatteryOld", "RB", "1h", "warning", "{{ $labels.ups }} wants another battery"),
    ):
        expression = f'network_ups_tools_ups_status{{{job},flag="{flag}"}} == 1'
        yield _rule(f"{name}{what}", expression, for_, severity, says)
    # A driver that hears nothing any more may go on telling the last that it heard.
    yield _rule(
        f"{name}UpsFrozen",
        f"changes(network_ups_tools_input_voltage{{{job}}}[6h]) == 0",
        "1d",
        "warning",
        "{{ $labels.ups }} has told one mains voltage for a day, which no mains keeps: see "
        "whether its driver still hears it",
    )


def _of_target(lab: Lab, target: Target) -> Iterator[Rule]:
    job, name = f'job="{target.name}"', _camel(target.name)
    yield _rule(
        f"{name}Silent", f"up{{{job}}} == 0", "5m", "critical", f"{target.name} does not answer"
    )
    yield from (_rule(*told) for told in cards.on_target(lab, target, name))
    if "pool" in target.watches:
        yield _rule(
            f"{name}PoolSick",
            # Of a state that it does not know, an exporter says of all that it is none of them.
            f'node_zfs_zpool_state{{{job},state="online"}} == 0',
            "1m",
            "critical",
            "Pool {{ $labels.zpool }} is not online: `zpool status` says what it is",
        )
        for pool in lab.pools.get(target.name, {}):
            there = f'node_zfs_zpool_state{{{job},zpool="{pool}"}}'
            yield _rule(
                f"{name}PoolGone{_camel(pool)}",
                f"absent({there}) and on () up{{{job}}} == 1",
                "5m",
                "critical",
                f"Pool {pool} is not there: {target.name} has not imported it",
            )
        zfs = f'{job},fstype="zfs"'
        yield _rule(
            f"{name}PoolFull",
            f"node_filesystem_avail_bytes{{{zfs}}} / node_filesystem_size_bytes{{{zfs}}} < {_FULL}",
            "30m",
            "warning",
            "{{ $labels.mountpoint }} is more than 80 % full: ZFS gets slow from there on",
        )
    if "link" in target.watches:
        for interface, speed_bps in _links(lab, target):
            where = f'{job},device="{interface}"'
            yield _rule(
                f"{name}LinkSlow{_camel(interface)}",
                f"node_network_speed_bytes{{{where}}} * 8 < {speed_bps} "
                f"or node_network_carrier{{{where}}} == 0",
                "5m",
                "warning",
                f"{interface} of {target.name} is down, or slower than {speed_bps / 1e9:g} Gb/s",
            )
    if "ups" in target.watches:
        yield from _of_ups(job, name)
    if target.exporter == "pve":
        yield from _of_api(job, name)
    if target.exporter == "graphite":  # which answers, whoever sends or does not
        last = f"graphite_last_processed_timestamp_seconds{{{job}}}"
        says = f"{target.name} sends no numbers any more"
        yield _rule(f"{name}SendsNothing", f"time() - {last} > 300", "5m", "critical", says)


def _links(lab: Lab, target: Target) -> Iterator[tuple[str, int]]:
    """The cabled interfaces of a host, and what each runs at when all is well [bit/s]."""
    host = lab.hosts.get(target.name)
    cabled = {end for cable in lab.cables for end in (cable.a, cable.b)}
    for name, port in host.ports.items() if host else ():
        if f"{target.name}.{name}" in cabled and port.interface and port.speeds_bps:
            yield port.interface, _agreed_bps(lab, f"{target.name}.{name}")


def _agreed_bps(lab: Lab, end: str) -> int:
    """The highest speed that both ends of a cable have [bit/s]; of one that only one is known of,
    its own."""
    ends = next((c.a, c.b) for c in lab.cables if end in (c.a, c.b))
    speeds = [set(port.speeds_bps) for each in ends if (port := _port(lab, each)) is not None]
    return max(set.intersection(*speeds), default=0)


def _port(lab: Lab, end: str) -> Any:
    machine, _, name = end.partition(".")
    for room in (lab.hosts, lab.switches):
        if machine in room:
            return room[machine].ports.get(name)
    return None


def _rule(name: str, expression: str, for_: str, severity: str, summary: str) -> Rule:
    return {
        "alert": name,
        "expr": expression,
        "for": for_,
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def document(lab: Lab, cluster: Cluster, namespace: str) -> manifests.Object:
    """The rules as the operator of Prometheus takes them."""
    group = {"name": "homelab", "interval": "30s", "rules": rules(lab, cluster)}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": CONFIG, "namespace": namespace},
        "spec": {"groups": [group]},
    }


def receiving(receiver: Receiver | None, namespace: str) -> manifests.Object:
    """Whom Alertmanager tells. What is secret of it stands in a Secret."""
    person: dict[str, Any] = {"name": "person"}
    if receiver is not None:
        source = {"name": SECRET, "key": KEYS[receiver.kind]}
        if receiver.kind == "webhook":
            person["webhookConfigs"] = [{"urlSecret": source, "sendResolved": True}]
        else:
            chat = {"botToken": source, "chatID": receiver.chat, "sendResolved": True}
            person["telegramConfigs"] = [chat]
    speaks = _matched("alertname", SPEAKS, "person") | {"repeatInterval": "720h"}
    quiet = [_matched("alertname", "Watchdog", "nobody"), _matched("severity", "info", "nobody")]
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"name": CONFIG, "namespace": namespace},
        "spec": {
            "route": {
                "receiver": "person",
                "groupBy": ["alertname"],
                "groupWait": "30s",
                "groupInterval": "5m",
                "repeatInterval": "12h",
                "routes": [speaks, *quiet],
            },
            "receivers": [person, {"name": "nobody"}],
        },
    }


def _matched(name: str, value: str, receiver: str) -> dict[str, Any]:
    matcher = {"name": name, "value": value, "matchType": "="}
    return {"matchers": [matcher], "receiver": receiver}
