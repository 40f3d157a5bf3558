"""What runbooks of ours send and read: all of them, of every lab that is here.

Each is planned and carried out on a twin; those of the shipped lab in order on one, as the whole
house is. What comes to an appliance is written down at its own door, so that a call in a script
counts as well.
"""

import fcntl
import json
import pickle
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from homelab_lib import answers, paths
from homelab_lib.lab import Lab, load_lab
from homelab_lib.recipes.phase import possible
from homelab_lib.runbook.plan import PlannedChange
from homelab_lib.secret import Secret
from homelab_lib.session.run import Run
from homelab_lib.target.twin import TwinTarget
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.request import Request
from homelab_lib.twin.proxmox.pct import pct
from homelab_lib.twin.proxmox.pvesh import pvesh
from homelab_lib.twin.proxmox.pvesm import pvesm
from homelab_lib.twin.proxmox.qm import qm
from homelab_lib.twin.truenas import midclt, python
from recipes import test_backup_server
from recipes.test_containers import with_containers

_DESCRIBED = Path(__file__).parents[1] / "recipes" / "labs"
_ONLY = {("cards", "phase2"): ("groups", "boot", "mappings", "passthrough", "second-start")}
"""Of a lab that is there for some steps, those; its drivers never come to their end."""


class Read(dict[str, Any]):
    """An answer that remembers which of its keys were asked for."""

    def __init__(
        self, document: dict[str, Any], place: tuple[str, ...], seen: set[tuple[str, ...]]
    ) -> None:
        super().__init__({key: watched(v, (*place, key), seen) for key, v in document.items()})
        self.place, self.seen = place, seen

    def _note(self, key: str) -> None:
        self.seen.add((*self.place, key))

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._note(key)
        return super().get(key, default)


def watched(document: Any, place: tuple[str, ...], seen: set[tuple[str, ...]]) -> Any:
    """A document that notes what is read of it."""
    if isinstance(document, dict):
        return Read(document, place, seen)
    if isinstance(document, list):
        return [watched(each, place, seen) for each in document]
    return document


class Sent(NamedTuple):
    """What a plan shows of a change: its call, and the text that goes with it."""

    call: str
    shows: str


@dataclass
class CarriedOut:
    """What came of it.

    Parameters
    ----------
    books
        Lab and name of each runbook.
    changes
        All that was planned.
    proxmox, of_proxmox
        The words of each call that came to a node, and which keys of its answers were read.
    truenas
        Release, method and arguments of each call that came to a middleware.
    opnsense
        Release, method, path and body of each request to a firewall.
    """

    books: list[tuple[str, str]] = field(default_factory=list)
    changes: list[Sent] = field(default_factory=list)
    proxmox: set[tuple[str, ...]] = field(default_factory=set)
    of_proxmox: set[tuple[str, ...]] = field(default_factory=set)
    truenas: set[tuple[str, str, str]] = field(default_factory=set)
    opnsense: set[tuple[str, str, str, str]] = field(default_factory=set)


def carried_out(shared: Path) -> CarriedOut:
    """All of it.

    Parameters
    ----------
    shared
        A folder of this session of tests: whoever asks first carries it out, for all its workers.
    """
    kept = shared / "carried_out.pickle"
    with (shared / "carried_out.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(_carried_out()))
    found: CarriedOut = pickle.loads(kept.read_bytes())
    return found


def _carried_out() -> CarriedOut:
    found = CarriedOut()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        place = Path(folder)
        patch.setenv("HOMELAB_STATE", str(place / "state"))
        patch.setenv("HOMELAB_REPORTS", str(place / "reports"))
        patch.setenv("PBS_TOKEN", test_backup_server.SECRET)
        lab_now: list[Lab] = []
        _listen(patch, found, lab_now)
        for lab in _labs(place):
            lab_now[:] = [load_lab(lab or None)]
            _carry_out(lab, lab_now[0], found)
        _back_up_elsewhere()
    return found


def objects(carried: CarriedOut) -> list[dict[str, Any]]:
    """The Kubernetes objects that are applied, each once."""
    texts = dict.fromkeys(c.shows for c in carried.changes if " kubectl apply " in c.call)
    # What is in a Secret is shown to nobody.
    return [json.loads(text) for text in texts if text.startswith("{")]


class _Plain(yaml.SafeDumper):
    """Writes out what is there twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _labs(folder: Path) -> Iterator[str]:
    """Where each is described; empty for the shipped one."""
    yield ""
    yield from (str(each) for each in sorted((paths.data() / "examples").iterdir()))
    described = {f.stem: yaml.safe_load(f.read_text()) for f in sorted(_DESCRIBED.glob("*.yaml"))}
    for name, document in (described | {"containers": with_containers()}).items():
        place = folder / "labs" / name
        shutil.copytree(paths.data() / "examples" / "minipc" / "catalog", place / "catalog")
        # Its aliases and merges are the tests' own shorthand: a lab has none.
        (place / "lab.yaml").write_text(yaml.dump(document, Dumper=_Plain))
        yield str(place)


def _carry_out(lab: str, described: Lab, found: CarriedOut) -> None:
    twin = None if lab else TwinTarget.before_phase(described, 1)
    try:
        for book in possible(described):
            found.books.append((described.name, book.name))
            only = _ONLY.get((described.name, book.name), ())
            planned = _run(lab, book.name, twin, only)
            found.changes += [Sent(change.call, change.shows) for change in planned]
    finally:
        if twin is not None:
            twin.close()


def _run(
    lab: str,
    name: str,
    twin: TwinTarget | None,
    only: Sequence[str] = (),
    named: frozenset[str] = frozenset(),
) -> Sequence[PlannedChange]:
    """Plan a runbook and carry it out; what the plan would destroy is named once it was read."""
    run = Run(name, lab=lab, on=twin, only=only, allow_destroy=sorted(named))
    try:
        run.plan()
        changes = run._plan.changes
        destroyed = frozenset(each for change in changes for each in change.destroys)
        if destroyed - named:
            run.close()
            return _run(lab, name, twin, only, named | destroyed)
        for step in run.selected:
            run.step(step)
        return changes
    finally:
        run.close()


def _back_up_elsewhere() -> None:
    """To a Proxmox Backup Server, which no lab here has."""
    bench, _, server = test_backup_server.bench_of()
    server.tokens[test_backup_server.STORE["username"]] = test_backup_server.SECRET
    assert bench.stops() == ("", "")


def _listen(patch: pytest.MonkeyPatch, found: CarriedOut, lab_now: list[Lab]) -> None:
    """Have it written down what comes to the appliances, and what is read of their answers."""
    for program in (qm, pct, pvesh, pvesm):
        for name, body in program.bodies.items():

            def noted(node: Any, call: Any, body: Any = body) -> Any:
                found.proxmox.add(call.argv)
                return body(node, call)

            patch.setitem(program.bodies, name, noted)
    called, by_python, ask = midclt._called, python._Client.call, Fleet._ask
    expected = answers.expected

    def note(nas: Any, name: str, given: Any) -> None:
        found.truenas.add((nas.version, name, json.dumps(given, sort_keys=True)))

    def calling(nas: Any, name: str, given: Any, **more: Any) -> Any:
        note(nas, name, given)
        return called(nas, name, given, **more)

    def calling_by_python(self: Any, name: str, *given: Any) -> Any:
        note(self._nas, name, list(given))
        return by_python(self, name, *given)

    def asking(self: Any, connection: Any, request: Request) -> Any:
        if request.service == "opnsense":
            version = lab_now[0].hosts[connection.endpoint.name].os.version
            body = json.dumps(request.body, default=Secret.reveal, sort_keys=True)
            found.opnsense.add((version, request.method, request.path, body))
        return ask(self, connection, request)

    def watching(value: Any, shape: Any, *, host: str, line: str) -> Any:
        said = expected(value, shape, host=host, line=line)
        words = shlex.split(line)
        words = words[words.index("pvesh") :] if "pvesh" in words else words
        return watched(said, tuple(words[:3]), found.of_proxmox)

    patch.setattr(midclt, "_called", calling)
    patch.setattr(python._Client, "call", calling_by_python)
    patch.setattr(Fleet, "_ask", asking)
    patch.setattr(answers, "expected", watching)
