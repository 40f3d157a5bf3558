"""What may pass a firewall: aliases, filter rules, translation; and what then passes indeed."""

import ipaddress
import re
from collections.abc import Iterator, Sequence

from homelab_lib.control import mark
from homelab_lib.control.opnsense.api import Api, release
from homelab_lib.control.opnsense.config import configured
from homelab_lib.control.opnsense.families import (
    ALIAS,
    FILTER_RULE,
    OUTBOUND,
    OUTBOUND_26_1,
    OUTBOUND_RULE,
    PORT_FORWARD,
)
from homelab_lib.control.opnsense.interfaces import assigned
from homelab_lib.control.opnsense.order import RuleOrder, sequence
from homelab_lib.control.opnsense.packet_filter import redirections
from homelab_lib.control.opnsense.revert import WITHIN_S, Applied, Aside
from homelab_lib.control.opnsense.row import Family, Row, described, rows
from homelab_lib.control.opnsense.section import Section
from homelab_lib.control.opnsense.strays import Strays
from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.models.packet_filter import Address, Packet, Rule, decide
from homelab_lib.recipes.firewall import flows, readback
from homelab_lib.recipes.firewall.ends import Said
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.policy import filter_rules
from homelab_lib.recipes.firewall.translation import MODES, aliases, outbound_rule, port_forward
from homelab_lib.recipes.firewall.written import stands, written
from homelab_lib.runbook.resource import Host, Resource
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_OURS = "policy"
"""In the description of each filter rule that comes of the lab's policy."""
_USES_RULES = ("hybrid", "manual")
_ONE_WORD_FOR_BOTH = (26, 7)  # the first release that sets the mode of translation by `set`


def steps(gateway: Gateway, needs: tuple[str, ...]) -> Iterator[Step]:
    """The step of what may pass a firewall; none where the phase makes nothing of it."""
    filtering = Filter(gateway)
    if not filtering.has_any:
        return
    yield Step(
        f"rules{gateway.end}",
        "Let pass what the lab lets pass, and nothing else",
        why="The lab's rules between its networks become rules of the firewall, in their order; "
        "what none of them allows is refused, by IPv6 as by IPv4. Whoever may log in to the "
        "firewall is let in first. Rules that somebody else made stay, but those that would "
        "let pass what ours refuse come after ours. Before anything is in force, the firewall is "
        f"told to take it all back after {WITHIN_S:.0f} s, unless we come back and say that we "
        "can. Connections that stand go on until they end.",
        needs=needs,
        ensure=filtering.ensure,
        check=filtering.check,
    )


class Filter:
    """What a firewall lets pass; see `steps`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.lab = gateway.lab.name
        self._written: list[Resource] = []
        firewall = gateway.lab.firewalls.get(gateway.host)
        forwards = firewall.port_forwards.values() if firewall else ()
        self.forwards = [each for each in forwards if gateway.makes(each)]
        self.outbound = firewall.outbound if firewall else None
        rules = self.outbound.rules if self.outbound else ()
        self.translated = [each for each in rules if gateway.makes(each)]
        if self.translated and self.outbound and self.outbound.mode not in _USES_RULES:
            raise BadParameter(
                f"{gateway.host} has rules of outbound translation, and its mode uses none",
                where=f"firewalls.{gateway.host}.outbound.mode",
                fix=f"write  mode: {' or '.join(_USES_RULES)}",
            )

    @property
    def has_any(self) -> bool:
        """Whether the phase makes anything of it."""
        gateway = self.gateway
        firewall = gateway.lab.firewalls.get(gateway.host)
        made = firewall is not None and (
            any(map(gateway.makes, firewall.filter_rules))
            or any(map(gateway.makes, firewall.aliases.values()))
        )
        policy = gateway.set_up and bool(gateway.zones)
        return policy or made or bool(self.forwards or self.translated)

    @property
    def aside(self) -> Aside:
        """The configuration before it."""
        return Aside(self.gateway.host, self.lab, f"rules{self.gateway.end}")

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """All of it written, then in force at once."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        names = self.gateway.names(host)
        wanted = filter_rules(self.gateway, names)
        if self.gateway.set_up:
            self._assert_let_in(host, self._wanted(host, api, names))
        resources: list[Resource] = [self._row(api, ALIAS, each) for each in aliases(self.gateway)]
        resources += [self._rule(api, each, at) for at, each in enumerate(wanted)]
        self._written = resources
        titles = tuple(self._described(each.title) for each in wanted)
        if self.gateway.set_up:
            resources.append(Strays(api, self.lab, FILTER_RULE, _OURS, frozenset(titles)))
        resources += self._translation(api, names, release(host))
        besides = self._waiting(host, api)
        yield from written(host, self.aside, resources)
        yield from written(host, self.aside, [RuleOrder(api, self.lab, titles)])
        calls = (
            ("load the aliases", api.post("firewall/alias/reconfigure")),
            ("put the rules in force", api.post("firewall/filter/apply")),
        )
        yield Applied(api, self.aside, calls, besides=besides)

    def _waiting(self, host: Host, api: Api) -> str:
        """Rules that somebody else has written and not applied: the firewall applies all or none.
        One that waits for an hour or a gateway looks like that, too, so they are only told."""
        active = _labels(host)
        theirs = [
            repr(row["description"] or row["uuid"])
            for row in rows(api, host, FILTER_RULE)
            if row["enabled"] == "1" and not _is_ours(row, self.lab) and row["uuid"] not in active
        ]
        if not theirs:
            return ""
        return f"besides ours, what somebody else has not applied: {', '.join(sorted(theirs))}"

    def _translation(self, api: Api, names: Names, series: tuple[int, int]) -> Iterator[Resource]:
        for forward in self.forwards:
            said = port_forward(self.gateway, names, forward.name, forward)
            yield self._row(api, PORT_FORWARD, said)
        if self.outbound is not None and self.gateway.set_up:
            settings = OUTBOUND if series >= _ONE_WORD_FOR_BOTH else OUTBOUND_26_1
            yield Section(api, settings, {"general.snat_mode": MODES[self.outbound.mode]})
        # 26.7 lists them in a mode only that uses them, so they come after it.
        for at, rule in enumerate(self.translated):
            yield self._row(api, OUTBOUND_RULE, outbound_rule(self.gateway, names, rule), at)

    def _described(self, title: str) -> str:
        """A filter rule's description: other recipes have rules of ours, too."""
        return described(f"{title}; {_OURS}", self.lab)

    def _rule(self, api: Api, said: Said, at: int) -> Row:
        key = {FILTER_RULE.mark: self._described(said.title)}
        fields = dict(said.fields) | {"sequence": str(sequence(at))}
        return Row(api, self.lab, FILTER_RULE, key, fields, said.title)

    def _row(self, api: Api, family: Family, said: Said, at: int = 0) -> Row:
        fields = dict(said.fields)
        if "sequence" in family.fields:
            fields["sequence"] = str(sequence(at))
        if family.key == (family.mark,):
            key = {family.mark: described(said.title, self.lab)}
        else:
            key = {name: fields.pop(name) for name in family.key}
        return Row(api, self.lab, family, key, fields, said.title)

    def _assert_let_in(self, host: Host, wanted: Sequence[Rule]) -> None:
        """See that where we come from may log in by the rules that are to be written.

        Raises
        ------
        StepFailed
            It may not.
        """
        said = host.read("printenv", "SSH_CONNECTION", ok=None)
        found = client_and_server(said.stdout) if said.ok else None
        named = assigned(host)
        known = readback.networks(named, ())
        if found is None:
            return
        client, server, port = found
        for zone in named:
            if not any(client in network for network in known[zone] or ()):
                continue
            verdict = decide(wanted, Packet(zone, client, server, "tcp", port))
            if not verdict.passes:
                raise StepFailed(
                    f"we come from {client}, which is in {named[zone].get('descr') or zone}, and "
                    f"the lab's rules let nobody log in to {host.name} from there",
                    where=f"{host.name}: {verdict.rule or 'no rule'}",
                    fix=f"write a rule that lets tcp/{port} pass from that VLAN to the "
                    "firewall's, or start from a VLAN that may",
                )

    # ------------------------------------------------------------------ check

    def check(self, ctx: Context) -> Iterator[Check]:
        """What the firewall says is in force, and who reaches whom by it."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        names = self.gateway.names(host)
        yield stands(host, self._written)
        found = rows(api, host, FILTER_RULE)
        yield self._in_force(host, found)
        if self.forwards:
            yield self._redirected(host, api)
        locked = configured(host, "system.webgui.noantilockout")
        yield Check(
            "the firewall's own rule against locking oneself out is there",
            not locked,
            "it was switched off, in System: Settings: Administration" if locked else "",
        )
        if not self.gateway.set_up:
            return
        has = self._as_rules(host, api, found)
        wanted = self._wanted(host, api, names)
        yield from flows.same(self.gateway, names, wanted, has)
        own = readback.networks(assigned(host), ())["(self)"] or ()
        yield from flows.isolated(self.gateway, names, has, own)

    def _in_force(self, host: Host, found: Sequence[dict[str, str]]) -> Check:
        active = _labels(host)
        ours = [row for row in found if row["enabled"] == "1" and _is_ours(row, self.lab)]
        missing = [row["description"] for row in ours if row["uuid"] not in active]
        says = f"not in force: {', '.join(missing)}" if missing else f"{len(ours)} rules"
        return Check("the rules that were written are in force", not missing, says)

    def _redirected(self, host: Host, api: Api) -> Check:
        # A redirection has no label: it is known by where it leads.
        shown = redirections(host)
        ours = [row for row in rows(api, host, PORT_FORWARD) if mark.marks(row["descr"], self.lab)]
        missing = [
            row["descr"]
            for row in ours
            if row["disabled"] != "1"
            and not re.search(rf"-> {re.escape(row['target'])}\b(?!\.)", shown)
        ]
        says = f"not in force: {', '.join(missing)}" if missing else f"{len(ours)} port forwards"
        return Check("the port forwards that were written are in force", not missing, says)

    def _as_rules(self, host: Host, api: Api, found: Sequence[dict[str, str]]) -> list[Rule]:
        listed = rows(api, host, ALIAS)
        known = readback.networks(assigned(host), listed)
        return readback.filter_rules(found, known, readback.port_aliases(listed))

    def _wanted(self, host: Host, api: Api, names: Names) -> list[Rule]:
        """What the lab wants, judged by the same rules: names mean what they mean there."""
        wanted = []
        for at, each in enumerate(filter_rules(self.gateway, names)):
            row = {"uuid": "", "description": each.title, "sequence": str(at + 1)}
            wanted.append(row | dict(each.fields))
        return self._as_rules(host, api, wanted)


def client_and_server(text: str) -> tuple[Address, Address, int] | None:
    """Whence and whither an SSH connection goes: ``10.0.10.50 51234 10.0.1.1 22``."""
    match text.split():
        case [client, _, server, port] if port.isdecimal():
            try:
                return ipaddress.ip_address(client), ipaddress.ip_address(server), int(port)
            except ValueError:
                return None
    return None


def _labels(host: Host) -> set[str]:
    """What is in force: the packet filter labels each rule with the id of its row."""
    return set(re.findall(r'label "([^"]+)"', host.read("pfctl", "-sr").stdout))


def _is_ours(row: dict[str, str], lab: str) -> bool:
    return mark.marks(row["description"], lab)
