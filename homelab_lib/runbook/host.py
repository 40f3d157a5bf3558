"""The reading handle that resources and checks get of a host."""

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from traceback import walk_tb
from typing import Any, ParamSpec, Protocol, TypeVar

from homelab_lib import answers
from homelab_lib.errors import HomelabError, Refused, StepFailed
from homelab_lib.runbook.journal import Journal
from homelab_lib.runbook.patience import Patience
from homelab_lib.secret import Mask
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Result, read
from homelab_lib.transport.request import Request

P = ParamSpec("P")
T = TypeVar("T")

_asking = threading.local()  # .host is the one that a thread asked last
_SHOWN_CHARACTERS = 80  # not more, and not a part: a mask finds no secret that was cut
_MET_IN_ANSWERS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class Link(Protocol):
    """What carries calls to hosts: the transport's fleet."""

    def run(self, host: str, call: Call) -> Result: ...

    def run_many(self, host: str, calls: Sequence[Call]) -> Sequence[Result | HomelabError]:
        """Several calls in one round trip, in order; after one that fails none is sent."""
        ...

    def reconnect(self, host: str) -> None: ...


class ReadingHost:
    """Implements `homelab_lib.runbook.resource.Host` over a link.

    Parameters
    ----------
    name
        The host's name in the lab.
    link
        Carries the commands.
    mask
        Learns what secret commands print.
    journal
        Remembers what was sent there.
    seal
        Gives the keyed digest of a secret.
    patience
        How long is waited where it answers "not yet".
    """

    def __init__(
        self,
        name: str,
        link: Link,
        mask: Mask,
        journal: Journal,
        seal: Callable[[str], str],
        patience: Patience,
    ) -> None:
        self.name = name
        self.seal = seal
        self._link = link
        self._mask = mask
        self._journal = journal
        self._patience = patience
        self._facts: dict[str, Any] = {}
        self.asked = ""  # what it was asked last

    def read(self, *argv: str, ok: tuple[int, ...] | None = (0,), **options: Any) -> Result:
        return self._ask(read(*argv, **options), ok)

    def request(self, request: Request, ok: tuple[int, ...] | None = (0,)) -> Result:
        return self._ask(request, ok)

    def _ask(self, call: Call, ok: tuple[int, ...] | None) -> Result:
        self.asked, _asking.host = call.line, self
        if call.kind != "read":
            raise Refused(
                f"a look sends what only reads, and not: {self._mask(call.line)}",
                where=self.name,
                fix="this is a fault of the runbook: only the engine sends what changes something",
            )
        self._mask.learn(secret.reveal() for secret in call.secrets)
        send = lambda: self._link.run(self.name, call)  # noqa: E731
        result = self._patience.ask(self.name, call, send, self.forget)
        if call.secret_output:
            self._mask.learn([result.stdout])
        if ok is not None and result.exit_status not in ok:
            raise failed(self.name, call, result, self._mask)
        return result

    def json(self, *argv: str, **options: Any) -> Any:
        result = self.read(*argv, **options)
        line = read(*argv).line
        return answers.understood(result.stdout, host=self.name, line=line, cut=self._mask.cut)

    def fact(self, name: str, look: Callable[[Any], Any]) -> Any:
        if name not in self._facts:
            self._facts[name] = look(self)
        return self._facts[name]

    def cut(self, text: str, limit: int, *, end: bool = False) -> str:
        return self._mask.cut(text, limit, end=end)

    def forget(self) -> None:
        """What was a fact need not be one any more: the host may have been restarted."""
        self._facts.clear()

    def begun(self, resource: str) -> bool:
        return self._journal.begun(self.name, resource)

    def sent(self, resource: str) -> tuple[str, ...]:
        return self._journal.sent(self.name, resource)


def understanding(act: Callable[P, T]) -> Callable[P, T]:
    """Has a host's answer that nobody foresaw end in one line that names the host and the command,
    whatever its reader met in it."""

    @wraps(act)
    def acts(*given: P.args, **named: P.kwargs) -> T:
        _asking.host = None
        try:
            return act(*given, **named)
        except _MET_IN_ANSWERS as error:
            host = _reading(error)
            if host is None or not host.asked:
                raise
            said = f": {error}" if len(str(error)) <= _SHOWN_CHARACTERS else ""
            why = f"its reader met {type(error).__name__}{said}"
            raise answers.not_understood(host.name, host.asked, why) from error

    return acts


def _reading(error: Exception) -> ReadingHost | None:
    """The host whose answer was being read when an error came up.

    Hosts are looked at side by side, each in a thread: there it is found on the way that the error
    took. What one thread reads of several is of the one that was asked last.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    met = [each for frame in frames for each in frame.f_locals.values()]
    met = [getattr(each, "host", each) for each in met]  # whoever looks has it by that name
    last: ReadingHost | None = getattr(_asking, "host", None)
    return next((each for each in reversed(met) if isinstance(each, ReadingHost)), last)


def failed(
    host: str,
    call: Call,
    result: Result,
    mask: Mask,
    refusals: Sequence[tuple[str, str]] = (),
) -> StepFailed:
    """The error for a call that ended with a status it should not have.

    `refusals` are those of its `Change`.
    """
    said = [result.stderr.strip(), result.stdout.strip()]
    # A service's status says little: its reason is in what it answers.
    told = "\n    ".join(filter(None, said)) if isinstance(call, Request) else said[0] or said[1]
    printed = mask.cut(told, 2000, end=True)
    known = (fix for words, fix in refusals if words in told)
    usual = "mend what it complains of, then run the same command line again; it goes on from here"
    return StepFailed(
        f"{host}: the command ended with status {result.exit_status}\n"
        f"    {mask(call.line)}\n    {printed or '(it printed nothing)'}",
        where=host,
        fix=next(known, usual),
    )
