"""The model servers of a lab: which card each has, how it is told, and what it is to serve.

A server's context, its slots and the type of its cache are set for all of its models at once, and
left to itself it guesses them from the memory that it sees: so models of one card have to agree.

Sources: ollama/ollama envconfig/config.go and server/routes.go (0.32), docs/faq.mdx (an empty
prompt loads a model); otwld/ollama-helm 1.77.0; kubernetes.io, Container Lifecycle Hooks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, HelmChart, ServedModel, Service
from homelab_lib.lab.inference import Ollama
from homelab_lib.models.vram import Fit
from homelab_lib.recipes.graphics.placed import PlacedCard, placed
from homelab_lib.recipes.kubernetes.manifests import full_name
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import caches, fit

PORT = 11434


@dataclass(frozen=True)
class ModelServer:
    """Ollama for one card.

    Parameters
    ----------
    lab, service
        The lab, and the service that it is of.
    card
        Its card.
    number
        Which of the service's servers it is, from 0.
    models
        What it serves.
    """

    lab: Lab
    service: Service
    card: PlacedCard
    number: int
    models: tuple[ServedModel, ...]

    @property
    def ollama(self) -> Ollama:
        """How it is installed."""
        assert self.service.ollama is not None
        return self.service.ollama

    @property
    def name(self) -> str:
        """Its own: the service's, with its card's where there are several."""
        alone = len(self.service.devices) == 1
        return self.service.name if alone else f"{self.service.name}-{self.card.name}"

    @property
    def asks(self) -> str:
        """The machine from which it is asked."""
        cluster = self.card.cluster
        return cluster.first_server if cluster is not None else self.card.machine

    @property
    def port(self) -> int:
        """Where it is reached: a port of its node, or its machine's own."""
        if self.card.cluster is None:
            return PORT
        assert self.ollama.node_port is not None
        return self.ollama.node_port + self.number

    @property
    def address(self) -> str:
        """Its machine's address."""
        return address_of(self.lab, self.card.machine) or self.card.machine

    @property
    def url(self) -> str:
        """Where it is asked."""
        local = self.card.cluster is None
        return f"http://{'127.0.0.1' if local else self.address}:{self.port}"

    @property
    def release(self) -> str:
        """What its chart calls what it brings."""
        chart = self.service.chart
        assert chart is not None
        return full_name(self.name, chart.chart)

    @property
    def chart(self) -> HelmChart:
        """Its chart with all of its values."""
        chart = self.service.chart
        assert chart is not None
        return chart.model_copy(update={"name": self.name, "values": self.values() | chart.values})

    def url_in(self, cluster: Cluster) -> str | None:
        """Where a pod of a cluster asks it; None where it listens on its own machine alone."""
        if self.card.cluster is None:
            return None
        if self.card.cluster.name != cluster.name:
            return self.url
        assert self.service.chart is not None
        return f"http://{self.release}.{self.service.chart.namespace}.svc:{PORT}"

    def environment(self) -> dict[str, str]:
        """What it is told, so that it guesses nothing."""
        first = self.models[0]
        told = {
            "OLLAMA_CONTEXT_LENGTH": str(first.context_tokens),
            "OLLAMA_NUM_PARALLEL": str(first.parallel),
            "OLLAMA_KV_CACHE_TYPE": first.cache_type,
            "OLLAMA_FLASH_ATTENTION": "1" if first.flash_attention else "0",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_MAX_LOADED_MODELS": str(len(self.models)),
            "OLLAMA_NO_CLOUD": "1",
        }
        override = self.card.part.runtime_override
        if override and self.card.runtime == "ROCm":
            key, _, value = override.partition("=")
            told[key] = value
        return told

    @property
    def loading(self) -> str:
        """What loads its models whenever it starts: after a restart of its node or its own nobody
        has to ask first. One that is not pulled yet is left out, for `ollama run` would pull it
        past the digest; so is one that embeds, which `ollama run` can't load and which is small.
        It never fails: a hook that does has its container killed."""
        tags = [m.published.tag for m in self.models if m.published and caches(m.part)]
        if not tags:
            return ""
        quiet = "> /dev/null 2>&1"
        up = f"n=0; until ollama list {quiet} || [ $n -ge 60 ]; do n=$((n+1)); sleep 1; done"
        runs = (
            f"ollama show {tag} {quiet} && timeout 600 ollama run {tag} '' < /dev/null {quiet}"
            for tag in tags
        )
        return "; ".join((up, *runs, "true"))

    def values(self) -> dict[str, Any]:
        """What its chart is told."""
        card, vendor = self.card, self.card.part.vendor
        told: dict[str, Any] = {
            "ollama": {"gpu": {"enabled": True, "type": vendor.lower(), "number": 1}},
            "persistentVolume": {
                "enabled": True,
                "size": self.ollama.storage,
                "storageClass": self.ollama.storage_class,
            },
            "nodeSelector": {"kubernetes.io/hostname": card.machine},
            "service": {"type": "NodePort", "nodePort": self.port},
            "extraEnv": [{"name": k, "value": v} for k, v in sorted(self.environment().items())],
        }
        if self.loading:
            command = ["/bin/sh", "-c", self.loading]
            told["lifecycle"] = {"postStart": {"exec": {"command": command}}}
        if vendor == "NVIDIA":
            told["runtimeClassName"] = "nvidia"
        else:
            told["tolerations"] = [{"key": card.resource, "operator": "Exists"}]
        # The image for AMD has ROCm and the processor alone; Vulkan is in the plain one.
        suffix = "-rocm" if card.runtime == "ROCm" else ""
        told["image"] = {"tag": f"{self.ollama.version}{suffix}"}
        return told

    def fits(self) -> Iterator[tuple[ServedModel, Fit]]:
        """Where the card's memory goes, by model."""
        for model in self.models:
            yield model, fit(model, self.card.runtime, self.card.room_bytes)

    @property
    def predicted_bytes(self) -> int:
        """What its models take together; each has a process of its own [bytes]."""
        return sum(each.needed_bytes for _, each in self.fits())


def address_of(lab: Lab, machine: str) -> str:
    """Where a machine is reached, as the lab has it: for a host that may be a name. Empty where
    the lab does not say."""
    if (vm := lab.vms.get(machine)) is not None:
        return vm.ip or ""
    login = lab.hosts[machine].ssh
    return login.address if login is not None else ""


def servers_of(lab: Lab, phase: int) -> list[ModelServer]:
    """The servers that a phase installs.

    Raises
    ------
    BadParameter
        Some can't serve what they are to serve: all that is in the way, each with its key and what
        to do.
    """
    found, wrong = [], list[BadParameter]()
    for service in lab.services.values():
        if service.phase != phase or service.ollama is None:
            continue
        for number in range(len(service.devices)):
            try:
                each = _described(lab, service, number, phase)
            except BadParameter as error:
                wrong.append(error)
                continue
            found.append(each)
            wrong += _wrong(each)
    _refuse(wrong)
    return found


def servers_for(lab: Lab, service: Service, phase: int) -> list[ModelServer]:
    """The servers behind a service: those of the Ollamas that it needs, installed by a phase."""
    return [
        server(lab, needed, number, phase)
        for name in service.needs
        if (needed := lab.services[name]).ollama is not None and _is_there(needed, phase)
        for number in range(len(needed.devices))
    ]


def server_of(lab: Lab, model: ServedModel, phase: int) -> ModelServer | None:
    """The server of a model, installed by a phase; None where there is none."""
    for service in lab.services.values():
        if service.ollama is None or model.server != "Ollama" or not _is_there(service, phase):
            continue
        for number, device in enumerate(service.devices):
            if model.devices == (device,):
                return server(lab, service, number, phase)
    return None


def _is_there(service: Service, phase: int) -> bool:
    return service.phase is not None and service.phase <= phase


def server(lab: Lab, service: Service, number: int, phase: int | None = None) -> ModelServer:
    """One server of a service, by its number; see `servers_of`."""
    found = _described(lab, service, number, phase)
    _refuse(list(_wrong(found)))
    return found


def _described(lab: Lab, service: Service, number: int, phase: int | None) -> ModelServer:
    device = service.devices[number]
    models = [
        model
        for model in lab.models.values()
        if model.devices == (device,) and model.server == "Ollama"
        if phase is None or (model.phase or phase) <= phase
    ]
    return ModelServer(lab, service, placed(lab, device), number, tuple(models))


def _refuse(wrong: Sequence[BadParameter]) -> None:
    """Raise what is wrong: one thing as it is, several as a list, so that nobody meets them one by
    one."""
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise BadParameter(
            f"the models can't be served as described, for {len(wrong)} reasons",
            problems=[f"{each.where}: {each.what}; {each.fix}" for each in wrong],
        )


def _wrong(found: ModelServer) -> Iterator[BadParameter]:
    """All that is in the way of a server."""
    device = found.service.devices[found.number]
    service = f"services.{found.service.name}"
    if not found.models:
        yield BadParameter(
            f"Ollama is to run on {device}, and no model of the lab is served there",
            where=f"{service}.devices",
            fix=f"write a model with  devices: [{device}]  and  server: Ollama",
        )
        return
    if found.card.cluster is not None and found.ollama.node_port is None:
        yield BadParameter(
            f"{found.service.name} runs on a cluster, and no port of its nodes leads there",
            where=f"{service}.ollama.node_port",
            fix="write one from 30000 on, such as 31434",
        )
    for model in found.models:
        yield from _wrong_model(model)
    yield from _wrong_difference(found.models)
    if all(map(_can_keep, found.models)):  # else there is no size to speak of
        yield from _wrong_size(found)


def _can_keep(model: ServedModel) -> bool:
    """Whether its cache can be of its type: a quantised one needs flash attention."""
    return model.flash_attention or model.cache_type == "f16"


def _wrong_model(model: ServedModel) -> Iterator[BadParameter]:
    where = f"models.{model.name}"
    if model.published is None:
        yield BadParameter(
            f"model {model.name!r} is to be pulled, and neither its tag nor its digest is written",
            where=f"{where}.published",
            fix="write both as a server that you trust lists them: curl …/api/tags",
        )
    if not _can_keep(model):
        yield BadParameter(
            f"model {model.name!r} keeps values in {model.cache_type}, which needs flash attention",
            where=f"{where}.flash_attention",
            fix="write  flash_attention: true, or  cache_type: f16",
        )
    if model.context_tokens > model.part.context_length:
        yield BadParameter(
            f"model {model.name!r} is to have {model.context_tokens} tokens, and was trained for "
            f"{model.part.context_length}",
            where=f"{where}.context_tokens",
            fix=f"write {model.part.context_length} at most",
        )


def _wrong_difference(models: Sequence[ServedModel]) -> Iterator[BadParameter]:
    """What is set for a whole server, and is not the same for its models."""
    first = models[0]
    for model in models[1:]:
        for field in ("context_tokens", "parallel", "cache_type", "flash_attention"):
            if getattr(model, field) != getattr(first, field):
                yield BadParameter(
                    f"models {first.name!r} and {model.name!r} are on one card, and differ in "
                    f"{field}, which Ollama has once for all of its models",
                    where=f"models.{model.name}.{field}",
                    fix=f"write {getattr(first, field)} in both, or put one on another card",
                )


def _wrong_size(found: ModelServer) -> Iterator[BadParameter]:
    """Models that do not fit the card, before anything is sent."""
    room, card = found.card.room_bytes, found.card
    needed = found.predicted_bytes
    if needed <= room:
        return
    model, parts = max(found.fits(), key=lambda pair: pair[1].needed_bytes)
    cache = f", cache {format_ibytes(parts.cache_bytes)}" if caches(model.part) else ""
    yield BadParameter(
        f"{' and '.join(m.name for m in found.models)} takes {format_ibytes(needed)} on "
        f"{card.device}, which has {format_ibytes(room)}: weights "
        f"{format_ibytes(parts.weights_bytes)}{cache}, buffer "
        f"{format_ibytes(parts.compute_bytes)}, {card.runtime} "
        f"{format_ibytes(parts.overhead_bytes)}. What does not fit would run on the processor",
        where=f"models.{model.name}",
        fix="a smaller quant, a smaller context_tokens, cache_type q8_0, or another card",
    )
