"""Who watches the house: Prometheus, Grafana and Alertmanager, whom they ask and whom they tell."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.control.kubernetes.charts import Served
from homelab_lib.control.kubernetes.monitoring import (
    Fed,
    Reconciled,
    RulesLoaded,
    TargetsUp,
    Told,
    Web,
    silenced,
)
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.secrets import SecretObject
from homelab_lib.control.truenas.families import sends_numbers
from homelab_lib.control.truenas.midclt import release as nas_release
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.production import Monitoring, Target
from homelab_lib.recipes.kubernetes import (
    alerts,
    cards,
    dashboard,
    exporters,
    manifests,
    node_exporter,
)
from homelab_lib.recipes.kubernetes.charts import Release
from homelab_lib.recipes.kubernetes.published import published
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted

_GROUP = "monitoring.coreos.com"
_KINDS = tuple(
    f"{kind}.{_GROUP}"
    for kind in ("prometheuses", "alertmanagers", "alertmanagerconfigs", "prometheusrules",
                 "scrapeconfigs", "podmonitors")
)  # fmt: skip
# The chart's own two, and graphics cards: whoever gives one replaces them all.
_EXPORTER_ARGUMENTS = (
    "--collector.filesystem.mount-points-exclude="
    "^/(dev|proc|sys|var/lib/docker/.+|var/lib/kubelet/.+)($|/)",
    "--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|"
    "devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|"
    "rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    "--collector.drm",
)
_PROMETHEUS, _ALERTMANAGER = 9090, 9093
_NAME_AT_MOST = 26


def steps(lab: Lab, cluster: Cluster, phase: int, end: str) -> Iterator[Step]:
    """The steps of a cluster's monitoring; none where it gets none in this phase.

    Parameters
    ----------
    lab, cluster
        What is described.
    phase
        The number of the phase.
    end
        What the steps' names end with.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    described = cluster.monitoring
    if described is None or lab.services[described.service].phase != phase:
        return
    watch = Watch(lab, cluster, described, phase)
    told_at_home = watch.told_at_home()
    if told_at_home:
        yield Step(
            f"exporters{end}",
            "Have the hosts tell numbers of themselves",
            why="The node exporter on each host that Prometheus is to ask: pools, links, cards, "
            "temperatures. A Debian has it as a package; on a TrueNAS, where nothing is installed, "
            "it is an app by Prometheus's own image. It listens on the one address at which it is "
            "asked, and answers whoever asks there: a firewall says who may.",
            ensure=lambda ctx: iter(told_at_home),
        )
    yield Step(
        f"monitoring{end}",
        "Install Prometheus, Grafana and Alertmanager",
        why="One chart for all three. What k3s has no port for is not asked, or it would be said "
        "to be down for ever. The numbers lie on the node's own disk: on NFS Prometheus loses "
        "them. How many series there are is measured by what answers: each target has to be up.",
        needs=(f"exporters{end}",) if told_at_home else (),
        ensure=watch.ensure,
        check=watch.local,
        measure=watch.count,
    )
    yield Step(
        f"alerts{end}",
        "Watch this lab, and tell somebody",
        why="Rules and a dashboard of this lab's own. One alert is always on: it shows that a "
        f"message arrives, comes again once a month, and goes to the same person as all others."
        f"{cards.unheard(lab, cluster)}{exporters.unsent(described.targets)}",
        needs=(f"monitoring{end}",),
        ensure=watch.rules,
    )
    if described.receiver is not None:
        yield Step(
            f"told{end}",
            "See that a message has arrived",
            why="Alertmanager knows that its receiver took the message, and not that anybody saw "
            "it. Whoever did silences that alert in Alertmanager: that can be looked up.",
            needs=(f"alerts{end}",),
            manual=Manual(
                f"look whether {alerts.SPEAKS} has arrived by {described.receiver.kind}; then "
                "silence it in Alertmanager for a month, or confirm this step",
                verify=watch.seen,
                or_confirmed=True,
            ),
        )


class Watch:
    """A cluster's monitoring; see `steps`."""

    def __init__(self, lab: Lab, cluster: Cluster, described: Monitoring, phase: int) -> None:
        self.lab = lab
        self.cluster = cluster
        self.described = described
        self.phase = phase
        self.server = cluster.first_server
        self.release = Release.of(lab, described.service, "watches the house", self._values())

    @property
    def space(self) -> str:
        """The namespace of all of it."""
        return self.release.chart.namespace

    def told_at_home(self) -> list[Wanted]:
        """The exporter of each machine that tells of itself.

        Raises
        ------
        BadParameter
            It would be an app, and nothing says on which pool apps are kept.
        """
        own = [each for each in self.described.targets if node_exporter.is_made(self.lab, each)]
        return [wanted for target in own for wanted in node_exporter.on(self.lab, target)]

    def _values(self) -> dict[str, Any]:
        """What k3s and this house need of the chart."""
        absent = ("kubeControllerManager", "kubeScheduler", "kubeProxy", "kubeEtcd")
        kinds = ("serviceMonitor", "podMonitor", "rule", "probe", "scrapeConfig")
        spec: dict[str, Any] = {f"{kind}SelectorNilUsesHelmValues": False for kind in kinds}
        spec |= {
            "retention": f"{self.described.retention_d}d",
            "storageSpec": self._kept(self.described.storage),
        }
        told = {
            "alertmanagerConfiguration": {"name": alerts.CONFIG},
            "storage": self._kept("1Gi"),
        }
        return {name: {"enabled": False} for name in absent} | {
            "prometheus": {"prometheusSpec": spec},
            "alertmanager": {"alertmanagerSpec": told},
            "prometheus-node-exporter": {"extraArgs": list(_EXPORTER_ARGUMENTS)},
        }

    def _kept(self, size: str) -> dict[str, Any]:
        claim = {
            "storageClassName": self.described.storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
        }
        return {"volumeClaimTemplate": {"spec": claim}}

    def _web(self, what: str, port: int) -> Web:
        chart = self.release.chart
        name = manifests.full_name(chart.name, chart.chart)
        return Web(self.server, self.space, f"{name[:_NAME_AT_MOST].rstrip('-')}-{what}", port)

    @property
    def cards(self) -> Release | None:
        """NVIDIA's exporter, where a node has a card of theirs."""
        name = self.described.nvidia
        if name is None or not cards.counted(self.lab, self.cluster)["NVIDIA"]:
            return None
        return Release.of(self.lab, name, "tells of NVIDIA's cards", exporters.NVIDIA_VALUES)

    @property
    def tokens(self) -> dict[str, str]:
        """By which reference the value of each Secret is had by which somebody is asked."""
        return {
            exporters.secret_name(target): target.token
            for target in self.described.targets
            if target.token is not None
        }

    @property
    def prometheus(self) -> Web:
        """Prometheus itself."""
        return self._web("prometheus", _PROMETHEUS)

    @property
    def alertmanager(self) -> Web:
        """Alertmanager itself."""
        return self._web("alertmanager", _ALERTMANAGER)

    def documents(self) -> Iterator[manifests.Object]:
        """What is applied besides the chart."""
        yield alerts.receiving(self.described.receiver, self.space)
        yield alerts.document(self.lab, self.cluster, self.space)
        yield dashboard.document(self.lab, self.cluster, self.space)
        for target in self.described.targets:
            yield from exporters.documents(target, self.space)
            yield exporters.scraped(target, self.space)
        if self.cards is not None:
            yield from self.cards.documents()
        if self.cluster.certificates is not None:
            yield self._certificates()
        yield from published(self.lab, self.cluster, self.phase)

    def _certificates(self) -> manifests.Object:
        """cert-manager's own numbers: when each certificate ends."""
        labels = {"app.kubernetes.io/name": "cert-manager"}
        assert self.cluster.certificates is not None
        chart = self.lab.services[self.cluster.certificates.service].chart
        return {
            "apiVersion": f"{_GROUP}/v1",
            "kind": "PodMonitor",
            "metadata": {"name": "cert-manager", "namespace": self.space},
            "spec": {
                "namespaceSelector": {"matchNames": [chart.namespace if chart else ""]},
                "selector": {"matchLabels": labels},
                "podMetricsEndpoints": [{"port": "http-metrics"}],
            },
        }

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The chart, whom it tells, and what its operator makes of both."""
        yield from self.release.ensure(ctx)
        yield Served(self.server, _KINDS)
        receiver = self.described.receiver
        if receiver is not None:
            values = {alerts.KEYS[receiver.kind]: ctx.secret(receiver.secret)}
            yield SecretObject(self.server, self.lab.name, alerts.SECRET, self.space, values)
        yield self._applied(alerts.receiving(receiver, self.space))
        yield Reconciled(self.server, self.space, "prometheuses")
        yield Reconciled(self.server, self.space, "alertmanagers")
        yield self.release.ready()

    def _applied(self, document: manifests.Object) -> Applied:
        return Applied(self.server, self.lab.name, document)

    def local(self, ctx: Context) -> Iterator[Check]:
        """Its numbers lie where it is safe for them."""
        nfs = self.cluster.nfs
        wanted = self.described.storage_class
        good = nfs is None or wanted != nfs.name
        yield Check("numbers are kept on a disk of the node", good, f"storage class {wanted}")

    def count(self, ctx: Context) -> Iterator[Measurement]:
        """How many targets answer."""
        up = TargetsUp(self.prometheus, ()).observe(ctx.host(self.server))["up"]
        yield Measurement("targets that answer", up, "targets")

    def rules(self, ctx: Context) -> Iterator[Wanted]:
        """Rules, dashboard and targets; that all of them answer, and that a message went out."""
        for name, reference in self.tokens.items():
            values = {exporters.TOKEN_KEY: ctx.secret(reference)}
            yield SecretObject(self.server, self.lab.name, name, self.space, values)
        for document in self.documents():
            yield self._applied(document)
        if self.cards is not None:
            yield from self.cards.ensure(ctx)
            yield self.cards.ready()
        for target in self.described.targets:
            if target.exporter == "graphite":
                yield from self._sending(ctx, target)
        names = [rule["alert"] for rule in alerts.rules(self.lab, self.cluster)]
        yield RulesLoaded(self.prometheus, tuple(names))
        pools = [f"scrapeConfig/{self.space}/{target.name}" for target in self.described.targets]
        yield TargetsUp(self.prometheus, tuple(pools))
        if self.described.receiver is not None:
            yield Told(self.prometheus, self.described.receiver.kind)

    def _sending(self, ctx: Context, target: Target) -> Iterator[Wanted]:
        """A TrueNAS that sends its numbers, and that they arrive: its exporter answers without."""
        nas = next((h for h in self.lab.hosts.values() if h.os.kind == "truenas"
                    and h.name == target.name), None)  # fmt: skip
        node = self.lab.vms[self.server].ip
        if nas is not None and node is not None and target.node_port is not None:
            release = nas_release(ctx.host(nas.name))
            place = (str(node), target.node_port)
            yield sends_numbers(nas.name, self.lab.name, release, *place)
        yield Fed(self.prometheus, target.name)

    def seen(self, ctx: Context) -> Check:
        """Whether somebody has silenced the alert that is always on."""
        done = silenced(ctx.host(self.server), self.alertmanager, alerts.SPEAKS)
        return Check(f"{alerts.SPEAKS} is silenced", done, "silenced" if done else "not silenced")
