"""Who may come in to a pod: network policies, as k3s enforces them.

Sources: kubernetes.io, Network Policies; kube-router (`pkg/controllers/netpol`), which k3s has in
it: what comes from the pod's own node always passes, and what is refused is rejected at once. A
rule's ports are not looked at: whoever may come in at one may come in at all.
"""

import ipaddress
from dataclasses import dataclass

from homelab_lib.twin.kubernetes.cluster import Cluster
from homelab_lib.twin.kubernetes.objects import Object, dig


@dataclass(frozen=True)
class Peer:
    """Who asks.

    Parameters
    ----------
    address
        The address that its packets come from.
    node
        The node that it is, or is on; empty for none.
    pod
        The pod that it is; None for a machine.
    """

    address: str = ""
    node: str = ""
    pod: Object | None = None


def admits(cluster: Cluster, pod: Object, peer: Peer) -> bool:
    """Whether a pod's policies let somebody in; a pod that none is about lets in everybody."""
    if peer.pod is None and peer.node == pod["spec"].get("nodeName"):
        return True
    about = [
        policy
        for policy in cluster.all("NetworkPolicy", pod["metadata"]["namespace"])
        if "Ingress" in policy["spec"].get("policyTypes", ("Ingress",))
        and _chosen(pod, policy["spec"].get("podSelector"))
    ]
    rules = [rule for policy in about for rule in policy["spec"].get("ingress") or ()]
    return not about or any(_passes(cluster, pod, rule, peer) for rule in rules)


def _passes(cluster: Cluster, pod: Object, rule: Object, peer: Peer) -> bool:
    space = pod["metadata"]["namespace"]
    froms = rule.get("from") or ()
    return not froms or any(_is(cluster, space, each, peer) for each in froms)


def _is(cluster: Cluster, space: str, source: Object, peer: Peer) -> bool:
    if "ipBlock" in source:
        block = source["ipBlock"]
        inside = _within(peer.address, block["cidr"])
        return inside and not any(_within(peer.address, each) for each in block.get("except", ()))
    if peer.pod is None:
        return False
    own = peer.pod["metadata"]["namespace"]
    spaces = own == space
    if "namespaceSelector" in source:
        spaces = _chosen(cluster.get("Namespace", own) or {}, source["namespaceSelector"])
    return spaces and _chosen(peer.pod, source.get("podSelector"))


def _within(address: str, cidr: str) -> bool:
    return bool(address) and ipaddress.ip_address(address) in ipaddress.ip_network(cidr)


def _chosen(document: Object, selector: Object | None) -> bool:
    """Whether a selector chooses an object; an empty one chooses all."""
    labels = dig(document, "metadata.labels") or {}
    wanted = (selector or {}).get("matchLabels") or {}
    several = (selector or {}).get("matchExpressions") or ()
    return wanted.items() <= labels.items() and all(_fits(labels, each) for each in several)


def _fits(labels: Object, wanted: Object) -> bool:
    value, operator = labels.get(wanted["key"]), wanted["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    return (value in wanted.get("values", ())) == (operator == "In")
