"""What runs on hosts and guests: Kubernetes, its workloads, services, models to serve."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    DnsName,
    Form,
    Ip,
    Listed,
    Made,
    Named,
    Network,
    Phase,
    Positive,
    Record,
    Ref,
    SecretReference,
    Slug,
    Tcp,
    Url,
)
from homelab_lib.lab.coverage import Coverage
from homelab_lib.lab.devices import Runtime
from homelab_lib.lab.guests import FileName, Guests
from homelab_lib.lab.inference import (
    Balancer,
    LlamaCpp,
    NvidiaDriver,
    Ollama,
    Published,
    Vendor,
    WebUi,
)
from homelab_lib.lab.llm import ModelPart, Quant
from homelab_lib.lab.part import FromCatalog
from homelab_lib.lab.production import Certificates, GitOps, Ingress, Monitoring, Move
from homelab_lib.lab.quantities import MemorySize

SecretKey = Annotated[
    str, Form(r"[-._a-zA-Z0-9]{1,253}", "letters, digits and any of - _ ., as a Secret's key")
]
Backend = Annotated[
    str, Form(r"[a-z0-9][a-z0-9-]*:\d{1,5}", "a service and its port, such as 'grafana:80'")
]
K3sVersion = Annotated[str, Form(r"v\d+\.\d+\.\d+\+k3s\d+", "a k3s version, such as v1.34.2+k3s1")]


class HelmChart(Record):
    """A Helm chart at one version."""

    name: Slug = Field(description="Name of the release.")
    repo: Url = Field(
        description="Chart repository; of an oci:// one, what stands before the chart."
    )
    chart: Slug = Field(description="Name of the chart.")
    version: str = Field(description="Chart version, in quotes.")
    namespace: Slug = Field(description="Namespace it is installed in.")
    values: dict[str, JsonValue] = Field({}, description="Its values, where they differ.")
    secrets: dict[Slug, dict[SecretKey, SecretReference]] = Field(
        {}, description="Secrets that it reads in its namespace: of each key, where the value is."
    )


class StorageClass(Record):
    """A Kubernetes storage class on an NFS share, of any NFS server."""

    name: Slug = Field(description="Its name.")
    share: Ref = Field(description="The NFS share behind it, such as 'nas.volumes'.")
    server_address: Ip = Field(description="Address at which the nodes reach the NAS.")
    mount_options: tuple[str, ...] = Field(("nfsvers=4.1", "hard"), description="Mount options.")
    chart: HelmChart = Field(description="Driver that provisions volumes.")


class Workload(Listed):
    """A test workload: a deployment, its service and a host name."""

    namespace: Slug = Field(description="Namespace.")
    image: str = Field(description="Container image with its tag.")
    replicas: Positive = Field(1, description="Pods.")
    port: Tcp = Field(description="TCP port of the container.")
    hostname: DnsName = Field(description="Host name at the ingress.")
    expect: str = Field(description="Text that the answer must contain.", min_length=1)


class ClusterNode(Record):
    """A node as the document draws the cluster."""

    where: str = Field(description="Machine it is drawn on.")
    role: str = Field(description="Role in the drawing.")
    note: str = Field("", description="What else is written in the box.")


def _is_name(value: object) -> str:
    return "name" if isinstance(value, str) else "nfs"


class Cluster(Made):
    """A Kubernetes cluster."""

    kind: Literal["k3s"] = Field("k3s", description="Distribution.")
    version: K3sVersion = Field(description="Version, such as 'v1.34.2+k3s1'.")
    servers: tuple[Slug, ...] = Field(
        min_length=1, description="VMs with the control plane; the first one begins the cluster."
    )
    agents: tuple[Slug, ...] = Field((), description="VMs that work.")
    host_agents: tuple[Slug, ...] = Field((), description="Physical hosts that work.")
    drawn: tuple[ClusterNode, ...] = Field((), description="Nodes in the document's drawing.")
    installer: Slug = Field(description="Download that installs it.")
    pod_cidr: Network = Field("10.42.0.0/16", description="Network of the pods.")
    service_cidr: Network = Field("10.43.0.0/16", description="Network of the services.")
    dns_name: DnsName = Field(description="DNS name under which the API is reached.")
    context: Slug = Field(description="Name of the context in kubeconfig files.")
    clients: tuple[Slug, ...] = Field((), description="Hosts that get kubectl.")
    kubectl: Slug | None = Field(None, description="Download of kubectl for the clients.")
    storage_class: (
        Annotated[
            Annotated[Literal["local-path"], Tag("name")] | Annotated[StorageClass, Tag("nfs")],
            Discriminator(_is_name),
        ]
        | None
    ) = Field(
        None,
        description="Where volumes come from: an NFS share, 'local-path' (a folder on the node, "
        "which k3s brings along), or nowhere.",
    )
    workloads: tuple[Workload, ...] = Field((), description="Test workloads.")
    device_plugins: dict[Vendor, HelmChart] = Field(
        {}, description="Charts that tell the cluster of its graphics cards, by their maker."
    )
    ingress: Ingress | None = Field(None, description="Its way in for web services.")
    certificates: Certificates | None = Field(None, description="Who issues its certificates.")
    monitoring: Monitoring | None = Field(None, description="Who watches it and the house.")
    gitops: GitOps | None = Field(None, description="The repository that it is kept by.")
    moves: tuple[Move, ...] = Field((), description="Claims that go to another storage class.")

    @property
    def first_server(self) -> str:
        """The server that begins the cluster, and that the others join."""
        return self.servers[0]

    @property
    def vms(self) -> tuple[str, ...]:
        """Its nodes that are VMs, servers first."""
        return (*self.servers, *self.agents)

    @property
    def nfs(self) -> StorageClass | None:
        """Its storage class, where that is on an NFS share."""
        return self.storage_class if isinstance(self.storage_class, StorageClass) else None


class GpuAllocation(Made):
    """What a graphics card or accelerator is for; its phase passes it through to its VM."""

    device: str = Field(description="The device: 'host.device'.")
    location: str = Field("", description="Where it is, in the document's words.")
    use: str = Field(description="What it is for.")
    runtime: Runtime | None = Field(None, description="Runtime the document names.")
    claimed_vram_bytes: MemorySize | None = Field(None, description="Memory as written [bytes].")
    rom_file: FileName | None = Field(
        None,
        description="Firmware for the card, a file in /usr/share/kvm of its host, where the VM "
        "can't read the card's own.",
    )


class ServedModel(Named):
    """A model to be served: which, where, and how much of it."""

    part: Annotated[ModelPart, FromCatalog] = Field(description="The model.")
    quant: Quant = Field("Q4_K_M", description="Quantisation of its GGUF file.")
    devices: tuple[str, ...] = Field(description="Devices it runs on: 'host.device'.")
    server: str = Field(description="Software that serves it, such as 'Ollama'.")
    context_tokens: Positive = Field(8192, description="Context of one request [tokens].")
    parallel: Positive = Field(1, description="Requests at once.")
    cache_type: Literal["f16", "q8_0", "q4_0"] = Field("f16", description="Type of the KV cache.")
    flash_attention: bool = Field(True, description="Whether its server computes with it.")
    published: Published | None = Field(
        None, description="The same in Ollama's library; none: it is not pulled from there."
    )
    file: Slug | None = Field(
        None, description="Download that is its GGUF file, for a server that reads one."
    )
    purpose: str = Field("", description="What it is for.")
    phase: Phase = Field(None, description="Phase that serves it.")


class CatalogApp(Record):
    """An app of a NAS's own catalog."""

    train: Slug = Field("community", description="The catalog's train that it is in.")
    name: Slug | None = Field(None, description="Its name there; none: the service's key.")
    version: str = Field("latest", description="Version of the catalog; it holds one at a time.")
    container: Slug | None = Field(
        None, description="Its main container, which gets our label; none: called as the app is."
    )
    values: dict[str, JsonValue] = Field(
        {}, description="Its values, by the questions that the catalog asks of it."
    )


class Service(Named):
    """A program that people or other programs use."""

    title: str = Field(description="What it is called.")
    runs_on: str | None = Field(None, description="Host, VM or cluster; none: undecided.")
    devices: tuple[str, ...] = Field((), description="Devices it uses: 'host.device'.")
    datasets: tuple[Ref, ...] = Field(
        (), description="Datasets it works on, such as 'nas.tank/media'."
    )
    needs: tuple[Slug, ...] = Field((), description="Services it can't do without.")
    instead_of: tuple[Slug, ...] = Field((), description="Services of which one is chosen.")
    app: CatalogApp | None = Field(
        None, description="The app of its NAS's catalog that it is; none: it is something else."
    )
    chart: HelmChart | None = Field(
        None, description="The Helm chart that installs it on its cluster; none: something else."
    )
    within: Slug | None = Field(
        None, description="Service whose chart, or cluster that brings it along; none: neither."
    )
    hostname: DnsName | None = Field(
        None, description="Host name at its cluster's ingress; none: it is not published there."
    )
    ollama: Ollama | None = Field(
        None, description="It is Ollama, with a server for each of its devices."
    )
    llama_cpp: LlamaCpp | None = Field(
        None,
        description="It is llama.cpp's server on the machine that it runs on, with one model over "
        "all of its devices, whichever machines these are in.",
    )
    web_ui: WebUi | None = Field(None, description="It is Open WebUI, on its cluster.")
    balancer: Balancer | None = Field(None, description="It is HAProxy in front of models.")
    backend: Backend | None = Field(
        None, description="What answers at that name: the Kubernetes service and its port."
    )
    port: Tcp | None = Field(None, description="TCP port it listens on.")
    path: AbsolutePath | None = Field(None, description="Folder with its data.")
    purpose: str = Field("", description="What it does.")
    phase: Phase = Field(None, description="Phase that installs it.")
    covered: Coverage | None = Field(None, description="What of this project is about it.")

    @property
    def is_made(self) -> bool:
        """Whether it says how it is installed, and so can be."""
        how = (self.app, self.chart, self.within, self.ollama, self.llama_cpp, self.balancer)
        return any(each is not None for each in how)


class Compute(Guests):
    """All of it, as keys of the lab's document."""

    clusters: Annotated[dict[Slug, Cluster], BY_NAME] = Field(
        {}, description="Kubernetes clusters."
    )
    gpu_allocation: Annotated[dict[Slug, GpuAllocation], BY_NAME] = Field(
        {}, description="What each graphics card is for."
    )
    models: Annotated[dict[Slug, ServedModel], BY_NAME] = Field(
        {}, description="Models to be served."
    )
    services: Annotated[dict[Slug, Service], BY_NAME] = Field({}, description="Services.")
    nvidia_driver: NvidiaDriver | None = Field(
        None, description="The driver for NVIDIA's cards in Linux machines."
    )
