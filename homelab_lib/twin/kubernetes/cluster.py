"""A Kubernetes cluster that isn't there: what its API keeps, and what comes of it in time.

Objects are what the real API would hold. Controllers look at them whenever somebody asks and
whenever the simulated clock has moved on, and do the next thing that is due.
"""

import copy
import hashlib
import marshal
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from homelab_lib.twin.kubernetes import admission, definitions, ownership, schema
from homelab_lib.twin.kubernetes.defaults import fill_in
from homelab_lib.twin.kubernetes.invalid import refuse
from homelab_lib.twin.kubernetes.objects import (
    KINDS,
    ApiError,
    Key,
    Kind,
    Object,
    Objects,
    kind_of,
    merged,
    pruned,
)
from homelab_lib.twin.kubernetes.outcome import outcome
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.surroundings import Surroundings

_NOTICE_S = 0.4
_TICKS_S = (0.5, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 60, 90, 120)


class Cluster:
    """What the API server of one cluster knows.

    Parameters
    ----------
    world
        The world it is in.
    server
        The machine its API runs on.
    version
        Version of the server: ``v1.35.1+k3s1``.
    """

    def __init__(self, world: Surroundings, server: Machine, version: str) -> None:
        self.world = world
        self.server = server
        self.servers = [server]  # with those that joined it
        self.version = version
        self.kinds = dict(KINDS)  # with those that somebody defines, by their keys
        self.objects = Objects()
        self.applied: dict[tuple[Key, str], Object] = {}  # what each manager says of an object
        self.updates = set(ownership.UPDATES)  # the managers that don't apply
        self.since: dict[str, float] = {}  # when something about an object began, by its uid
        self.installed: dict[str, int] = {}  # of a chart's uid, the generation that stands
        self.members: dict[str, Machine] = {}
        self.agreed: dict[str, Any] = {}  # what all its servers have to say alike
        self.token = ""  # by which nodes join
        self.tls_names: set[str] = set()  # names the API's certificate is good for
        self.controllers: list[Callable[[Cluster], None]] = []
        self.silences: list[Any] = []  # alerts that somebody has seen
        self.admission: list[Callable[[Cluster, Object], None]] = []  # what has a say in objects
        self.last_seen: dict[str, float] = {}
        self.logs: dict[str, str] = {}  # a pod's output by its uid
        self.images: dict[str, set[str]] = {}  # that a node has already, by its name
        self.seeded = False  # whether a real one was there before it
        self.deleted_secrets: set[tuple[str, str]] = set()  # of a seeded one: gone here alone
        self.old_log: Callable[[str, str], str] = lambda namespace, pod: ""  # of before the twin
        self.requests = 0  # that came in by the ingress
        self.hanging: set[str] = set()  # pods that are ready and do nothing, by their uids
        self.bereft: set[str] = set()  # pods from which the host took their cards, by their uids
        self.programs: dict[str, Any] = {}  # servers in pods that keep something, by the pod's uid
        self.ran_before: set[str] = set()  # the uids of pods of before the twin
        self.begun: dict[str, int] = {}  # and at which boot of its node each was started
        self._revision = 0
        self._addresses = 1
        self._settling = False
        self._found = b""  # the fingerprint of what the controllers left
        self._ticks: set[float] = set()
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(map(int, re.findall(r"\d+", self.version.partition("+")[0])))

    # ---------------------------------------------------------------- reading

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object, or None. Not a copy: only controllers change it."""
        known = self.kinds.get(kind)
        space = namespace if known and known.namespaced else ""
        return self.objects.get((kind, space, name))

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        """Every object of a kind by name; of all namespaces for None."""
        if kind not in self.kinds:
            return []  # nobody has defined it
        return self.objects.of_kind(kind, namespace)

    def owned(self, kind: str, owner: Object) -> list[Object]:
        """The objects of a kind that `owner` made."""
        uid = owner["metadata"]["uid"]
        return [
            document
            for document in self.all(kind, owner["metadata"].get("namespace", ""))
            if any(o["uid"] == uid for o in document["metadata"].get("ownerReferences", ()))
        ]

    def age_s(self, document: Object) -> float:
        """How long ago it was made, or what it does began [s]."""
        uid = document["metadata"]["uid"]
        return self.world.clock.now() - self.since.setdefault(uid, self.world.clock.now())

    def answers(self) -> bool:
        """Whether the API answers: etcd needs more than half of its members."""
        return sum(map(self.runs_on, self.servers)) * 2 > len(self.servers)

    def runs_on(self, server: Machine) -> bool:
        """Whether a server's own API runs."""
        unit = server.units.get("k3s")
        return server.up and unit is not None and unit.active == "active"

    # --------------------------------------------------------------- changing

    def create(self, document: Object, owner: Object | None = None) -> Object:
        """Store a new object as a controller does."""
        kind = kind_of(document, self.kinds)
        key = self._key(kind, document)
        self._place(kind, key)
        new = copy.deepcopy(document)
        refuse(kind, new, None)
        fill_in(kind, new)
        admission.admit(new, self.get, self.all)
        self._begin(kind, key, new)
        if owner is not None:
            new["metadata"]["ownerReferences"] = [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ]
        self._store(key, new)
        return new

    def apply(
        self, document: Object, manager: str, *, dry_run: bool = False, force: bool = False
    ) -> Object:
        """Server-side apply: make the object, or make it what the manager now says.

        Parameters
        ----------
        document, manager
            What is said of the object, and by whom.
        dry_run
            Whether nothing is kept.
        force
            Whether fields are changed that others manage: they are the manager's from then on.

        Raises
        ------
        ApiError
            What the API server would answer.
        """
        kind = kind_of(document, self.kinds)
        shape = definitions.shape_of(kind, self.version)
        schema.refuse_types(shape, kind, document)
        for admit in self.admission:
            admit(self, document)
        document = pruned(document)
        key = self._key(kind, document)
        self._place(kind, key)
        old = self.objects.get(key)
        others = {who: said for (at, who), said in self.applied.items() if at == key}
        last = others.pop(manager, {})
        taken = ownership.conflicts(shape, old, document, others) if old and others else {}
        if taken and not force:
            raise ownership.conflict(taken, kind.api_version, self.updates)
        if last and others:  # what others say as well stays there, whoever no longer does
            last = ownership.without(shape, last, ownership.said_by(shape, others.values()))
        new = merged(old or {}, last, document)
        schema.refuse_values(shape, kind, document, new)
        refuse(kind, new, old)
        fill_in(kind, new)
        if old is None:
            admission.admit(new, self.get, self.all)
        if dry_run:
            return new
        if kind.name == "CustomResourceDefinition":
            definitions.establish(new, self.stamp())
        if old is None:
            self._begin(kind, key, new)
        elif _essence(new) != _essence(old):
            self._revision += 1
            new["metadata"]["resourceVersion"] = str(self._revision)
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
                self.since[_spec_of(new)] = self.world.clock.now()
        for who, paths in taken.items():
            self.applied[key, who] = ownership.without(shape, others[who], set(paths))
        self.applied[key, manager] = copy.deepcopy(document)
        self._store(key, new)
        return new

    def update(self, document: Object, spec: Any) -> None:
        """Give an object another spec, as a controller does; what it only says anew is none."""
        wanted = copy.deepcopy(document) | {"spec": copy.deepcopy(spec)}
        fill_in(self.kinds[kind_of(document, self.kinds).key], wanted)
        if wanted["spec"] == document.get("spec"):
            return
        self._revision += 1
        document["spec"] = wanted["spec"]
        meta = document["metadata"]
        meta["resourceVersion"] = str(self._revision)
        meta["generation"] = meta.get("generation", 1) + 1
        self.since[_spec_of(document)] = self.world.clock.now()
        self._stir()

    def delete(self, kind: str, name: str, namespace: str = "") -> Object:
        """Take an object away, and what it owned.

        Raises
        ------
        ApiError
            There is none.
        """
        known = self.kinds[kind]
        key = (kind, namespace if known.namespaced else "", name)
        gone = self.objects.pop(key, None)
        if gone is None:
            raise not_found(known, name)
        for said in [each for each in self.applied if each[0] == key]:
            del self.applied[said]
        for other in list(self.kinds):
            for child in self.owned(other, gone):
                self.delete(other, child["metadata"]["name"], child["metadata"]["namespace"])
        if kind == "Namespace":
            for other_key in [k for k in self.objects if k[1] == name]:
                self.objects.pop(other_key, None)
        if kind == "CustomResourceDefinition":
            for other_key in [k for k in self.objects if k[0] == name]:
                self.objects.pop(other_key, None)
            self.kinds.pop(name, None)
        self._stir()
        return gone

    # ------------------------------------------------------------------- time

    def settle(self) -> None:
        """Let every controller do what is due, until there is nothing left to do now."""
        if self._settling or not self.answers():
            return
        self._settling = True
        try:
            for _ in range(12):
                for controller in self.controllers:
                    controller(self)
                before, self._found = self._found, self._print()
                if self._found == before:
                    return
        finally:
            self._settling = False

    def stamp(self) -> str:
        """The simulated time as the API writes it."""
        return written(int(self.world.clock.now()))

    def next_address(self) -> int:
        """A number that no service or pod has had yet."""
        self._addresses += 1
        return self._addresses

    def _stir(self) -> None:
        """Look again after a while: what was changed just now takes its time."""
        if self._settling:
            return
        now = self.world.clock.now()
        for when in {now + delay_s for delay_s in _TICKS_S} - self._ticks:
            self._ticks.add(when)
            self.world.after(when - now, partial(self._tick, when), label="cluster")

    def _tick(self, when: float) -> None:
        self._ticks.discard(when)
        self.settle()

    def _print(self) -> bytes:
        """A cheap fingerprint of everything but events: this is asked thousands of times."""
        kept = [self.objects.of_kind(kind) for kind in self.objects.kinds() if kind != "Event"]
        return marshal.dumps(kept, 0)  # version 0: of equal values always the same bytes

    # ------------------------------------------------------------------ parts

    def _key(self, kind: Kind, document: Object) -> Key:
        metadata = document.setdefault("metadata", {})
        if not metadata.get("name"):
            raise ApiError("", "error: resource name may not be empty")
        namespace = metadata.get("namespace") or "default" if kind.namespaced else ""
        return kind.key, namespace, metadata["name"]

    def _store(self, key: Key, new: Object) -> None:
        if key[0] == "CustomResourceDefinition" and definitions.is_established(new):
            self.serve(new)
        self.objects[key] = new
        self._stir()

    def serve(self, definition: Object) -> None:
        """Answer for the kind that a definition makes."""
        kind = definitions.defined(definition)
        self.kinds[kind.key] = kind

    def _place(self, kind: Kind, key: Key) -> None:
        if kind.namespaced and self.get("Namespace", key[1]) is None:
            raise ApiError("NotFound", f'namespaces "{key[1]}" not found')

    def _begin(self, kind: Kind, key: Key, new: Object) -> None:
        self._revision += 1
        uid = hashlib.sha256(f"{self.world.seed}{key}{self._revision}".encode()).hexdigest()
        metadata = new.setdefault("metadata", {})
        if kind.namespaced:
            metadata["namespace"] = key[1]
        metadata["uid"] = f"{uid[:8]}-{uid[8:12]}-{uid[12:16]}-{uid[16:20]}-{uid[20:32]}"
        metadata["creationTimestamp"] = self.stamp()
        metadata["resourceVersion"] = str(self._revision)
        if "spec" in new:
            metadata["generation"] = 1
        self.since[metadata["uid"]] = self.since[_spec_of(new)] = self.world.clock.now()

    def noticed(self, document: Object) -> bool:
        """Whether the controllers have looked at what was changed of an object: they are soon, not
        at once, and until then its status is about what it was before."""
        changed_s = self.since.get(_spec_of(document), -_NOTICE_S)
        return self.world.clock.now() - changed_s >= _NOTICE_S

    def state(self) -> dict[str, Any]:
        """What has to be equal in two clusters that were built alike."""
        return outcome(self.objects)


@lru_cache(maxsize=64)
def written(moment_s: int) -> str:
    """A moment [s since 1970] as the API writes it: every condition has one."""
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def not_found(kind: Kind, name: str) -> ApiError:
    """What the API server says of an object that isn't there."""
    return ApiError("NotFound", f'{kind.resource} "{name}" not found')


def _spec_of(document: Object) -> str:
    return f"{document['metadata']['uid']} spec"


def _essence(document: Object) -> Object:
    """An object without what only the server writes."""
    metadata = document.get("metadata", {})
    kept = {name: metadata[name] for name in ("labels", "annotations") if name in metadata}
    return {k: v for k, v in document.items() if k not in ("metadata", "status")} | {"m": kept}
