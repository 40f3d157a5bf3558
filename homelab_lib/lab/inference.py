"""How language models are served: the servers, the page in front of them, who shares them out."""

from typing import Annotated, Literal

from pydantic import Field

from homelab_lib.lab.base import Form, Listed, Network, Record, SecretReference, Sha256, Slug, Tcp
from homelab_lib.lab.remote import PackageSource

ModelTag = Annotated[
    str, Form(r"[A-Za-z0-9_./-]+:[A-Za-z0-9_.-]+", "a model with its tag, such as llama3.1:8b")
]
Storage = Annotated[str, Form(r"[1-9]\d*[GT]i", "a size such as 100Gi")]
NodePort = Annotated[Tcp, Field(ge=30000, le=32767)]
Vendor = Literal["NVIDIA", "AMD"]


class NvidiaDriver(Record):
    """NVIDIA's driver on a Linux machine, and what containers need of it."""

    packages: tuple[str, ...] = Field(
        min_length=1,
        description="Packages of one branch: the driver without a display, and its tools.",
    )
    toolkit: PackageSource | None = Field(
        None, description="Where the container toolkit is from; a cluster's nodes need it."
    )


class Published(Record):
    """A model in Ollama's library, and what has to come of pulling it."""

    tag: ModelTag = Field(description="Its name there, such as llama3.1:8b.")
    digest: Sha256 = Field(description="Digest of its manifest, as the server lists it.")


class Ollama(Record):
    """Ollama as a service is installed: a server of its own for each card."""

    version: Annotated[str, Form(r"\d+\.\d+\.\d+", "a release, such as 0.32.15")] = Field(
        description="Its release."
    )
    archives: tuple[Slug, ...] = Field(
        (), description="Downloads that its programs are in, on a machine without Kubernetes."
    )
    storage_class: Slug = Field("local-path", description="Where a cluster keeps its models.")
    storage: Storage = Field("100Gi", description="How much of that each server gets.")
    node_port: NodePort | None = Field(
        None,
        description="Port of a cluster's nodes for the first server, each further one the next.",
    )
    asked_from: tuple[Network, ...] = Field(
        (),
        description="Networks whose machines may ask it, besides the lab's own services: it has no "
        "password.",
    )


class LlamaCpp(Record):
    """llama.cpp's server on one machine, and its RPC servers on those whose cards it uses, too."""

    archive: Slug = Field(
        description="Download that its programs are in: one release for all machines, built for "
        "Vulkan, which drives the cards of every maker."
    )
    worker_port: Tcp = Field(50052, description="Where the other machines offer their cards.")
    vulkan: dict[str, Annotated[int, Field(ge=0, le=15)]] = Field(
        {},
        description="Which of its machine's Vulkan devices a card is, by 'host.device': where a "
        "processor's own graphics or another card stands before it.",
    )


class WebUi(Record):
    """Open WebUI: who administers it, and which models stand behind it."""

    email: Annotated[str, Form(r"[^@\s]+@[^@\s]+", "an e-mail address")] = Field(
        description="The administrator's login."
    )
    password: SecretReference = Field(description="The administrator's password.")
    session_key: SecretReference = Field(description="Key that signs sessions.")
    embeds_with: Slug | None = Field(
        None, description="The model that reads documents; none: none are asked."
    )
    storage_class: Slug = Field(
        "local-path", description="Where it keeps accounts, chats and documents; never NFS."
    )
    storage: Storage = Field("10Gi", description="How much of that it gets, in quotes.")


class Route(Listed):
    """A port of a load balancer, and the models behind it."""

    port: Tcp = Field(description="Where it listens.")
    models: tuple[Slug, ...] = Field(
        min_length=1,
        description="Served models of one tag, the preferred first; the next one where it fails.",
    )


class Balancer(Record):
    """HAProxy in front of model servers, by what each of them has."""

    routes: tuple[Route, ...] = Field(min_length=1, description="Its ports.")
    asked_from: tuple[Network, ...] = Field(
        (), description="Networks whose machines may ask it; none: its own machine alone may."
    )
