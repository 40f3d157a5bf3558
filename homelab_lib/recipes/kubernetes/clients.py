"""kubectl on the machines people sit at."""

from collections.abc import Iterator

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control import kubeconfig
from homelab_lib.control.linux import Download, login
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster
from homelab_lib.runbook.step import Check, Context, Step, Wanted

KUBECTL = "/usr/local/bin/kubectl"
_VERSION: Shape = {"clientVersion": {"gitVersion": str}}


def step(lab: Lab, cluster: Cluster, end: str) -> Step:
    """The step of a cluster's clients.

    Parameters
    ----------
    lab, cluster
        The cluster names its clients, and the kubectl that they get.
    end
        What the step's name ends with.

    Raises
    ------
    BadParameter
        A client can't be set up.
    """
    clients = Clients(lab, cluster)
    return Step(
        f"desktop{end}",
        "Set up kubectl on the clients",
        why="kubectl of the cluster's own minor version, and a context added to the kubeconfig "
        "that is there. What was in it stays; a copy of the old file is kept.",
        needs=(f"server{end}",),
        ensure=clients.ensure,
        check=clients.check,
    )


class Clients:
    """Those that a cluster is used from; see `step`."""

    def __init__(self, lab: Lab, cluster: Cluster) -> None:
        self.lab = lab
        self.cluster = cluster
        for name in cluster.clients:
            if lab.hosts[name].ssh is None or lab.hosts[name].standalone:
                raise BadParameter(
                    f"{name} is to get kubectl, and no runbook may log in there",
                    where=f"clusters.{cluster.name}.clients",
                    fix=f"give {name} an ssh login, or take it out of clients",
                )

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """kubectl of the server's minor version, and our context beside those that are there."""
        cluster = self.cluster
        address = self.lab.vms[cluster.first_server].ip or ""
        if cluster.kubectl is not None:
            download = self.lab.downloads[cluster.kubectl]
            mode = download.mode.lstrip("0")
            yield [
                Download(
                    client,
                    KUBECTL,
                    download.url,
                    download.sha256,
                    mode=mode,
                    what=f"kubectl {download.version}".strip(),
                    size_bytes=download.size_bytes,
                    lab=self.lab.name,
                )
                for client in cluster.clients
            ]
        server = ctx.host(cluster.first_server)
        for client in cluster.clients:
            account = login(ctx.host(client))
            yield kubeconfig.file(
                ctx.host(client),
                f"{account.home}/.kube/config",
                account,
                lambda: kubeconfig.of_server(server, cluster.context, address, lab=self.lab.name),
                cluster.context,
                lab=self.lab.name,
            )

    def check(self, ctx: Context) -> Iterator[Check]:
        """Each client reaches the API, may do everything, and fits the server's version."""
        for name in self.cluster.clients:
            host = ctx.host(name)
            context = ("--context", self.cluster.context)
            ready = host.read(KUBECTL, *context, "get", "--raw", "/readyz", ok=None)
            says = ready.stdout.strip() or ready.stderr.strip()
            yield Check(f"kubectl on {name} reaches the API", says == "ok", says)
            may = host.read(KUBECTL, *context, "auth", "can-i", "*", "*", ok=None).stdout.strip()
            yield Check(f"{name} may do everything in the cluster", may == "yes", may)
            words = (KUBECTL, "version", "--client", "-o", "json")
            said, line = host.json(*words), " ".join(words)
            version = answers.expected(said, _VERSION, host=name, line=line)
            client = version["clientVersion"]["gitVersion"]
            same = _minor(client) == _minor(self.cluster.version)
            says = f"kubectl {client}, server {self.cluster.version}"
            yield Check(f"kubectl on {name} has the server's minor version", same, says)


def _minor(version: str) -> tuple[str, ...]:
    return tuple(version.lstrip("v").split(".")[:2])
