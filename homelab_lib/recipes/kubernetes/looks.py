"""What `health` looks at in clusters: agents that leak, certificates by their dates, who keeps the
cluster, and whether pods still have their cards.

All of it is green when it is made, stays green in what is written, and fails weeks later.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from functools import partial

from homelab_lib.control.clock import clock_s
from homelab_lib.control.kubernetes.certificates import ends
from homelab_lib.control.kubernetes.containers import sights
from homelab_lib.control.kubernetes.gitops import gave_up
from homelab_lib.control.linux.authorities import FOLDER
from homelab_lib.control.linux.memory import memory_of
from homelab_lib.control.linux.served import shown_until_s, written_until_s
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.recipes.graphics.placed import cards_of
from homelab_lib.recipes.kubernetes.published import names
from homelab_lib.runbook.step import Check, Context, Step
from homelab_lib.units import format_ibytes

_SOON_D = 14.0
"""A certificate that has less left was not renewed: that is due when a third is left [d]."""
_DAY_S = 86_400.0
_MUCH = 0.4  # of a machine's memory, for an agent that takes a few hundred MiB


def looks(lab: Lab, phases: Collection[int]) -> Iterator[Step]:
    """The steps of the clusters that stand when some phases are done.

    Parameters
    ----------
    lab, phases
        The lab, and the numbers of the phases that are done.
    """
    for cluster in lab.clusters.values():
        if not (cluster.exists or cluster.phase in phases):
            continue
        end = f"-{cluster.name}" if len(lab.clusters) > 1 else ""
        nodes = [lab.vms[name] for name in cluster.vms]
        there = [vm.name for vm in nodes if vm.exists or vm.phase in phases]
        yield _agents(cluster, there, end)
        if cluster.certificates and _done(lab, cluster.certificates.service, phases):
            yield _dates(lab, cluster, phases, end)
        if cluster.gitops and _done(lab, cluster.gitops.service, phases):
            yield _kept(cluster, end)
        if any(
            card.part.vendor == "NVIDIA" and card.cluster == cluster
            for phase in phases
            for card in cards_of(lab, phase)
        ):
            yield _cards(cluster, end)


def _done(lab: Lab, service: str, phases: Collection[int]) -> bool:
    return lab.services[service].phase in phases


# Agents -----------------------------------------------------------------------------------------


def _agents(cluster: Cluster, nodes: list[str], end: str) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        for name in nodes:
            unit = "k3s" if name in cluster.servers else "k3s-agent"
            held = memory_of(ctx.host(name), unit)
            if held is None:
                says = f"`systemctl start {unit}` there, and see its journal"
                yield Check(f"{unit} runs on {name}", False, says)
                continue
            says = f"{format_ibytes(held.held_bytes)} of {format_ibytes(held.total_bytes)}"
            well = held.share < _MUCH
            mends = "" if well else f"; it leaks: `systemctl restart {unit}` there, pods go on"
            title = f"{unit} holds no more memory on {name} than it should"
            yield Check(title, well, f"{says}{mends}")

    why = "An agent that leaks is killed one night, and its node's pods are lost with it."
    return Step(f"agents{end}", f"Memory of {cluster.name}'s agents", why=why, check=check)


# Certificates -----------------------------------------------------------------------------------


def _dates(lab: Lab, cluster: Cluster, phases: Collection[int], end: str) -> Step:
    assert cluster.certificates is not None
    described = cluster.certificates

    def check(ctx: Context) -> Iterator[Check]:
        server = ctx.host(cluster.first_server)
        now_s = clock_s(server)
        for name, until in ends(server).items():
            title = f"certificate {name} is good for a while"
            if until[:4].isdigit():
                ends_s = datetime.fromisoformat(until).timestamp()
                yield good_until(title, ends_s, now_s, _RENEWS, written=True)
            else:
                says = until or "it says nothing of its end"
                yield Check(title, False, f"{says}; {_RENEWS}", looks_at="written")
        for client in described.trusted_by:
            path = f"{FOLDER}/{described.authority.name}.crt"
            title = f"the authority that {client} believes is good for a while"
            until_s = written_until_s(ctx.host(client), path)
            yield good_until(title, until_s, now_s, f"it has to be made anew, and {path} with it",
                        written=True)  # fmt: skip
            yield from _shown(ctx, client, now_s)

    def _shown(ctx: Context, client: str, now_s: float) -> Iterator[Check]:
        for each in names(lab, cluster, max(phases)):
            title = f"{each.hostname} is shown with a certificate that is good for a while"
            until_s, why = shown_until_s(ctx.host(client), each.hostname)
            if until_s is None:
                yield Check(title, False, f"{client} was shown none: {why}")
            else:
                yield good_until(title, until_s, now_s, _RENEWS)

    why = (
        "A certificate is renewed when a third of its time is left, and one that was not is seen "
        "only when it has ended. What is written and what is shown are two things: a server may "
        "go on with an old one."
    )
    title = f"Until when certificates of {cluster.name} are good"
    return Step(f"dates{end}", title, why=why, check=check)


_RENEWS = (
    "cert-manager did not renew it: `k3s kubectl rollout restart deployment cert-manager "
    "-n cert-manager`, and see its log"
)


def good_until(
    title: str, until_s: float, now_s: float, mends: str, *, written: bool = False
) -> Check:
    """Whether something lasts for more than two weeks, and what to do if not."""
    left_d = (until_s - now_s) / _DAY_S
    when = datetime.fromtimestamp(until_s, UTC).strftime("%Y-%m-%d")
    well = left_d > _SOON_D
    says = f"until {when}, {left_d:.0f} days" if left_d > 0 else f"it ended on {when}"
    told = says if well else f"{says}; {mends}"
    return Check(title, well, told, looks_at="written" if written else "runs")


# Who keeps it -----------------------------------------------------------------------------------


def _kept(cluster: Cluster, end: str) -> Step:
    def check(ctx: Context) -> Iterator[Check]:
        found = gave_up(ctx.host(cluster.first_server))
        yield Check("Flux goes on with all that it keeps", not found, "; ".join(found))

    why = "Flux says nothing when it gives up, and from then on the repository is only paper."
    return Step(f"kept{end}", f"Whether Flux still keeps {cluster.name}", why=why, check=check)


# Cards ------------------------------------------------------------------------------------------


def _cards(cluster: Cluster, end: str) -> Step:
    check = partial(_seen, cluster)
    why = (
        "A daemon-reload on a node can take the cards from pods that run: they stay Ready, and "
        "compute on the processor from the next load on. So the tool is asked inside of them."
    )
    return Step(
        f"cards{end}", f"Whether {cluster.name}'s pods see their cards", why=why, check=check
    )


def _seen(cluster: Cluster, ctx: Context) -> Iterator[Check]:
    for each in sights(ctx.host(cluster.first_server)):
        title = f"{each.namespace}/{each.pod} on {each.node} still sees its card"
        first = (each.says.splitlines() or ["nothing"])[0]
        mends = f"; see what nvidia-smi says on {each.node} itself"
        if "Unknown Error" in first:
            anew = f"`k3s kubectl delete pod {each.pod} -n {each.namespace}` makes it anew"
            lasts = "NVIDIA's toolkit from 1.18 on keeps that from coming again"
            mends = f"; a daemon-reload took it: {anew}, and {lasts}"
        if "version mismatch" in first:
            mends = f"; an upgrade split driver and library: restart {each.node}"
        yield Check(title, each.whole, first if each.whole else f"{first}{mends}")
