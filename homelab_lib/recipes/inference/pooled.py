"""One model over the cards of several machines, by llama.cpp's RPC: the working way where one card
is too small and no machine has several.

Its README calls it a proof of concept, fragile and insecure, and never to be run on an open
network. So each machine binds its port to its own address in the lab, and systemd lets packets to
and from the head through and drops all others; the head answers on its own machine alone.

Sources: llama.cpp tools/rpc/README.md and .github/workflows/release.yml (all archives have RPC);
systemd.resource-control(5), IPAddressAllow=.
"""

import hashlib
import json
from collections.abc import Iterator

from homelab_lib.control.linux import Download, File, Packages
from homelab_lib.control.linux.card_memory import amd_memory, nvidia_memory
from homelab_lib.control.linux.large_files import LargeFile
from homelab_lib.control.linux.links import round_trip_s
from homelab_lib.control.linux.unit_file import FOLDER, OwnService, unit_text
from homelab_lib.control.linux.unpacked import Unpacked
from homelab_lib.control.llama_cpp.log import ended_by, read_offered, read_spread
from homelab_lib.control.llama_cpp.server import PoolAsked, PoolUp, journal, reaches
from homelab_lib.lab import Lab
from homelab_lib.models.spread import sending_s, spread_tokens_per_second
from homelab_lib.recipes.graphics.placed import PlacedCard
from homelab_lib.recipes.inference.pool_faults import refuse
from homelab_lib.recipes.inference.pools import Member, Pool, pools_of, shared_with
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.units import format_ibytes
from homelab_lib.wiring.cables import rate_between
from homelab_lib.wiring.serving import run_of

MAKES = ("services",)
_INTO = "/opt/llama.cpp"
_MODELS = "/var/lib/homelab/models"
_KEPT = "/var/lib/homelab/answers"
_WORKER = "llama-rpc"
_HEAD = "llama-pool"
_PACKAGES = ("curl", "libgomp1", "libvulkan1")
_MESA = "mesa-vulkan-drivers"
_PROMPT = "Count from one to fifty in words, separated by commas."
_TOKENS = 128
_LEAST_SHARE = 0.9  # of the weights that were reckoned for a card
_LEAST_MEMORY = 0.94  # of a card's, as its driver offers it
_STATE_BYTES = 4  # of each number of what leaves a layer: single precision [bytes]
_NO_CABLE_BPS = 10_000_000_000  # between VMs of one host [bit/s]
_LOAD_S = 900.0


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The pools of a phase; none where it has none.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        A model can't be served as described: its key and what to do.
    """
    pools = pools_of(lab, phase)
    for pool in pools:
        refuse(pool)
        yield from Pooled(lab, pool).steps(f"-{pool.name}" if len(pools) > 1 else "")


class Pooled:
    """A model over several machines; see `steps`."""

    def __init__(self, lab: Lab, pool: Pool) -> None:
        self.lab = lab
        self.pool = pool
        self.folder = f"{_INTO}/llama-{pool.archive.version}"
        self.path = f"{_MODELS}/{pool.file.url.rpartition('/')[2]}"

    def steps(self, end: str) -> Iterator[Step]:
        """The other machines' cards, the server, and what it answers."""
        pool = self.pool
        shares = ", ".join(
            f"{count} to {card.device}" for card, count in zip(pool.cards, pool.layers, strict=True)
        )
        others = ", ".join(worker.machine for worker in pool.workers)
        yield Step(
            f"pool-workers{end}",
            f"Offer the cards of {others} to {pool.head.machine}",
            why=f"llama.cpp {pool.archive.version} on each machine, by one archive: an RPC server "
            "of another release is refused by the head. It is a proof of concept without a "
            f"password, so {pool.head.machine} alone gets through to port "
            f"{pool.described.worker_port}, and the kernel drops what comes from elsewhere. It "
            "computes by Vulkan, which drives the cards of every maker." + shared_with(pool),
            needs=("drivers",),
            ensure=self.offer,
            check=self.offered,
        )
        yield Step(
            f"pool-server{end}",
            f"Serve {pool.model.name} over {len(pool.cards)} cards",
            why=f"Of its {pool.model.part.n_layer} layers go {shares}, so that all are filled "
            "alike; the output follows the last. That they fit was reckoned before anything was "
            f"sent. It answers on {pool.head.machine} alone, at port {pool.port}."
            + self._under_way(),
            needs=(f"pool-workers{end}",),
            ensure=self.serve,
            check=self.spread,
            measure=self.memory,
        )
        yield Step(
            f"pool-answers{end}",
            f"Ask {pool.model.name}, and measure",
            why="That the server says it is well proves nothing: it says so with a machine gone, "
            "and ends with the next question. Beside the tokens a second stands what the cards' "
            "bandwidth and the network's answers allow.",
            needs=(f"pool-server{end}",),
            ensure=self.ask,
            check=self.answers,
            measure=self.speed,
        )

    def _under_way(self) -> str:
        """How long the weights are, for a person."""
        seconds = [self._sending_s(worker) for worker in self.pool.workers]
        if not all(seconds):
            return ""
        most = sum(each or 0.0 for each in seconds)
        return f" At each start what is on other machines' cards goes there anew: {most:.0f} s."

    # -------------------------------------------------------------------- workers

    def offer(self, ctx: Context) -> Iterator[Wanted]:
        """The programs on each machine, and a service on those that offer."""
        pool = self.pool
        for member in pool.members:
            yield from self._programs(member)
        for worker in pool.workers:
            program = f"{self.folder}/ggml-rpc-server"
            seen = [f"Vulkan{number}" for number in range(len(worker.cards))]
            path = f"{FOLDER}/{_WORKER}.service"
            text = unit_text(
                "llama.cpp's RPC server: this machine's cards for another one's model",
                f"{program} -H {worker.address} -p {pool.described.worker_port} "
                f"-d {','.join(seen)}",
                _WORKER,
                (path, program),
                (
                    *self._rights(worker),
                    "IPAddressDeny=any",
                    f"IPAddressAllow={pool.head.address}",
                ),
                restart="always",  # where it can't bind its port it ends with 0
            )
            what = "the service that offers its cards"
            yield File(worker.machine, path, text, what=what, lab=self.lab.name)
            yield OwnService(worker.machine, _WORKER, (path, program), ended_by)

    def _programs(self, member: Member) -> Iterator[Wanted]:
        archive = self.pool.archive
        amd = any(card.part.vendor != "NVIDIA" for card in member.cards)
        yield Packages(member.machine, (*_PACKAGES, *([_MESA] if amd else [])))
        path = f"/var/lib/homelab/{archive.url.rpartition('/')[2]}"
        yield Download(
            member.machine,
            path,
            archive.url,
            archive.sha256,
            what=f"llama.cpp {archive.version}",
            size_bytes=archive.size_bytes,
            lab=self.lab.name,
        )
        yield Unpacked(
            member.machine,
            path,
            archive.sha256,
            _INTO,
            f"{self.folder}/ggml-rpc-server",
            lab=self.lab.name,
        )

    def _rights(self, member: Member) -> tuple[str, ...]:
        """A user of its own that may use the cards, and sees those of the pool alone."""
        return (
            "DynamicUser=yes",
            "SupplementaryGroups=render video",
            f"Environment=GGML_VK_VISIBLE_DEVICES={self.pool.seen(member)}",
        )

    def offered(self, ctx: Context) -> Iterator[Check]:
        """The head gets through, nobody else does, and what is offered are the lab's cards."""
        pool, port = self.pool, self.pool.described.worker_port
        versions = {}
        for worker in pool.workers:
            through, says = reaches(ctx.host(pool.head.machine), worker.address, port)
            title = f"{pool.head.machine} reaches the cards of {worker.machine}"
            yield Check(title, through, says)
            log = journal(ctx.host(worker.machine), _WORKER)
            found = read_offered(log)
            if not found.version and through:  # it has been written over since
                continue
            versions[worker.machine] = found.version
            sizes = [size for _, _, size in found.devices]
            wanted = [card.part.vram_bytes * _LEAST_MEMORY for card in worker.cards]
            same = len(sizes) == len(wanted) and all(
                size >= least for size, least in zip(sizes, wanted, strict=True)
            )
            shown = [f"{title}, {format_ibytes(size)}" for _, title, size in found.devices]
            says = "; ".join(shown) or ended_by(log) or "its log names no card"
            title = f"{worker.machine} offers {' and '.join(c.device for c in worker.cards)}"
            yield Check(title, same, says)
        if versions:
            says = ", ".join(f"{name}: {version}" for name, version in versions.items())
            title = "all machines speak one release's protocol"
            yield Check(title, len(set(versions.values())) == 1, says)
        yield from self._closed(ctx)

    def _closed(self, ctx: Context) -> Iterator[Check]:
        """Who is not the head gets no connection: not even the machine itself."""
        for worker in self.pool.workers:
            port = self.pool.described.worker_port
            through, says = reaches(ctx.host(worker.machine), worker.address, port)
            title = f"the cards of {worker.machine} are closed to all but the head"
            yield Check(title, not through, says)

    # --------------------------------------------------------------------- server

    def serve(self, ctx: Context) -> Iterator[Wanted]:
        """The model's file and the server on the head, until it has loaded."""
        pool, head, file = self.pool, self.pool.head.machine, self.pool.file
        yield LargeFile(
            head,
            self.path,
            file.url,
            file.sha256,
            file.size_bytes or 0,
            f"{pool.model.name}, {pool.model.part.title} at {pool.model.quant}",
            lab=self.lab.name,
        )
        program, path = f"{self.folder}/llama-server", f"{FOLDER}/{_HEAD}.service"
        text = unit_text(
            f"llama.cpp's server: {pool.model.part.title} over several machines",
            f"{program} {self._told()}",
            _HEAD,
            (path, program),
            self._rights(pool.head),
        )
        yield File(head, path, text, what="the service of the model", lab=self.lab.name)
        yield OwnService(head, _HEAD, (path, program), ended_by)
        yield self._up()

    def _told(self) -> str:
        """Its options; nothing is left to its guess. What it puts where it says from verbosity 4
        on."""
        pool, model = self.pool, self.pool.model
        run = run_of(model)
        remote = sum(len(worker.cards) for worker in pool.workers)
        devices = [f"RPC{number}" for number in range(remote)]
        devices += [f"Vulkan{number}" for number in range(len(pool.head.cards))]
        endpoints = ",".join(map(pool.endpoint, pool.workers))
        return " ".join((
            f"-m {self.path} --alias {model.name}",
            f"-ngl {model.part.n_layer + 1} -c {run.tokens} -np {model.parallel}",
            f"-fa {'on' if model.flash_attention else 'off'}",
            f"-ctk {model.cache_type} -ctv {model.cache_type}",
            f"--rpc {endpoints} --device {','.join(devices)}",
            f"-ts {','.join(map(str, pool.split))} --fit off -lv 4",
            f"--host 127.0.0.1 --port {pool.port}",
        ))  # fmt: skip

    def _up(self) -> PoolUp:
        pool = self.pool
        sent_s = sum(self._sending_s(worker) or 0.0 for worker in pool.workers)
        return PoolUp(
            pool.head.machine,
            pool.url,
            _HEAD,
            pool.archive.version,
            self.path,
            pool.model.parallel,
            pool.model.context_tokens,
            _LOAD_S + 3 * sent_s,
        )

    def spread(self, ctx: Context) -> Iterator[Check]:
        """Each card has its share, by the server's own log and by the cards' drivers."""
        pool = self.pool
        found = read_spread(journal(ctx.host(pool.head.machine), _HEAD))
        if not found.of_layers:  # it has been written over since
            title = f"{pool.head.machine} says nothing against it"
            yield Check(title, True, "its log does not go back to its start any more")
        else:
            says = f"{found.layers} of {found.of_layers}, the output among them"
            yield Check("all layers are on cards", found.layers == found.of_layers, says)
            for card, share in zip(pool.cards, pool.weights_bytes, strict=True):
                got = found.weights_bytes.get(pool.buffer(card), 0)
                title = f"{card.device} has its part of the weights"
                yield Check(title, got >= _LEAST_SHARE * share, format_ibytes(got))
        for member, card, share in self._shares():
            used = self._used_bytes(ctx, member, card)
            title = f"its part is in the memory of {card.device}"
            says = f"{format_ibytes(used)} are taken"
            yield Check(title, used >= _LEAST_SHARE * share, says)

    def _shares(self) -> Iterator[tuple[Member, PlacedCard, int]]:
        taken = iter(self.pool.taken_bytes)
        for member in self.pool.members:
            for card in member.cards:
                yield member, card, next(taken)

    def _used_bytes(self, ctx: Context, member: Member, card: PlacedCard) -> int:
        """What is taken of a card's memory, in its machine's own words [bytes]."""
        ask = nvidia_memory if card.part.vendor == "NVIDIA" else amd_memory
        seen = ask(ctx.host(member.machine))
        alike = [each for each in member.cards if each.part.vendor == card.part.vendor]
        number = alike.index(card)
        return seen[number].used_bytes if number < len(seen) else 0

    def memory(self, ctx: Context) -> Iterator[Measurement]:
        """What each card has in use beside what was reckoned."""
        pool = self.pool
        for member, card, share in self._shares():
            other = pool.others.get(card.device)
            foretold = share + pool.reserve_bytes + (other.predicted_bytes if other else 0)
            used = self._used_bytes(ctx, member, card)
            yield Measurement(f"{pool.name}: memory of {card.device}", used, "B", foretold)

    # -------------------------------------------------------------------- answers

    def ask(self, ctx: Context) -> Iterator[Wanted]:
        """One question, of some length; another one where it is told otherwise."""
        yield self._question()

    def _question(self) -> PoolAsked:
        pool = self.pool
        body = {
            "prompt": _PROMPT,
            "n_predict": _TOKENS,
            "ignore_eos": True,
            "temperature": 0,
            "seed": 1,
            "stream": False,
        }
        told = f"{pool.archive.version} {pool.file.sha256} {self._told()}"
        keep = f"{_KEPT}/{pool.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.json"
        text = json.dumps(body, sort_keys=True)
        return PoolAsked(pool.head.machine, pool.url, text, keep)

    def answers(self, ctx: Context) -> Iterator[Check]:
        """It made as many tokens as it was asked for, and still runs."""
        made = self._question().answer(ctx.host(self.pool.head.machine))["timings"]["predicted_n"]
        title = f"{self.pool.model.name} answers over {len(self.pool.cards)} cards"
        yield Check(title, made == _TOKENS, f"{made} tokens")

    def speed(self, ctx: Context) -> Iterator[Measurement]:
        """Tokens a second, beside what the cards and the network allow."""
        host = ctx.host(self.pool.head.machine)
        timings = self._question().answer(host)["timings"]
        rate = timings["predicted_n"] / timings["predicted_ms"] * 1e3
        waits = [round_trip_s(host, worker.address) for worker in self.pool.workers]
        roof = self._roof([each for each in waits if each is not None])
        yield Measurement(f"{self.pool.name}: {self.pool.model.name}", rate, "tokens/s", roof)
        for worker, wait in zip(self.pool.workers, waits, strict=True):
            if wait is not None:
                yield Measurement(f"{self.pool.name}: round trip to {worker.machine}", wait, "s")

    def _roof(self, waits: list[float]) -> float | None:
        """The tokens a second that the cards' bandwidth and the network allow; None where one of
        them is not known."""
        pool = self.pool
        speeds = [float(card.part.memory_bytes_per_s or 0) for card in pool.cards]
        if not all(speeds) or len(waits) < len(pool.workers):
            return None
        between = [rate_between(self.lab, pool.head.machine, w.machine) for w in pool.workers]
        pairs = zip(pool.workers, waits, strict=True)
        answers = [wait for worker, wait in pairs for _ in worker.cards]
        return spread_tokens_per_second(
            pool.read_bytes,
            speeds,
            answers_s=answers,
            crossings=2 * len(answers),
            crossing_bytes=pool.model.part.n_embd * _STATE_BYTES,
            network_bps=min((each for each in between if each), default=_NO_CABLE_BPS),
        )

    def _sending_s(self, worker: Member) -> float | None:
        """How long the weights for a machine are under way at least [s]; None where the lab does
        not say what lies between."""
        rate = rate_between(self.lab, self.pool.head.machine, worker.machine)
        if rate is None:
            return None
        shares = zip(self.pool.cards, self.pool.weights_bytes, strict=True)
        return sending_s(sum(size for card, size in shares if card in worker.cards), rate)
