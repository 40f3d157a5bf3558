"""Suricata as it runs: where it looks, with which rules, and what it drops.

Switched to a mode that can drop, it drops nothing by that: rules say ``alert`` until a policy, or a
setting of a single rule, says otherwise. Rules are on the disk once they were fetched, and in force
once they were loaded.

Source: opnsense/core, scripts/suricata/installRules.py, templates/OPNsense/IDS.
"""

from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.models.ids_policy import Policy, Signature, decide

_DROPS = ("netmap", "divert")
_GENERAL = "OPNsense/IDS/general"


class Suricata:
    """The daemon on one box.

    Parameters
    ----------
    box
        Whose.
    """

    def __init__(self, box: Any) -> None:
        self._box = box
        self.fetched: set[str] = set()  # rule files on the disk
        self._loaded: ET.Element = ET.Element("opnsense")
        self.rules: set[str] = set()  # rule files that it has read
        box.hooks["ids"].append(lambda _: self.restart())
        box.hooks["ids-rules"].append(lambda _: self.update())

    @property
    def runs(self) -> bool:
        """Whether it runs."""
        return bool(self._box.started.get("ids"))

    @property
    def mode(self) -> str:
        """``pcap``, ``netmap`` or ``divert``."""
        return self._loaded.findtext(f"{_GENERAL}/mode") or "pcap"

    @property
    def interfaces(self) -> list[str]:
        """Identifiers of the interfaces at which it looks, or a device."""
        text = self._loaded.findtext(f"{_GENERAL}/interfaces") or ""
        return [name for name in text.split(",") if name]

    @property
    def command(self) -> str:
        """The line that it was started by."""
        how = {"netmap": "--netmap", "divert": "-d 8000"}.get(self.mode)
        devices = [self._box.pf.devices.get(name, name) for name in self.interfaces]
        looks = how or " ".join(f"--pcap={device}" for device in devices)
        pidfile = "--pidfile /var/run/suricata.pid -c /usr/local/etc/suricata/suricata.yaml"
        return f"/usr/local/bin/suricata -D {looks} {pidfile}"

    def restart(self) -> None:
        """Take over the settings, as a reconfiguration does."""
        self._box.holds_back = ""
        self._loaded = self._box.config.read()
        enabled = self._loaded.findtext(f"{_GENERAL}/enabled") == "1"
        self._box.started["ids"] = enabled and "ids" not in self._box.not_started
        self._load()

    def take_over(self, files: set[str]) -> None:
        """It runs as it is set, with these rule files on the disk."""
        self.fetched = files
        self._loaded = self._box.config.read()
        self._load()

    def update(self) -> str:
        """Fetch the rule files that are switched on."""
        if not self._box.reaches_outside():
            return "Error (1)"
        self.fetched |= set(self._wanted())
        self._load()
        return "OK"

    def reload(self) -> str:
        """Read the rules anew, with what policies say of them now."""
        self._loaded = self._box.config.read()
        self._load()
        return "OK"

    def _wanted(self) -> list[str]:
        rows = self._box.config.read().findall("OPNsense/IDS/files/file")
        return [row.findtext("filename", "") for row in rows if row.findtext("enabled") == "1"]

    def _load(self) -> None:
        self.rules = self.fetched & set(self._wanted()) if self.runs else set()

    def action(self, signature: Signature) -> str:
        """What comes of a rule; nothing where its file is not in force.

        Parameters
        ----------
        signature
            The rule as its author wrote it.
        """
        if signature.ruleset not in self.rules:
            return ""
        rows = self._loaded.findall("OPNsense/IDS/policies/policy")
        # Of two that are alike in priority the identifier decides.
        policies = map(self._policy, sorted(rows, key=lambda row: row.get("uuid", "")))
        return decide(signature, policies, self._by_hand()).action

    def drops(self, signature: Signature) -> bool:
        """Whether a packet that fits a rule goes no further."""
        return self.runs and self.mode in _DROPS and self.action(signature) == "drop"

    def _policy(self, row: ET.Element) -> Policy:
        files = self._loaded.findall("OPNsense/IDS/files/file")
        names = {file.get("uuid", ""): file.findtext("filename", "") for file in files}
        properties: dict[str, tuple[str, ...]] = {}
        for each in _listed(row, "content"):
            name, _, value = each.partition(".")
            properties[name] = (*properties.get(name, ()), value)
        new: Any = row.findtext("new_action") or "default"
        return Policy(
            row.findtext("description") or "",
            new,
            int(row.findtext("prio") or 0),
            tuple(names.get(uuid, "") for uuid in _listed(row, "rulesets")),
            tuple(_listed(row, "action")),
            properties,
            row.findtext("enabled") == "1",
        )

    def _by_hand(self) -> dict[int, Any]:
        """What single rules are set to do, by their number."""
        return {
            int(row.findtext("sid") or 0): row.findtext("action") or "alert"
            if row.findtext("enabled") == "1"
            else "disable"
            for row in self._loaded.findall("OPNsense/IDS/rules/rule")
        }


def _listed(row: ET.Element, tag: str) -> list[str]:
    return [each for each in (row.findtext(tag) or "").split(",") if each]
