"""Many calls to one host in few round trips, and what came of each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from homelab_lib.errors import HomelabError, NotSent, OutcomeUnknown
from homelab_lib.transport.batch import LINE, Batch, Entry, groups, never_began
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import Command, Result
from homelab_lib.transport.opening import SUDO, Opening
from homelab_lib.transport.request import Request
from homelab_lib.transport.ssh import Connection, CutOff, LinkLost, stdin_of

Outcome = Result | HomelabError
Group = TypeVar("Group")


def run_many(
    connection: Connection, calls: Sequence[Call], ask: Callable[[Request], Result]
) -> list[Outcome]:
    """Send calls in order; see `Fleet.run_many`.

    Parameters
    ----------
    connection
        The host's.
    calls
        Commands go together in one script; a request goes by itself.
    ask
        Sends a request.
    """
    outcomes = _in_order(calls, _groups(connection, calls), lambda g: _send(connection, g, ask))
    return outcomes + [_not_sent(connection, call) for call in calls[len(outcomes) :]]


def _in_order(
    calls: Sequence[Call],
    groups: Iterable[Group],
    send: Callable[[Group], list[Outcome]],
    before: Sequence[Outcome] = (),
) -> list[Outcome]:
    """The outcomes of groups of calls, up to the first that must not be followed."""
    outcomes = list(before)
    for group in groups:
        if outcomes and _stops(calls[len(outcomes) - 1], outcomes[-1]):
            break
        try:
            outcomes += send(group)
        except HomelabError as error:
            if not outcomes and not isinstance(error, OutcomeUnknown):
                raise  # nothing was sent yet
            outcomes.append(error)
    return outcomes


def _stops(call: Call, outcome: Outcome) -> bool:
    """Whether what comes later must not be sent any more: it may stand on this one."""
    return not isinstance(outcome, Result) or (call.kind == "change" and not outcome.ok)


def _not_sent(connection: Connection, call: Call) -> NotSent:
    return NotSent(
        f"{connection.endpoint.name}: not run, since what came before it failed: {call.line}",
        where=connection.endpoint.place,
        fix="mend what failed first",
    )


def _groups(connection: Connection, calls: Sequence[Call]) -> Iterator[list[Entry] | Request]:
    """Requests one by one, and the commands between them as batches."""
    waiting: list[Entry] = []
    for call in calls:
        if isinstance(call, Request):
            yield from groups(waiting)
            waiting = []
            yield call
        else:
            line = f"{SUDO}{call.line}" if connection.by_sudo(call) else call.line
            waiting.append(Entry(call, line, _bytes(call)))
    yield from groups(waiting)


def _bytes(command: Command) -> bytes:
    given = stdin_of(command)
    return given.encode() if isinstance(given, str) else given


def _send(
    connection: Connection, group: list[Entry] | Request, ask: Callable[[Request], Result]
) -> list[Outcome]:
    """The outcomes of a group, as far as it got."""
    if isinstance(group, Request):
        return [ask(group)]
    if len(group) == 1:
        return [connection.run(group[0].command)]
    return _send_batch(connection, group)


def _send_batch(
    connection: Connection, entries: list[Entry], *, again: bool = True
) -> list[Outcome]:
    commands = [entry.command for entry in entries]
    opening = connection.opening(*commands)
    if opening.by_sudo:  # once for all of them
        entries = [Entry(e.command, e.command.line, e.stdin) for e in entries]
    batch = Batch(entries)
    cut = False
    try:
        ended = connection.converse(
            opening.line(LINE),
            batch.script(),
            commands[0].timeout_s,
            heard=batch.heard,
            renew=batch.take,
        )
        said = ended.stderr.strip()[-300:]
        why = f"its shell ended with status {ended.exit_status} before that: {said}"
    except (LinkLost, CutOff) as error:
        why, cut, ended = str(error), isinstance(error, CutOff), None
    if batch.results:
        batch.results[0] = connection.answer(opening, batch.results[0])
    elif ended is not None:
        ended = connection.answer(opening, ended)
    outcomes = list(_seen(connection, batch.results, commands))
    left = commands[len(outcomes) :]
    if not left or (outcomes and _stops(commands[len(outcomes) - 1], outcomes[-1])):
        return outcomes
    if ended is not None and not outcomes and never_began(ended):
        return _in_order(commands, commands, lambda one: [connection.run(one)])
    if any(command.kind == "change" for command in left):
        return outcomes + [connection.unknown(command, why) for command in left]
    if cut or ended is not None or not again:
        twice = "" if again else "twice "
        error = (connection.too_slow if cut else connection.gone)(left[0], f"{twice}{why}")
        if not outcomes:
            raise error
        return [*outcomes, error]
    rest = entries[len(outcomes) :]
    return _in_order(
        commands, [rest], lambda group: _send_batch(connection, group, again=False), outcomes
    )


def _seen(
    connection: Connection, results: Iterable[Result], commands: Sequence[Command]
) -> Iterator[Outcome]:
    """The results, with what `sudo` says told from what the program says."""
    for result, command in zip(results, commands, strict=False):
        try:
            yield connection.answer(Opening(connection.by_sudo(command)), result)
        except HomelabError as refused:
            yield refused
