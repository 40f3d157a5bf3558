"""Checks of Kubernetes clusters: where they keep their state."""

from collections.abc import Sequence

from homelab_lib.audit.checks import About, CannotTell, Outcome, check, wanted
from homelab_lib.audit.finding import Finding
from homelab_lib.lab.lab import Lab


@check("datastore")
def datastore(lab: Lab, about: About, findings: Sequence[Finding]) -> Outcome:
    """A ``cluster`` keeps its state in what ``is`` said: etcd, or SQLite.

    k3s with one server takes SQLite by itself, and etcd where it is begun with ``cluster-init``,
    as our runbooks begin it (docs.k3s.io, Cluster Datastore).
    """
    cluster = lab.clusters.get(wanted(about, "cluster"))
    if cluster is None:
        raise CannotTell(f"the lab has no cluster {about['cluster']!r}")
    etcd, count = wanted(about, "is") == "etcd", len(cluster.servers)
    if count > 1:
        says = f"Cluster {cluster.name} has {count} servers, which share etcd."
        return Outcome("holds" if etcd else "fails", says, float(count), "servers")
    by = f", as the runbook of phase {cluster.phase} does" if cluster.phase else ""
    says = (
        f"If k3s is begun with cluster-init{by}: cluster {cluster.name} has one server, and by "
        "itself that keeps its state in SQLite, not in etcd."
    )
    return Outcome("holds-if" if etcd else "fails", says, float(count), "servers")
