"""Which of Suricata's rulesets a firewall uses."""

from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.values import below
from homelab_lib.runbook.resource import Change, Diff, Host

_RULESETS: Shape = {"rows": [{"filename": str, "enabled?": (str, int, bool)}]}
_POLICY: Shape = {"policy": {"rulesets": (dict, list), "content?": (dict, list)}}


@dataclass(frozen=True)
class Rulesets:
    """Rulesets that are switched on; others stay as they are.

    Parameters
    ----------
    api
        The firewall.
    files
        Their files, such as ``emerging-malware.rules``.
    """

    api: Api
    files: tuple[str, ...]
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return "rulesets"

    def observe(self, host: Host) -> dict[str, str]:
        """By file, whether it is used; those that the release offers and no others."""
        found = self.api.ask(host, "ids/settings/listRulesets", _RULESETS, rowCount="-1")["rows"]
        on = {row["filename"]: str(row.get("enabled", "0")) for row in found}
        return {name: on[name] for name in sorted(self.files) if name in on}

    def diff(self, observed: dict[str, str]) -> Diff:
        # The call takes a list, says "error" where one name is unknown, and switches the others.
        if unknown := sorted(set(self.files) - observed.keys()):
            return Diff(conflict=f"this OPNsense offers no ruleset {', '.join(unknown)}")
        off = [name for name, on in observed.items() if on not in ("1", "True")]
        if not off:
            return Diff()
        path = f"ids/settings/toggleRuleset/{','.join(off)}"
        call = self.api.post(f"{path}/1")
        undo = f"POST /api/{path}/0"
        return Diff((Change(f"use {', '.join(off)}", call, follow=told, undo=undo),))


def ids_of(api: Api, host: Host) -> dict[str, str]:
    """The ids by which policies know rulesets, by file; a ruleset has one once it was used."""
    found = below(api.ask(host, "ids/settings/getPolicy", _POLICY), "policy.rulesets")
    if not isinstance(found, dict):
        return {}
    return {str(each["value"]): str(key) for key, each in found.items() if key}
