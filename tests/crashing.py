"""A runbook cut off at each of its changes, each time on a copy of the lab as it stands there.

Before each step this process forks once for every point of that step that is to be proved. Each
copy has its own twin, its own time and its own journal; something goes wrong at the point, the same
command is given again until it gets to its end, and the lab is compared with one that nothing has
disturbed. So what comes before a step is rehearsed once, and not for each point.

What comes after it hangs on how the lab stands. So a copy goes on to the end only where, left alone
for a while after its step, the lab stands otherwise than the undisturbed one does; a share of them
goes on all the same, and CI's sample.
"""

import gc
import hashlib
import os
import pickle
import re
import shutil
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

from homelab_lib.errors import HomelabError
from homelab_lib.lab import Lab
from homelab_lib.recipes import runbook
from homelab_lib.recipes.phase import Named
from homelab_lib.runbook.engine import Engine
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.sender import Sender
from homelab_lib.runbook.step import Runbook
from homelab_lib.secret import Mask
from homelab_lib.target.twin import TwinTarget
from homelab_lib.transport.batch import LINE as BATCH
from homelab_lib.transport.request import Request
from homelab_lib.twin.faults import Fault, plain
from homelab_lib.twin.opnsense.firewall import OpnSense
from standing import differences

CHANGE_KINDS = (
    "cut-before",
    "cut-after",
    "cut-mid",
    "reboot",
    "kill-before",
    "kill-after",
    "polls-lost",
)
"""What goes wrong at a change: the first four as the twin has them; ``kill``: our process dies
before it is sent, or before it has heard of its end; ``polls-lost``: the next question after it
gets no answer, nor does the same asked again."""
READ_KIND = "read-lost"
"""What goes wrong at a read: no answer, nor to the same asked again."""

_TRIES = 6
_HANGS_S = 900
_QUIET_S = 1200.0
"""Longer than any undo's timer [s]."""
_SHOWN_CHARACTERS = 400
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ANY_ID = re.compile(rf"{_UUID.pattern}|\b[0-9a-f]{{64}}\b")  # restic's come of a moment, too
_MOMENT = re.compile(
    r"\d{4}[-_]\d\d[-_]\d\d[-T_ ]\d\d[:_-]\d\d[:_-]\d\d(\.\d+)?Z?|\b1[789]\d{8}(\.\d+)?\b"
)
_TASK = re.compile(r"UPID:[^/\s]+")  # of Proxmox's tasks, each of which has a number of its own
_REVISION = re.compile(r"<revision>.*?</revision>", re.DOTALL)  # who saved last, and when
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)  # with its hour
_BY_CHANCE = (
    ".tmp_dwnl.",  # what Proxmox itself leaves of a download when its host restarts
    "/files//dev",  # the kernel's own, made at each boot
    "/files//sys",
    "/kept/vram",  # a model is loaded when it is next asked for
    "/files//conf/backup/",  # a firewall's own history, one for each time that something was saved
    "/files//var/lib/homelab/answers/",  # what a document's question was answered, with its ids
    "/files//var/lib/homelab/drills/",  # when a drill was held, and of which copy
    "/files//var/lib/rancher/k3s/storage/pvc-",  # which node has a pod and its claim
    "/kept/open-webui",
    "/kept/restic",  # what its ids are drawn from
)
_MORE = "/server/db/snapshots/etcd-snapshot-"
"""Of what there may be more than undisturbed, and never less: a longer way passes a night."""
_NOT_READ = {"ids": {"OPNsense/Interfaces", "OPNsense/cron"}}
"""Of a firewall's configuration, by service, what is nothing to it: the templates of the IPS read
``OPNsense.IDS`` and ``interfaces`` (opnsense/core, service/templates/OPNsense/IDS)."""


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class Trip:
    """One round trip of a run.

    Parameters
    ----------
    step, host, nth
        Which of those to that host in that step, from 1; reads and changes are counted apart.
    changes
        Whether it may change something.
    shapes
        The kinds of calls that it carried.
    """

    step: str
    host: str
    nth: int
    changes: bool
    shapes: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """Something that goes wrong at a round trip."""

    trip: Trip
    kind: str

    def __str__(self) -> str:
        trip = self.trip
        what = "change" if trip.changes else "read"
        return f"{trip.step}: {self.kind} at {what} {trip.nth} on {trip.host}: {trip.shapes[0]}"


def points_of(trips: Sequence[Trip], known: set[str]) -> list[Point]:
    """Every change with everything that may go wrong there, and each kind of read once.

    Parameters
    ----------
    trips
        Of a run that nothing disturbs.
    known
        Kinds of reads that have had their turn; those of these trips are added.
    """
    found = [Point(trip, kind) for trip in trips if trip.changes for kind in CHANGE_KINDS]
    for trip in trips:
        if not trip.changes and not known.issuperset(trip.shapes):
            known.update(trip.shapes)
            found.append(Point(trip, READ_KIND))
    return found


def _shape(call: Any) -> str:
    """The kind of a call: what it is, and not of what."""
    if isinstance(call, Request):
        return re.sub(r"[0-9a-f-]{36}|\d+", "N", f"{call.method} {call.path}")
    words = [word for word in call.argv if word not in ("sudo", "-n", "--", "env")]
    words = [word for word in words if not re.match(r"[A-Z_]+=", word)]
    line = _TASK.sub("UPID", " ".join(words[:4]).splitlines()[0])
    return re.sub(r"\d+", "N", line)[:100]


def _pattern(call: Any, several: bool) -> str:
    """What of a call the twin is sure to see; several go together in a script."""
    if isinstance(call, Request):
        return re.escape(f"{call.method} https://127.0.0.1:{call.port}{call.path}")
    return re.escape(plain(call.line)) if not several else re.escape(BATCH)


@dataclass
class Wire:
    """Carries a run's calls to the twin, counts them, and has one go wrong."""

    fleet: Any
    world: Any
    step: str = ""
    point: Point | None = None
    trips: list[Trip] = field(default_factory=list)
    dying: Callable[[], None] = lambda: None
    faults: list[Fault] = field(default_factory=list)
    _dead: bool = False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, bool]] = Counter()

    def begin(self, step: str) -> None:
        """What comes belongs to this step, begun anew."""
        self.step = step
        self._counts.clear()

    def run(self, host: str, call: Any) -> Any:
        return self._trip(host, [call], lambda: self.fleet.run(host, call))

    def run_many(self, host: str, calls: Sequence[Any]) -> Any:
        return self._trip(host, calls, lambda: self.fleet.run_many(host, calls))

    def reconnect(self, host: str) -> None:
        self._alive()
        self.fleet.reconnect(host)

    def _alive(self) -> None:
        if self._dead:
            raise Killed

    def _die(self) -> None:
        self._dead = True
        self.dying()
        raise Killed

    def _trip(self, host: str, calls: Sequence[Any], send: Callable[[], Any]) -> Any:
        self._alive()
        changes = any(call.kind == "change" for call in calls)
        with self._lock:
            key = (self.step, host, changes)
            self._counts[key] += 1
            trip = Trip(*key[:2], self._counts[key], changes, tuple(map(_shape, calls)))
            self.trips.append(trip)
            due = self.point
            if due is not None and _same_place(due.trip, trip):
                self.point = None
            else:
                due = None
        if due is None:
            return send()
        if due.kind == "kill-before":
            self._die()
        call = next((each for each in calls if each.kind == "change"), calls[0])
        pattern = _pattern(call, len(calls) > 1)
        if due.kind == READ_KIND:
            self._lose(host, pattern)
        elif due.kind in CHANGE_KINDS[:4]:
            self.faults = [self.world.faults.arm(due.kind, pattern, machine=host)]
        answer = send()
        if due.kind == "kill-after":
            self._die()
        if due.kind == "polls-lost":
            self._lose(host, "")
        return answer

    def _lose(self, host: str, pattern: str) -> None:
        """What is asked next is lost, and so is the same asked again."""
        arm = self.world.faults.arm
        self.faults = [arm("cut-before", pattern, machine=host, nth=nth) for nth in (1, 2)]


@dataclass
class Undisturbed:
    """What a run leaves that nothing has disturbed.

    Parameters
    ----------
    trips
        All that it asked and did.
    state
        The lab at its end.
    after
        How the lab stands if it is left alone after a step.
    """

    trips: list[Trip]
    state: Any
    after: dict[str, Any]


def _same_place(a: Trip, b: Trip) -> bool:
    """Changes are counted. How often is asked hangs on how long something takes: a read is the
    first of its kind."""
    if (a.step, a.host, a.changes) != (b.step, b.host, b.changes):
        return False
    return a.nth == b.nth if a.changes else a.shapes == b.shapes


class Site:
    """A lab on a twin, and the runbooks that are carried out on it one after the other.

    Parameters
    ----------
    lab
        The lab.
    target
        Its twin, as it stands before the first of them.
    folder
        For journals, and for what copies have to say.
    jobs
        How many copies may be at work at a time.
    whole
        Of how many copies one goes on to the end, however the lab stands.
    """

    def __init__(
        self, lab: Lab, target: TwinTarget, folder: Path, jobs: int = 1, whole: int = 1
    ) -> None:
        self.lab = lab
        self.target = target
        self.folder = folder
        self.jobs = jobs
        self.whole = whole
        self.known_reads: set[str] = set()
        self._running: dict[int, tuple[Point | None, Path]] = {}
        self._threads = threading.active_count()
        target.close()

    @contextmanager
    def opened(self) -> Iterator[TwinTarget]:
        """The twin, for what is carried out on it between proofs."""
        try:
            yield self._opened()
        finally:
            self._closed()

    # ---------------------------------------------------------------- one run

    def _opened(self) -> TwinTarget:
        self.target = self.target.reopened(allow_changes=True)
        return self.target

    def _closed(self) -> None:
        """Nobody listens, and no thread is left that a copy would miss."""
        self.target.close()
        until = time.monotonic() + 10
        while threading.active_count() > self._threads and time.monotonic() < until:
            time.sleep(0.002)

    def _engine(self, book: Runbook, wire: Wire, journal: Path) -> Engine:
        """As the command does at its begin: what the journal holds is known, nothing else."""
        mask = Mask()
        memory = Journal(journal, mask=mask, wall=lambda: "2026-01-01T00:00:00+00:00")

        def dying() -> None:
            def lost(file: Path, raw: bytes) -> None:
                raise Killed

            memory._write = lost  # type: ignore[method-assign]

        wire.dying = dying
        return Engine(
            book,
            "apply",
            Sender(wire, self.target.clock, memory, mask),
            trust=lambda *given: self.target.trust(*given),
            seal=lambda text: self.target.seal(text),
            locate=lambda *given: self.target.locate(*given),
            secret=lambda reference: self.target.secret(reference),
        )

    def _wire(self) -> Wire:
        return Wire(self.target.link, self.target.world)

    # ------------------------------------------------------------------ proof

    def prove(self, named: Named, choose: Callable[[list[Point]], list[Point]]) -> "Proof":
        """Carry a runbook out, and on copies cut it off at the points that are chosen of all."""
        book = runbook(self.lab, named.phase, self.target.public_key, named.part)
        begun = time.monotonic()
        self._closed()
        undisturbed = self._alone(lambda: self._undisturbed(book))
        every = points_of(undisturbed.trips, self.known_reads)
        chosen = choose(every)
        journal = self.folder / f"{named.name}.jsonl"
        proof = Proof(named.name, len(every), 0)
        wire = self._wire()
        engine = self._engine(book, wire, journal)
        for step in book.names:
            for point in chosen:
                if point.trip.step == step:
                    whole = proof.tried % self.whole == 0
                    self._fork(
                        point,
                        lambda p=point, w=whole: self._disturbed(
                            book, engine, wire, p, undisturbed, w
                        ),
                        proof,
                    )
            wire.fleet = self._opened().link
            wire.begin(step)
            engine.run_step(step)
            self._closed()
        while self._running:
            self._reap(proof)
        proof.failed += [
            f"two runs that nothing disturbed differ: {line}"
            for line in otherwise(self._state(), undisturbed.state)
        ]
        proof.took_s = time.monotonic() - begun
        return proof

    def _state(self) -> Any:
        """All that has to be equal; of a file with what is drawn by chance in it, the rest."""
        world = self.target.world
        state = world.state()
        for name, machine in world.machines.items():
            for path, (kind, *rest) in state["machines"][name]["files"].items():
                entry = machine.files.entries[path]
                if kind == "file" and entry.data and not entry.digest:
                    settled = _settled(entry.data)
                    if settled != entry.data:
                        rest[-1] = hashlib.sha256(settled).hexdigest()
                state["machines"][name]["files"][path] = (kind, *rest)
            if isinstance(machine, OpnSense):
                saved = machine.config.load()
                state["machines"][name]["in force"] = {
                    service: _behind(saved, running, _NOT_READ.get(service, frozenset()))
                    for service, running in machine.running.items()
                }
        for held in state["repositories"].values():
            if isinstance(held, dict):  # what else is in a row is drawn
                held["snapshots"] = sorted(_of_what(each) for each in held["snapshots"])
        return _settled(state)

    def _left_alone(self) -> Any:
        """How the lab stands once all that is due soon has happened."""
        self.target.clock.sleep(_QUIET_S)
        return self._state()

    def _undisturbed(self, book: Runbook) -> Undisturbed:
        self._opened()
        wire = self._wire()
        engine = self._engine(book, wire, self.folder / f"undisturbed-{book.name}.jsonl")
        after = {}
        for name in book.names:
            wire.begin(name)
            engine.run_step(name)
            after[name] = self._alone(self._left_alone)
        return Undisturbed(wire.trips, self._state(), after)

    def _disturbed(
        self,
        book: Runbook,
        engine: Engine,
        wire: Wire,
        point: Point,
        undisturbed: Undisturbed,
        whole: bool,
    ) -> list[str]:
        """What is otherwise after something went wrong there, and the same command again."""
        own = self.folder / f"copy-{os.getpid()}.jsonl"
        memory = engine.sender.journal
        own.unlink(missing_ok=True)
        if memory._file is not None and memory._file.exists():
            shutil.copy(memory._file, own)  # the process that goes on writes there, too
            known = own.read_bytes().splitlines(keepends=True)[: len(memory.events)]
            own.write_bytes(b"".join(known))
        memory._file = own
        wire.fleet = self._opened().link
        wire.point = point
        step = point.trip.step

        def as_undisturbed(done: str) -> bool:
            if whole or done != step:
                return False
            return not otherwise(self._left_alone(), undisturbed.after[step])

        names = book.names[book.names.index(step) :]
        try:
            error, early = self._run(engine, wire, names, as_undisturbed)
            missed = [each for each in wire.faults[:1] if each.match and not each.struck]
            if wire.point is not None or missed:
                return [f"nothing went wrong there; {error or 'it came to its end'}"]
            tries = 0
            while error is not None:
                tries += 1
                if tries > _TRIES:
                    return [f"not done after {_TRIES} tries: {error}"]
                self._opened()
                self._by_hand(error)
                self.target.clock.sleep(60.0)  # nobody types faster
                wire = self._wire()
                again = self._engine(book, wire, own)
                error, early = self._run(again, wire, book.names, as_undisturbed)
            return [] if early else otherwise(self._state(), undisturbed.state)
        finally:
            own.unlink(missing_ok=True)

    def _by_hand(self, error: BaseException) -> None:
        """What a person has to do: restic begins no repository where it has left one half-made, and
        can't take that away."""
        if "repository already contains keys" in str(error):
            held = self.target.world.repositories.repositories
            for place in [place for place, each in held.items() if not each.begun]:
                del held[place]

    def _run(
        self,
        engine: Engine,
        wire: Wire,
        names: Sequence[str],
        enough: Callable[[str], bool],
    ) -> tuple[BaseException | None, bool]:
        """What stopped it, and whether it was enough before the end."""
        try:
            for name in names:
                wire.begin(name)
                engine.run_step(name)
                if enough(name):
                    return None, True
        except (HomelabError, Killed) as error:
            return error, False
        return None, False

    # ----------------------------------------------------------------- copies

    def _alone(self, work: Callable[[], Any]) -> Any:
        """What work gives that a copy does."""
        says = self.folder / f"said-{os.getpid()}"
        pid = _copy(work, says)
        os.waitpid(pid, 0)
        said = pickle.loads(says.read_bytes())
        says.unlink()
        if isinstance(said, str):
            raise AssertionError(said)
        return said

    def _fork(self, point: Point, work: Callable[[], list[str]], proof: "Proof") -> None:
        while len(self._running) >= self.jobs:
            self._reap(proof)
        says = self.folder / f"said-{proof.book}-{proof.tried}"
        self._running[_copy(work, says)] = point, says
        proof.tried += 1

    def _reap(self, proof: "Proof") -> None:
        pid, status = os.wait()
        point, says = self._running.pop(pid)
        if not says.exists():
            proof.failed.append(f"{point}: the copy died, status {status} (14: it hangs)")
            return
        said = pickle.loads(says.read_bytes())
        says.unlink()
        if said:
            told = said if isinstance(said, str) else "\n    ".join(said[:12])
            proof.failed.append(f"{point}:\n    {told[:3000]}")


def _settled(state: Any, chance: re.Pattern[str] = _UUID) -> Any:
    """A state without what is drawn by chance: whose number is whose hangs on who came first, and
    what is called by its moment on how long something took."""
    if isinstance(state, dict):
        found: dict[Any, Any] = {}
        pairs = [
            (_settled(key), _settled(value, _ANY_ID if key == "repositories" else chance))
            for key, value in state.items()
        ]
        for key, value in sorted(pairs, key=repr):
            while key in found:
                key = f"{key}+"
            found[key] = value
        return found
    if isinstance(state, list | tuple):
        return type(state)(_settled(each, chance) for each in state)
    if isinstance(state, bytes):
        return _settled(state.decode("latin-1"), chance).encode("latin-1")
    if isinstance(state, str):
        return _MOMENT.sub("MOMENT", chance.sub("ID", _PEM.sub(r"\1", _REVISION.sub("", state))))
    return state


def _of_what(snapshot: dict[str, Any]) -> str:
    """Which backup a snapshot is one of."""
    return repr([snapshot.get(key) for key in ("hostname", "paths", "tags")])


def _behind(saved: Element, running: Element, unread: Set[str]) -> list[str]:
    """The sections of a firewall's configuration that a service has not read since they were last
    changed."""
    is_, was = _sections(saved), _sections(running)
    return sorted({tag for tag in {*is_, *was} if is_.get(tag) != was.get(tag)} - unread)


def _sections(root: Element) -> dict[str, Any]:
    """Those of a firewall's configuration; what is in ``OPNsense`` is one for each model."""
    models = root.find("OPNsense")
    found = {child.tag: child for child in root if child is not models}
    found |= {f"OPNsense/{child.tag}": child for child in (models if models is not None else ())}
    return {tag: _settled(tostring(child)) for tag, child in found.items()}


def otherwise(state: Any, undisturbed: Any) -> list[str]:
    """Where a state differs from the one that nothing has disturbed.

    A boot, or an undo, puts in force all that is saved: a service may have read more than it does
    undisturbed, and never less. A longer way passes a night, in which the lab copies itself: there
    may be more copies, and never fewer.
    """
    for name, machine in state["machines"].items():
        expected = undisturbed["machines"].get(name, {}).get("in force", {})
        for service, behind in machine.get("in force", {}).items():
            if set(behind) <= set(expected.get(service, ())):
                machine["in force"][service] = expected.get(service)
    for place, held in state["repositories"].items():
        expected = undisturbed["repositories"].get(place)
        both = isinstance(held, dict) and isinstance(expected, dict)
        if both and Counter(held["snapshots"]) >= Counter(expected["snapshots"]):
            held["snapshots"] = expected["snapshots"]
    found = [
        line
        for line in differences(state, undisturbed)
        if not any(mark in line for mark in _BY_CHANCE)
        and not (_MORE in line and line.endswith("!= None"))
    ]
    return [line[:_SHOWN_CHARACTERS] for line in found]


@dataclass
class Proof:
    """What came of a runbook's points.

    Parameters
    ----------
    book, points, tried
        The runbook, how many points it has, and how many of them were tried.
    failed
        What went otherwise than undisturbed.
    """

    book: str
    points: int
    tried: int
    failed: list[str] = field(default_factory=list)
    took_s: float = 0.0


def _copy(work: Callable[[], Any], says: Path) -> int:
    """A copy of this process that does some work, says what came of it, and is gone."""
    gc.freeze()  # it need not copy what its search for garbage would only look at
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(_HANGS_S)
    said: Any = ""
    try:
        said = work()
    except BaseException:
        said = traceback.format_exc()
    try:
        whole = says.with_suffix(".new")
        whole.write_bytes(pickle.dumps(said))
        whole.replace(says)
    finally:
        os._exit(0)
