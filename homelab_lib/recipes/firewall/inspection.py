"""Inspection of what passes a firewall, by Suricata: first it only tells, then it drops."""

from collections.abc import Iterable, Iterator

from homelab_lib.answers import Shape
from homelab_lib.control.opnsense.api import Api
from homelab_lib.control.opnsense.families import (
    CRON_JOB,
    IDS_POLICY,
    INSPECTION,
    OFFLOADS,
    SIGNATURE,
)
from homelab_lib.control.opnsense.revert import Applied, Aside
from homelab_lib.control.opnsense.row import Row, described
from homelab_lib.control.opnsense.rulesets import Rulesets, ids_of
from homelab_lib.control.opnsense.section import Section, setting
from homelab_lib.lab.firewall import Ids, IdsPolicy
from homelab_lib.recipes.firewall.gateway import Gateway, Names
from homelab_lib.recipes.firewall.inspected import Throughput
from homelab_lib.recipes.firewall.written import stands, written
from homelab_lib.runbook.resource import Resource
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted

_TELLS = "pcap"
_FETCH_S = 1800.0  # tens of megabytes, from servers that are not ours
_NO_OFFLOADS = {
    "disablechecksumoffloading": "1",
    "disablesegmentationoffloading": "1",
    "disablelargereceiveoffloading": "1",
    "disablevlanhwfilter": "1",
}
_STATUS: Shape = {"status": str}


def steps(gateway: Gateway, needs: tuple[str, ...]) -> Iterator[Step]:
    """The steps of a firewall's inspection; none where the phase sets up none."""
    firewall = gateway.lab.firewalls.get(gateway.host)
    ids = firewall.ids if firewall else None
    if ids is None or not gateway.makes(ids):
        return
    suricata = Suricata(gateway, ids)
    first = f"inspection{gateway.end}"
    yield Step(
        first,
        "Inspect what passes, and tell",
        why="Suricata looks at a copy of each packet and writes down what its rules are about; "
        "nothing is held up and nothing is dropped. The policies that will drop are prepared: "
        "in this mode a rule that says drop only tells, too.",
        needs=needs,
        ensure=suricata.tell,
        check=suricata.check,
        measure=suricata.measures,
    )
    if ids.mode == "ips":
        yield Step(
            f"prevention{gateway.end}",
            "Inspect what passes, and drop",
            why="From here on packets wait for Suricata, and what a policy drops does not arrive: "
            "a wrong rule cuts the house off. So look at some days of alerts first, and then "
            "agree to it by the step's name. It looks at the whole port with all its VLANs, and "
            "not at a VLAN's device; the port loses its link for some seconds.",
            needs=(first,),
            manual=Manual(
                "look at the alerts of some days (Services: Intrusion Detection: Alerts): what "
                "the policies would have dropped must be nobody's work",
                verify=suricata.drops_already,
                or_confirmed=True,
            ),
            ensure=suricata.drop,
            check=suricata.check,
            measure=suricata.measures,
        )


class Suricata:
    """Inspection on a firewall; see `steps`."""

    def __init__(self, gateway: Gateway, ids: Ids) -> None:
        self.gateway = gateway
        self.ids = ids
        self.lab = gateway.lab.name
        self._written: list[Resource] = []
        self.policies = [each for each in ids.policies.values() if gateway.makes(each)]
        ways = tuple(map(str, ids.interfaces))
        self.throughput = Throughput(gateway, inline=ids.mode == "ips", ways=ways)

    def _aside(self, what: str, *, guarded: bool = True) -> Aside:
        return Aside(self.gateway.host, self.lab, f"{what}{self.gateway.end}", guarded)

    # ------------------------------------------------------------------- tell

    def tell(self, ctx: Context) -> Iterator[Wanted]:
        """Rulesets, policies, where it looks; then the rules are fetched and it is started."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        names, aside = self.gateway.names(host), self._aside("inspection", guarded=False)
        yield from written(host, aside, [Rulesets(api, self.ids.rulesets)])
        known = ids_of(api, host)
        now = setting(api, host, INSPECTION, "general.mode")
        mode = now if now in (_TELLS, self._mode) else _TELLS
        resources: list[Resource] = [
            self._section(api, names, {"general.mode": mode}),
            *(self._policy(api, each, known) for each in self.policies),
            *self._signatures(api),
            *self._cron(api),
        ]
        self._written = resources
        yield from written(host, aside, resources)
        calls = (
            ("fetch the rules", api.post("ids/service/updateRules", timeout_s=_FETCH_S)),
            ("start Suricata anew", api.post("ids/service/reconfigure", timeout_s=300.0)),
            ("take up the hours of fetching", api.post("cron/service/reconfigure")),
        )
        yield Applied(api, aside, calls)

    @property
    def _mode(self) -> str:
        """How it works in the end."""
        return self.ids.capture if self.ids.mode == "ips" else _TELLS

    def _section(self, api: Api, names: Names, more: dict[str, str]) -> Section:
        ids = self.ids
        home = ids.home_networks or tuple(
            subnet for vlan in self.gateway.lab.vlans.values() for subnet in vlan.subnets
        )
        wanted = {
            "general.enabled": "1",
            "general.interfaces": ",".join(self._looks_at(names)),
            "general.homenet": ",".join(home),
        } | more
        if ids.pattern_matcher is not None:
            wanted["general.MPMAlgo"] = ids.pattern_matcher
        if ids.log_days is not None:
            wanted |= {"general.AlertLogrotate": "D0", "general.AlertSaveLogs": str(ids.log_days)}
        return Section(api, INSPECTION, wanted)

    def _looks_at(self, names: Names) -> list[str]:
        """A port that has no interface of its own is named by its device."""
        found = []
        for each in self.ids.interfaces:
            port = self.gateway.machine.attached.get(str(each))
            device = port.interface if port is not None else None
            if device is not None and device not in names.by_device:
                found.append(device)
            else:
                found.append(names.at(each))
        return sorted(set(found))

    def _policy(self, api: Api, policy: IdsPolicy, known: dict[str, str]) -> Row:
        content = [f"{name}.{value}" for name, values in policy.properties.items()
                   for value in values]  # fmt: skip
        wanted = {
            "enabled": "1" if policy.enabled else "0",
            "prio": str(policy.priority),
            "action": ",".join(policy.actions),
            "rulesets": ",".join(policy.rulesets),
            "content": ",".join(content),
            "new_action": policy.new_action,
        }
        key = {IDS_POLICY.mark: described(policy.name, self.lab)}
        return Row(api, self.lab, IDS_POLICY, key, wanted, policy.name, known)

    def _signatures(self, api: Api) -> Iterator[Row]:
        for sid, action in self.ids.signatures.items():
            on = action != "disable"
            wanted = {"enabled": "1" if on else "0", "action": action if on else "alert"}
            yield Row(api, self.lab, SIGNATURE, {"sid": str(sid)}, wanted, str(sid))

    def _cron(self, api: Api) -> Iterator[Row]:
        """A job of our own: the one that OPNsense makes is made switched off."""
        if self.ids.update is None:
            return
        minutes, hours, days, months, weekdays = self.ids.update.split()
        wanted = {
            "enabled": "1",
            "minutes": minutes,
            "hours": hours,
            "days": days,
            "months": months.upper(),
            "weekdays": weekdays,
            "who": "root",
            "command": "ids update",
            "parameters": "",
        }
        title = "fetch the rules of inspection"
        yield Row(api, self.lab, CRON_JOB, {"description": described(title, self.lab)}, wanted,
                  title)  # fmt: skip

    # ------------------------------------------------------------------- drop

    def drop(self, ctx: Context) -> Iterator[Wanted]:
        """Offloads off, then packets wait for it."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        names = self.gateway.names(host)
        self._written = []
        if self.ids.capture == "netmap":
            aside = self._aside("offloads")
            self._written = [Section(api, OFFLOADS, _NO_OFFLOADS)]
            yield from written(host, aside, self._written)
            call = api.post("interfaces/settings/reconfigure")
            yield Applied(api, aside, (("let the network cards do nothing by themselves", call),))
        aside = self._aside("prevention")
        section = self._section(api, names, {"general.mode": self._mode})
        self._written = [*self._written, section]
        yield from written(host, aside, [section])
        call = api.post("ids/service/reconfigure", timeout_s=300.0)
        calls = (("have packets wait for Suricata", call),)
        yield Applied(api, aside, calls, before_undo="configctl ids stop")

    def drops_already(self, ctx: Context) -> Check:
        """Whether it does so already, so that nobody has to agree to anything."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        mode = setting(api, host, INSPECTION, "general.mode")
        pending = self._aside("prevention").lies(host)
        return Check("Suricata drops", mode == self._mode and not pending, f"its mode is {mode}")

    # ------------------------------------------------------------------ check

    def check(self, ctx: Context) -> Iterator[Check]:
        """It runs; and whether it keeps up."""
        host, api = ctx.host(self.gateway.host), self.gateway.api(ctx)
        yield stands(host, self._written)
        status = api.ask(host, "ids/service/status", _STATUS)["status"]
        runs = status == "running"
        mends = "" if runs else "; `configctl ids start` there, and its log says why it ended"
        yield Check(f"Suricata runs on {host.name}", runs, f"it is {status}{mends}")
        yield from self.throughput.check(ctx)

    def measures(self, ctx: Context) -> Iterable[Measurement]:
        """What got through it, where somebody lets that be measured."""
        return self.throughput.measures(ctx)
