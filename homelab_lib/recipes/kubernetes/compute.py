"""VMs, clusters and what runs on them: the recipes of phase 2 and of whatever is like it."""

from collections.abc import Callable, Iterator, Sequence

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.lab.guests import Vm
from homelab_lib.lab.per_host import OnHost, at
from homelab_lib.lab.storage import NfsShare
from homelab_lib.recipes.kubernetes import clients, cluster, volumes, workloads
from homelab_lib.recipes.nas import share
from homelab_lib.recipes.proxmox import machines
from homelab_lib.runbook.step import Step

MAKES = ("vms", "clusters", "nfs_shares")


def steps(lab: Lab, phase: int, public_key_of: Callable[[str], str]) -> Iterator[Step]:
    """The steps of a phase's VMs, clusters and the shares that these stand on.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    public_key_of
        Gives the public key by which a VM will be reached, by the VM's name.

    Raises
    ------
    BadParameter
        Something can't be made: its key and what to do.
    """
    clusters = [_so_far(lab, each) for each in lab.clusters.values() if each.phase == phase]
    nodes = dict.fromkeys(name for each in clusters for name in each.vms)
    made = [lab.vms[name] for name in nodes if _is_made(lab, phase, lab.vms[name], "vms")]
    made += [vm for vm in lab.vms.values() if vm.phase == phase and vm.name not in nodes]
    there = [lab.vms[name] for name in nodes if lab.vms[name] not in made]
    on_machines = list(machines.steps(lab, made, there, public_key_of))
    yield from on_machines
    before = ("machines",) if on_machines else ()
    shares = _shares(lab, phase, clusters)
    users = {each.nfs.share: each for each in clusters if each.nfs is not None}
    for name, each_share in shares.items():
        yield share.step(lab, each_share, users.get(each_share.id), name, before)
    for each in clusters:
        end = f"-{each.name}" if len(clusters) > 1 else ""
        stands_on = tuple(n for n, s in shares.items() if each.nfs and s.id == each.nfs.share)
        on_cluster = list(cluster.steps(lab, each, end, before))
        yield from on_cluster
        running = (on_cluster[-1].name,)
        yield from volumes.steps(lab, each, end, (*running, *stands_on))
        if each.workloads:
            yield workloads.step(lab, each, end, running)
        if each.clients:
            yield clients.step(lab, each, end)
    grown = [each for each in lab.clusters.values() if _late(lab, each, phase)]
    for each in grown:
        end = f"-{each.name}" if len(grown) > 1 else ""
        yield cluster.grow(lab, each, _late(lab, each, phase), end, before)
    looked_at = _stood_on(lab, phase)
    for each in looked_at:
        alone = len(clusters) + len(looked_at) == 1
        yield cluster.look(lab, each, "" if alone else f"-{each.name}")


def _so_far(lab: Lab, each: Cluster) -> Cluster:
    """A cluster with the workers that it has when it is made; others join in a later phase."""
    now = [name for name in each.agents if (lab.vms[name].phase or 0) <= (each.phase or 0)]
    return each.model_copy(update={"agents": tuple(now)})


def _late(lab: Lab, each: Cluster, phase: int) -> list[str]:
    """The workers that join a cluster in a phase, and were not there when it was made."""
    made = each.phase is not None and each.phase < phase
    return [name for name in each.agents if lab.vms[name].phase == phase] if made else []


def _shares(lab: Lab, phase: int, clusters: Sequence[Cluster]) -> dict[str, NfsShare]:
    """The NFS shares that the phase's clusters stand on, by the names of their steps: that of
    their kind, with their own where there are several."""
    refs = dict.fromkeys(each.nfs.share for each in clusters if each.nfs is not None)
    used = [found for ref in refs if (found := at(lab.nfs_shares, ref)) is not None]
    shares = [each for each in used if _is_made(lab, phase, each, "nfs_shares")]
    shares += [each for each in used if each.exists]
    if len(shares) == 1:
        return {"share": shares[0]}
    names = [each.name for each in shares]
    return {f"share-{s.name if names.count(s.name) == 1 else s.id}": s for s in shares}


def _is_made(lab: Lab, phase: int, thing: Vm | NfsShare, room: str) -> bool:
    """Whether what a cluster stands on is made together with it; else it is there already.

    Raises
    ------
    BadParameter
        It is made later.
    """
    key = f"{room}.{thing.id if isinstance(thing, OnHost) else thing.name}"
    if thing.phase is not None and thing.phase > phase:
        raise BadParameter(
            f"phase {phase} needs {key}, which phase {thing.phase} makes",
            where=f"{key}.phase",
            fix=f"write  phase: {phase}  there, or give what needs it a later phase",
        )
    return not thing.exists and thing.phase in (None, phase)


def _stood_on(lab: Lab, phase: int) -> list[Cluster]:
    """The clusters that are there already, and that services of the phase run on."""
    places = dict.fromkeys(s.runs_on for s in lab.services.values() if s.phase == phase)
    return [lab.clusters[p] for p in places if p in lab.clusters and lab.clusters[p].exists]
