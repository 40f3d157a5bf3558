"""A runbook is a list of named steps; a step says what should be there and how to tell."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from homelab_lib.errors import BadParameter
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.secret import Secret, resolve

TAKEN = "taken for done"
"""What is said of an act that nobody looked at, or could tell of."""


@dataclass(frozen=True)
class Check:
    """Something that has to hold once a step's resources are there.

    Parameters
    ----------
    title
        What has to hold.
    holds
        Whether it does, or is taken for it.
    says
        What was found, in words.
    taken
        Nobody looked, or could tell: it is taken for done, as a rehearsal takes a person's acts.
    looks_at
        What was looked at: what a host has ``written`` in its configuration, or what ``runs``.
    """

    title: str
    holds: bool
    says: str = ""
    taken: bool = False
    looks_at: Literal["runs", "written"] = "runs"


@dataclass(frozen=True)
class Measurement:
    """A number a step took, beside what the models said it would be.

    Parameters
    ----------
    name
        What was measured.
    value
        The number, in `unit`.
    unit
        An SI unit, or a plain word such as ``replicas``.
    predicted
        What a model gives for it, in the same unit; None where no model speaks.
    """

    name: str
    value: float
    unit: str
    predicted: float | None = None


@dataclass
class Context:
    """What a step may use: hosts to look at, what earlier steps found out, and keys to trust.

    Parameters
    ----------
    host
        Gives the reading handle of a host or VM by its name in the lab.
    trust
        Takes a host key (``ssh-ed25519 AAAA…``) that was learnt on a trusted way: pins it where
        this very run made the machine (by the resource that is named), else holds it against the
        one that is known.
    looks
        Gives looks for so many seconds of the target's clock: the first at once, the next after
        pauses that grow.
    outputs
        What steps leave for later ones, by name; a secret only as a `Secret`.
    locate
        Takes the address that DHCP has given a machine: there it is reached from then on.
    secret
        The secret behind a reference; whenever it is revealed, the run's mask has learnt it.
    """

    host: Callable[[str], Host]
    trust: Callable[[str, str, Resource], None]
    looks: Callable[[float], Iterable[object]]
    outputs: dict[str, Any] = field(default_factory=dict)
    locate: Callable[[str, str], None] = lambda machine, address: None
    secret: Callable[[str], Secret] = resolve


@dataclass(frozen=True)
class Manual:
    """An act only a person can do.

    Parameters
    ----------
    ask
        What to do, for the person.
    verify
        How the machine can tell that it was done. None: the step's name has to stand in the
        run's ``confirm`` parameter.
    or_confirmed
        Whether ``confirm`` does as well, where the machine can't tell: `verify` knows that it was
        done, and not that it wasn't. A rehearsal takes it for done.
    rehearsed
        Whether only a rehearsal takes it for done, where `verify` knows both: what the hosts deny
        nobody signs for.
    """

    ask: str
    verify: Callable[[Context], Check] | None = None
    or_confirmed: bool = False
    rehearsed: bool = False


Wanted = Resource | Sequence[Resource]


def _nothing(_: Context) -> Iterable[Any]:
    return ()


@dataclass(frozen=True)
class Step:
    """One part of a runbook, carried out by one notebook cell.

    Parameters
    ----------
    name
        How ``only``, ``skip`` and other steps call it.
    title
        One line for people.
    why
        What it is for and what it leaves alone, in a sentence or two: a notebook's prose.
    needs
        Steps that have to be in place. One that did not run in this run is looked at; if the
        hosts are not as it leaves them, this step refuses to run.
    manual
        An act that has to be done first.
    ensure
        Yields the resources it wants, in order. What is yielded is in place when the generator
        goes on, so that it may look at it. A list is worked on in parallel, host by host.
    check
        Yields what has to hold afterwards. May leave outputs for later steps.
    measure
        Yields numbers worth keeping.
    gate
        Whether it only looks if there is anything against going on; a look at everything, later,
        asks the same in its own place and once.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    why: str = ""
    manual: Manual | None = None
    ensure: Callable[[Context], Iterable[Wanted]] = _nothing
    check: Callable[[Context], Iterable[Check]] = _nothing
    measure: Callable[[Context], Iterable[Measurement]] = _nothing
    gate: bool = False


@dataclass(frozen=True)
class Runbook:
    """Steps in the order in which they are carried out."""

    name: str
    title: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        earlier: set[str] = set()
        for step in self.steps:
            if step.name in earlier or not set(step.needs) <= earlier:
                raise ValueError(f"step {step.name!r}: given twice, or needs what comes later")
            earlier.add(step.name)

    def __getitem__(self, name: str) -> Step:
        for step in self.steps:
            if step.name == name:
                return step
        raise BadParameter(
            f"{self.name} has no step {name!r}", fix=f"its steps: {', '.join(self.names)}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps)
