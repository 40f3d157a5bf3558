"""What runs: VMs, clusters and their workloads, services, models to serve, and what they need."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import (
    BY_NAME,
    AbsolutePath,
    Bytes,
    Cidr,
    Count,
    DatasetName,
    DnsName,
    FileMode,
    Interface,
    Ip,
    Listed,
    Mac,
    Named,
    Network,
    Phase,
    PortName,
    Positive,
    Record,
    Sha256,
    Slug,
    Tcp,
    Url,
    User,
    VlanId,
    text,
)
from homelab_lib.lab.devices import Runtime
from homelab_lib.lab.llm import ModelPart
from homelab_lib.lab.part import FromCatalog

FileName = text(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", "a file's name without folders")
K3sVersion = text(r"v\d+\.\d+\.\d+\+k3s\d+", "a k3s version, such as v1.34.2+k3s1")


class Image(Named):
    """A cloud image that VM disks are made from."""

    url: Url = Field(description="Where it is downloaded.")
    filename: FileName = Field(description="Name of the file on the host.")
    sha256: Sha256 = Field(description="SHA-256 of the file.")
    size_bytes: Bytes = Field(description="Size of the file [bytes].")
    release: str = Field(description="System and release it holds.")


class Download(Named):
    """A file that machines fetch themselves, with the digest it must have."""

    url: Url = Field(description="Where it is downloaded.")
    sha256: Sha256 = Field(description="SHA-256 of the file.")
    size_bytes: Bytes | None = Field(None, description="Size of the file [bytes].")
    version: str = Field("", description="Version of what is in it.")
    mode: FileMode = Field("0644", description="File mode, octal, in quotes.")


class Vm(Named):
    """A virtual machine."""

    host: Slug = Field(description="Proxmox host it runs on.")
    vmid: Annotated[int, Field(strict=True, ge=100, le=999_999_999)] = Field(
        description="Its number on Proxmox."
    )
    vcpu: Positive = Field(description="Virtual cores.")
    memory_bytes: Bytes = Field(description="Memory [bytes].")
    disk_bytes: Bytes = Field(description="Size of its first disk [bytes].")
    storage: Slug = Field(description="Proxmox storage its disk is on.")
    image: Slug = Field(description="Cloud image it starts from.")
    bridge: Interface = Field("vmbr0", description="The host's bridge it is plugged into.")
    vlan: VlanId = Field(description="VLAN it is in.")
    mac: Mac | None = Field(None, description="Hardware address; none: Proxmox picks one.")
    address: Cidr = Field(description="Its address with prefix length.")
    gateway: Ip | None = Field(None, description="Its default gateway.")
    nameserver: Ip | None = Field(None, description="Its DNS server.")
    user: User = Field("homelab", description="Login user that cloud-init makes.")
    gpus: tuple[PortName, ...] = Field((), description="The host's devices passed through to it.")
    purpose: str = Field("", description="What it is for.")
    phase: Phase = Field(None, description="Phase that makes it.")


class Reservation(Named):
    """Part of a host's resources that the design sets aside."""

    host: Slug = Field(description="The host.")
    title: str = Field(description="Its row in the document's table.")
    vcpu: Count = Field(description="Virtual cores.")
    memory_bytes: Bytes = Field(description="Memory [bytes].")
    purpose: str = Field("", description="What it is for.")


class HelmChart(Record):
    """A Helm chart at one version."""

    name: Slug = Field(description="Name of the release.")
    repo: Url = Field(description="Chart repository.")
    chart: Slug = Field(description="Name of the chart.")
    version: str = Field(description="Chart version, in quotes.")
    namespace: Slug = Field(description="Namespace it is installed in.")


class StorageClass(Record):
    """A Kubernetes storage class on an NFS share."""

    name: Slug = Field(description="Its name.")
    share: Slug = Field(description="The NFS share behind it.")
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


class Cluster(Named):
    """A Kubernetes cluster."""

    kind: Literal["k3s"] = Field("k3s", description="Distribution.")
    version: K3sVersion = Field(description="Version, such as 'v1.34.2+k3s1'.")
    server: Slug = Field(description="VM with the control plane.")
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
    storage_class: StorageClass | None = Field(None, description="Where volumes come from.")
    workloads: tuple[Workload, ...] = Field((), description="Test workloads.")
    phase: Phase = Field(None, description="Phase that makes it.")


class GpuAllocation(Named):
    """What a graphics card or accelerator is for."""

    device: str = Field(description="The device: 'host.device'.")
    location: str = Field(description="Where it is, in the document's words.")
    use: str = Field(description="What it is for, in the document's words.")
    runtime: Runtime | None = Field(None, description="Runtime the document names.")
    claimed_vram_bytes: Bytes | None = Field(None, description="Memory as written [bytes].")


class ServedModel(Named):
    """A model to be served: which, where, and how much of it."""

    part: Annotated[ModelPart, FromCatalog] = Field(description="The model.")
    quant: str = Field("Q4_K_M", description="Quantisation of its GGUF file.")
    devices: tuple[str, ...] = Field(description="Devices it runs on: 'host.device'.")
    server: str = Field(description="Software that serves it, such as 'Ollama'.")
    context_tokens: Positive = Field(8192, description="Context of one request [tokens].")
    parallel: Positive = Field(1, description="Requests at once.")
    cache_type: Literal["f16", "q8_0", "q4_0"] = Field("f16", description="Type of the KV cache.")
    purpose: str = Field("", description="What it is for.")
    phase: Phase = Field(None, description="Phase that serves it.")


class Service(Named):
    """A program that people or other programs use."""

    title: str = Field(description="What it is called.")
    runs_on: str | None = Field(None, description="Host, VM or cluster; none: undecided.")
    devices: tuple[str, ...] = Field((), description="Devices it uses: 'host.device'.")
    datasets: tuple[DatasetName, ...] = Field((), description="Datasets it works on.")
    needs: tuple[Slug, ...] = Field((), description="Services it can't do without.")
    instead_of: tuple[Slug, ...] = Field((), description="Services of which one is chosen.")
    port: Tcp | None = Field(None, description="TCP port it listens on.")
    path: AbsolutePath | None = Field(None, description="Folder with its data.")
    purpose: str = Field("", description="What it does.")
    phase: Phase = Field(None, description="Phase that installs it.")


class Compute(Record):
    """All of it, as keys of the lab's document."""

    vms: Annotated[dict[Slug, Vm], BY_NAME] = Field({}, description="Virtual machines.")
    reservations: Annotated[dict[Slug, Reservation], BY_NAME] = Field(
        {}, description="Resources set aside on hosts."
    )
    images: Annotated[dict[Slug, Image], BY_NAME] = Field({}, description="Cloud images.")
    downloads: Annotated[dict[Slug, Download], BY_NAME] = Field(
        {}, description="Files that machines fetch."
    )
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
