"""Language models that are served: Ollama for each card, its models pulled, loaded and measured."""

import json
from collections.abc import Iterator, Sequence

from homelab_lib.control.kubernetes.kubectl import KUBECTL
from homelab_lib.control.kubernetes.objects import Applied
from homelab_lib.control.kubernetes.waits import Rollout
from homelab_lib.control.ollama.api import LOADED, TAGS, answered
from homelab_lib.control.ollama.log import Told, read_log
from homelab_lib.control.ollama.models import Asked, Loaded, Pulled, ServerUp
from homelab_lib.lab import Lab
from homelab_lib.lab.compute import Cluster, ServedModel
from homelab_lib.models.vram import decode_tokens_per_second
from homelab_lib.recipes.graphics import memory
from homelab_lib.recipes.inference import ollama_host
from homelab_lib.recipes.inference.access import admitted, closed, policy
from homelab_lib.recipes.inference.servers import ModelServer, servers_of
from homelab_lib.recipes.kubernetes import charts
from homelab_lib.recipes.kubernetes.manifests import Object
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.serving import caches, read_bytes, weights

MAKES = ("services",)
KEPT = "/var/lib/homelab/answers"
_PROMPT = "Count from one to fifty in words, separated by commas."
_TOKENS = 128
_TEXTS = ("a pool of disks", "a pool of disks", "a mirror of two drives", "a recipe for bread")
_LOG_LINES = "5000"
_LEAST_SHARE = 0.8  # of what the weights alone take: less is a model that is not on the card


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The model servers of a phase, and what they serve.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A model does not fit its card, or can't be served as described.
    """
    servers = servers_of(lab, phase)
    if not servers:
        return
    inference = Inference(lab, servers)
    named = ", ".join(each.name for each in servers)
    yield Step(
        "model-servers",
        f"Install Ollama for each card: {named}",
        why="A server of its own for each card, so that none reckons with the memory of two. Its "
        "context, its slots, the type of its cache and how long a model stays are set, for left to "
        "itself it guesses them from the memory that it sees. It has no password, and whoever "
        f"reaches it may pull and delete; so it is open to {_asked_by(lab, servers)}, and to "
        "nobody else.",
        needs=("drivers",),
        ensure=inference.install,
        check=inference.libraries,
    )
    yield Step(
        "models",
        "Pull the models, and compare their digests",
        why="A tag can be given to another model, and a pull can't be pinned; so what came is held "
        "against the digest in the lab. That each model fits its card was reckoned before anything "
        "was sent.",
        needs=("model-servers",),
        ensure=inference.pull,
        check=inference.digests,
    )
    yield Step(
        "answers",
        "Load the models, ask each, and measure",
        why="Memory is read from the card's own driver: a server's word for it proves nothing. "
        "Beside it stands what the model of memory foretells; beside the tokens a second, the roof "
        "that the card's bandwidth sets.",
        needs=("models",),
        ensure=inference.ask,
        check=inference.on_the_card,
        measure=inference.numbers,
    )


def documents(lab: Lab, cluster: Cluster, phase: int) -> Iterator[Object]:
    """What the steps of a phase keep in a cluster.

    Parameters
    ----------
    lab, cluster, phase
        What is described, and the number of the phase.
    """
    for each in servers_of(lab, phase):
        if each.card.cluster == cluster:
            yield from charts.documents(each.chart)
            yield policy(lab, each)


def _asked_by(lab: Lab, servers: Sequence[ModelServer]) -> str:
    """Who may ask them, for a person."""
    shared = [each for each in servers if each.card.cluster is not None]
    networks = [net.removesuffix("/32") for each in shared for net in admitted(lab, each)]
    pages = [s.title for s in lab.services.values() if s.web_ui is not None] if shared else []
    own = [f"{each.card.machine} itself" for each in servers if each.card.cluster is None]
    return ", ".join(dict.fromkeys((*networks, *pages, *own)))


class Inference:
    """Model servers; see `steps`."""

    def __init__(self, lab: Lab, servers: Sequence[ModelServer]) -> None:
        self.lab = lab
        self.servers = servers

    # -------------------------------------------------------------------- servers

    def install(self, ctx: Context) -> Iterator[Wanted]:
        """By a chart on a cluster, else as a service of systemd; then it has to answer."""
        for each in self.servers:
            if each.card.cluster is None:
                yield from ollama_host.installed(self.lab, each)
            else:
                yield from charts.installed(ctx, each.asks, self.lab, each.chart)
                yield Rollout(each.asks, "deployment", each.chart.namespace, each.release)
                yield Applied(each.asks, self.lab.name, policy(self.lab, each))
            yield ServerUp(each.asks, each.url, each.ollama.version)

    def libraries(self, ctx: Context) -> Iterator[Check]:
        """Each has found its card: the log alone says so. Nobody else gets an answer."""
        for each in self.servers:
            yield self._library(each, self._told(ctx, each))
        for each in self.servers:
            if each.card.cluster is not None:
                yield from closed(ctx, self.lab, each)

    def _library(self, each: ModelServer, told: Told) -> Check:
        title = f"{each.name} computes by {each.card.runtime}"
        if told.dropped:
            return Check(title, False, f"it leaves the card out: {told.dropped}")
        if not told.libraries:  # it has been written over since
            title = f"{each.name} says nothing against {each.card.runtime}"
            return Check(title, True, "its log does not go back to its start any more")
        holds = told.libraries == (each.card.runtime,)
        return Check(title, holds, f"library={', '.join(told.libraries)}")

    def _told(self, ctx: Context, each: ModelServer) -> Told:
        host = ctx.host(each.asks)
        if each.card.cluster is None:
            words = ("journalctl", "-u", "ollama", "-o", "cat", "-n", _LOG_LINES, "--no-pager")
            return read_log(host.read(*words, sudo=True).stdout)
        chart = each.service.chart
        assert chart is not None
        words = (*KUBECTL, "logs", "-n", chart.namespace, f"deployment/{each.release}")
        return read_log(host.read(*words, "--tail", _LOG_LINES, sudo=True).stdout)

    # --------------------------------------------------------------------- models

    def pull(self, ctx: Context) -> Iterator[Wanted]:
        """One after the other: they share one line to the internet."""
        for each in self.servers:
            for model in each.models:
                assert model.published is not None
                size = weights(model.part, model.quant).file_bytes
                tag, digest = model.published.tag, model.published.digest
                yield Pulled(each.asks, each.url, tag, digest, size)

    def digests(self, ctx: Context) -> Iterator[Check]:
        """What each server lists is what the lab has."""
        for each in self.servers:
            said = answered(ctx.host(each.asks), each.url, "/api/tags", TAGS)
            rows = {row["name"]: row["digest"].removeprefix("sha256:") for row in said["models"]}
            for model in each.models:
                assert model.published is not None
                found = rows.get(model.published.tag, "")
                title = f"{each.name} has {model.published.tag} as the lab knows it"
                yield Check(title, found == model.published.digest, found[:12] or "not there")

    # -------------------------------------------------------------------- answers

    def ask(self, ctx: Context) -> Iterator[Wanted]:
        """Each model into memory, and then a question."""
        for each in self.servers:
            for model in each.models:
                assert model.published is not None
                embeds = not caches(model.part)
                yield Loaded(
                    each.asks,
                    each.url,
                    model.published.tag,
                    model.context_tokens,
                    embeds,
                    model.parallel,
                )
                yield self._question(each, model)

    def _question(self, each: ModelServer, model: ServedModel) -> Asked:
        assert model.published is not None
        if caches(model.part):
            options = {"num_predict": _TOKENS, "temperature": 0, "seed": 1}
            path, body = "/api/generate", {"prompt": _PROMPT, "stream": False, "options": options}
        else:
            path, body = "/api/embed", {"input": list(_TEXTS)}
        return Asked(
            each.asks,
            each.url,
            model.published.tag,
            model.published.digest,
            path,
            json.dumps(body, sort_keys=True),
            f"{KEPT}/{each.name}-{model.name}",
        )

    def on_the_card(self, ctx: Context) -> Iterator[Check]:
        """The memory of the card is taken, all layers are there, and the answers make sense."""
        for each in self.servers:
            told = self._told(ctx, each)
            yield self._library(each, told)
            if told.layers is not None:
                says = f"{told.layers} of {told.of_layers} layers"
                title = f"{each.name} has all layers on the card"
                yield Check(title, told.layers == told.of_layers, says)
            if told.cache_types:
                wanted = each.models[0].cache_type
                says = " and ".join(told.cache_types)
                title = f"{each.name} keeps keys and values in {wanted}"
                yield Check(title, told.cache_types == (wanted,), says)
            least = sum(parts.weights_bytes for _, parts in each.fits()) * _LEAST_SHARE
            used = self._used_bytes(ctx, each)
            title = f"the models of {each.name} are in the card's memory"
            yield Check(title, used >= least, f"{format_ibytes(used)} of it are taken")
            for model in each.models:
                if not caches(model.part):
                    yield self._embeds(ctx, each, model)

    def _used_bytes(self, ctx: Context, each: ModelServer) -> int:
        """What is taken of the card's memory, in its machine's own words."""
        machine = each.card.machine
        beside = [other.card for other in self.servers if other.card.machine == machine]
        for card, seen in memory.told(ctx.host(machine), beside):
            if card == each.card and seen is not None:
                return seen.used_bytes
        return 0

    def _embeds(self, ctx: Context, each: ModelServer, model: ServedModel) -> Check:
        """Equal texts have equal vectors, and what is related is nearer than what is not."""
        title = f"{each.name} tells what is related"
        vectors = self._question(each, model).answer(ctx.host(each.asks)).get("embeddings", [])
        if [len(v) for v in vectors] != [model.part.n_embd] * len(_TEXTS):
            shown = ", ".join(str(len(v)) for v in vectors) or "none"
            return Check(title, False, f"vectors of {model.part.n_embd} expected: {shown}")
        same, near, far = (_cosine(vectors[0], vectors[n]) for n in (1, 2, 3))
        says = f"the same text {same:.3f}, a related one {near:.3f}, another {far:.3f}"
        return Check(title, same > 0.999 and near > far, says)

    def numbers(self, ctx: Context) -> Iterator[Measurement]:
        """Memory beside the model's, as a whole and part by part, tokens a second beside the
        roof."""
        for each in self.servers:
            host = ctx.host(each.asks)
            yield from self._parts(ctx, each)
            used, foretold = self._used_bytes(ctx, each), each.predicted_bytes
            yield Measurement(f"{each.name}: memory of the card", used, "B", foretold)
            rows = answered(host, each.url, "/api/ps", LOADED)["models"]
            for row in rows:
                name = f"{each.name}: {row['name']}, by the server's own word"
                yield Measurement(name, row["size_vram"], "B")
            for model in each.models:
                said = self._question(each, model).answer(host)
                count, took_ns = said.get("eval_count", 0), said.get("eval_duration", 0)
                if count and took_ns:
                    roof = _roof(each, model)
                    name = f"{each.name}: {model.name}"
                    yield Measurement(name, count / took_ns * 1e9, "tokens/s", roof)

    def _parts(self, ctx: Context, each: ModelServer) -> Iterator[Measurement]:
        """By its log, which names no model: of a server with one."""
        if len(each.models) != 1:
            return
        [(model, foretold)] = each.fits()
        predicted = {
            "weights": foretold.weights_bytes,
            "cache": foretold.cache_bytes,
            "buffer": foretold.compute_bytes,
        }
        for part, size in self._told(ctx, each).card_bytes.items():
            name = f"{each.name}: {part} of {model.name}, by the server's log"
            yield Measurement(name, size, "B", predicted[part])


def _roof(each: ModelServer, model: ServedModel) -> float | None:
    """The tokens a second that the card's bandwidth allows."""
    bandwidth = each.card.part.memory_bytes_per_s
    if not bandwidth:
        return None
    return decode_tokens_per_second([read_bytes(model)], [float(bandwidth)])


def _cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    lengths = sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5
    return dot / lengths if lengths else 0.0
