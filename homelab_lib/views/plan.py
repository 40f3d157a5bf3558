"""A plan as the person reads it who approves it: HTML in a notebook and on a page, and plain text.

What would be destroyed stands above everything. Then, step by step and host by host: what is added
(+), changed (~) or destroyed (-), what stands there now, how it is undone, and the very call.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby

from homelab_lib.runbook.plan import Plan, PlannedChange
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO
from homelab_lib.units import format_seconds
from homelab_lib.views.cards import Card, fold, preformatted

LEGEND = "+ added   ~ changed in place   - destroyed or replaced"
# Opens every toggle within, without a script: a page that is approved runs nothing.
_ALL = (
    "<style>.homelab:has(input.all:checked) details::details-content "
    "{ content-visibility: visible; display: block; height: auto; }</style>"
    "<label><input type='checkbox' class='all'> expand all</label>"
)
_WORDS = {"+": "add", "~": "change", "-": "destroy"}


def sign(change: PlannedChange) -> str:
    """``-`` for what destroys, ``~`` for what finds something in its place, else ``+``."""
    if change.destroys:
        return "-"
    return "~" if change.replaces else "+"


def counted(plan: Plan) -> dict[str, int]:
    """How many changes a plan has of each sign."""
    counts = Counter(map(sign, plan.changes))
    return {each: counts[each] for each in _WORDS}


def headline(plan: Plan) -> str:
    """A plan in one line.

    ``Plan p6310…: 43 to add, 0 to change, 0 to destroy, on 6 hosts; about 4 min 30 s.`` Where a
    person has to act meanwhile: ``…; it stops for a person in second-start.``
    """
    stops = f"; it stops for a person in {', '.join(plan.asks)}" if plan.asks else ""
    hosts = {change.host for change in plan.changes}
    if not plan.changes:
        how = f"nothing foretold, for it stopped in {plan.blocked_at}" if plan.blocked else ""
        return f"Plan {plan.digest}: {how or 'nothing to change'}{stops}."
    told = ", ".join(f"{count} to {_WORDS[each]}" for each, count in counted(plan).items())
    where = f"on {len(hosts)} host{'s' * (len(hosts) != 1)}"
    took_s = sum(plan.took_s.values())
    about = f"; about {format_seconds(took_s)}" if took_s >= 1 else ""
    return f"Plan {plan.digest}: {told}, {where}{about}{stops}."


def by_kind(plan: Plan) -> str:
    """How many changes of what: ``6 files, 3 VMs``; the first word of a resource's name."""
    kinds = Counter(change.resource.partition(" ")[0] for change in plan.changes)
    return ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common())


def about(plan: Plan) -> dict[str, str]:
    """What else is to be known of a plan, each under a name."""
    told = {}
    if plan.changes:
        told["of these"] = by_kind(plan)
    if plan.fidelity:
        told["rests on"] = ", ".join(f"{count} {rests}" for rests, count in plan.fidelity.items())
    if plan.unknown_releases:
        named = ", ".join(plan.unknown_releases)
        told["NOT KNOWN to the twin"] = f"{named}; what these would do is a guess"
    return told


def undone(change: PlannedChange) -> str:
    """How a change is undone, or that it can't be; the shell of a rollback stands by the call."""
    said = change.undo.startswith((NOT_UNDONE, NOTHING_TO_UNDO))
    undo = change.undo if said or not change.undo else f"undo: {change.undo}"
    armed = ""
    if change.rollback:
        within = f" in {change.reverts_after}" if change.reverts_after else ""
        armed = f"armed by a revert on the host{within}, unless a fresh connection confirms it"
    told = "; ".join(filter(None, (armed, undo)))
    return told or (NOT_UNDONE if change.destroys else "how to undo it was not kept")


def what_next(plan: Plan, target: str, sends: bool) -> str:
    """What becomes of a plan now.

    Parameters
    ----------
    plan
        The plan.
    target
        ``twin`` or ``ssh``.
    sends
        Whether this very run carries it out.
    """
    if sends:
        return "" if target == "twin" else "Approved; it is carried out now."
    if plan.blocked:
        return "This plan can't be approved."
    if target == "twin":
        return "Nothing was sent. mode=apply carries it out on the twin."
    if not plan.changes:
        return "Nothing was sent."
    how = f'mode=apply approve="{plan.digest}"'
    if plan.unseen:
        return (
            f"Nothing was sent. It goes as far as {plan.unseen_at}; what comes after is looked "
            f"at and planned then. To carry this out: {how}"
        )
    return f"Nothing was sent. To carry it out: {how}"


def plan_text(plan: Plan, *, calls: bool = True) -> str:
    """The plan in plain text.

    Parameters
    ----------
    plan
        The plan.
    calls
        Whether each change has the call below it that would be sent.
    """
    lines = [headline(plan)]
    for name in _destroyed(plan):
        lines.append(f"  ! DESTROYS {name}; runs only if allow_destroy names it")
    lines += [f"  for {host}" for host in plan.hosts]
    if plan.blocked:
        lines.append(f"  The rehearsal stopped in {plan.blocked_at}: {plan.blocked}")
    if plan.unseen:
        lines.append(f"  It goes as far as {plan.unseen_at}: {plan.unseen}")
    if plan.changes:
        lines.append(f"  {LEGEND}")
    lines += [f"  {name}: {said}" for name, said in about(plan).items()]
    for step in plan.steps:
        changes = plan.of_step(step)
        lines.append(f"\n{step}: {_step_words(plan, step, changes)}")
        for host, own in _by_host(changes):
            lines.append(f"  {host}")
            guarded: set[str] = set()  # ways back that are written out above
            for change in own:
                lines += [f"    {line}" for line in _text(change, calls, guarded)]
    return "\n".join(lines)


def _text(change: PlannedChange, calls: bool, guarded: set[str]) -> Iterator[str]:
    yield f"{sign(change)} {change.summary}"
    if change.destroys:
        yield f"  destroys {', '.join(change.destroys)}"
    if change.replaces:
        yield f"  now: {change.replaces}"
    yield from (f"    {line}" for line in change.difference.splitlines())
    back = undone(change)
    if change.rollback and back in guarded:
        yield "  armed and undone as above"
    else:
        yield f"  {back}" + ("; `-v` shows the revert" if change.rollback and not calls else "")
        guarded |= {back} if change.rollback else set()
    if calls:
        yield f"  $ {change.call}" + (f"  < {change.content}" if change.content else "")
        if change.rollback:
            yield f"  revert: {change.rollback}"


def plan_card(plan: Plan, *, approval: str = "") -> Card:
    """The whole plan: every change, step by step, with what it would destroy.

    Parameters
    ----------
    plan
        The plan.
    approval
        A line on what happens next.
    """
    parts = [f"<h4>{escape(headline(plan))}</h4>"]
    destroyed = _destroyed(plan)
    if destroyed:
        items = "".join(f"<li>{escape(name)}</li>" for name in destroyed)
        parts.append(
            "<div class='danger' style='border:3px solid #c62828;padding:.3em .8em'><b>Destroys, "
            f"and runs only if allow_destroy names it:</b><ul>{items}</ul></div>"
        )
    if plan.hosts:
        hosts = "".join(f"<li>{escape(str(host))}</li>" for host in plan.hosts)
        parts.append(f"<p>For these hosts, by their keys:</p><ul>{hosts}</ul>")
    if plan.blocked:
        told = f"<b>The rehearsal stopped in {escape(plan.blocked_at)}.</b>"
        parts.append(f"<div class='bad'>{told} {preformatted(plan.blocked)}</div>")
    if plan.unseen:
        told = f"<b>It goes as far as {escape(plan.unseen_at)}.</b>"
        parts.append(f"<div>{told} {preformatted(plan.unseen)}</div>")
    if plan.changes:
        parts.append(f"<p class='quiet'>{escape(LEGEND)}</p>{_ALL}")
    parts += [f"<p>{escape(name)}: {escape(said)}</p>" for name, said in about(plan).items()]
    parts += [_step_html(plan, step) for step in plan.steps]
    if approval:
        parts.append(f"<p>{escape(approval)}</p>")
    text = plan_text(plan) + (f"\n{approval}" if approval else "")
    return Card(f"<div class='homelab'>{''.join(parts)}</div>", text, plan)


def _step_html(plan: Plan, step: str) -> str:
    changes = plan.of_step(step)
    head = f"<b>{escape(step)}</b> · {_step_words(plan, step, changes)}"
    if not changes:
        return f"<p>{head}</p>"
    body = "".join(
        f"<h5>{escape(host)}</h5><ul class='changes'>"
        + "".join(f"<li>{_html(change)}</li>" for change in own)
        + "</ul>"
        for host, own in _by_host(changes)
    )
    return fold(head, body, is_open=True)


def _html(change: PlannedChange) -> str:
    kind = _WORDS[sign(change)]
    told = f"<b class='{kind}'>{sign(change)}</b> {escape(change.summary)}"
    if change.destroys:
        told += f" <b class='bad'>destroys {escape(', '.join(change.destroys))}</b>"
    if change.replaces:
        told += f"<br><span class='quiet'>now:</span> {escape(change.replaces)}"
    if change.difference:
        told += preformatted(change.difference)
    told += f"<br><span class='quiet'>{escape(undone(change))}</span>"
    call = f"<code>{escape(change.call)}</code>"
    if change.shows:
        call += f"<br>with this text:{preformatted(change.shows)}"
    elif change.content:
        call += f"<br>with: {escape(change.content)}"
    if change.rollback:
        call += f"<br>the revert:{preformatted(change.rollback)}"
    if change.rests:
        call += f"<br>the rehearsal's answer rests on: {escape(change.rests)}"
    return told + fold("the call", call)


def _step_words(plan: Plan, step: str, changes: list[PlannedChange]) -> str:
    if not plan.reached(step):
        return "not looked at yet" if plan.unseen else "not reached"
    if not changes:
        return "no changes"
    counts = Counter(map(sign, changes))
    said = ", ".join(f"{counts[each]} to {word}" for each, word in _WORDS.items() if counts[each])
    took_s = plan.took_s.get(step, 0.0)
    return said + (f", {format_seconds(took_s)}" if took_s >= 1 else "")


def _by_host(changes: Iterable[PlannedChange]) -> Iterator[tuple[str, list[PlannedChange]]]:
    """Changes of a step stand host by host already."""
    for host, own in groupby(changes, key=lambda change: change.host):
        yield host, list(own)


def _destroyed(plan: Plan) -> list[str]:
    return sorted({name for change in plan.changes for name in change.destroys})
