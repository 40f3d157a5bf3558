"""Settings that a firewall has once: of its DHCP server, its name server, its inspection."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from homelab_lib.answers import Shape
from homelab_lib.control.opnsense.api import Api, told
from homelab_lib.control.opnsense.values import below, beside, nested, parts, plain
from homelab_lib.runbook.resource import Change, Diff, Host


@dataclass(frozen=True)
class Settings:
    """Where a document of settings is.

    Parameters
    ----------
    noun
        What it is called, for people.
    get, put
        Paths below ``/api/``.
    root
        What it is called in the body. A body with another root is answered by "saved".
    lists
        Fields whose parts, joined by commas, are in no order.
    grows
        Those of them to which ours are added; what else is in them stays.
    switch
        The setting that switches all of it on. While it is on, what somebody else has put into a
        list is not taken out of it: that it is as wanted, is for him to say.
    nobodys
        What the firewall comes with in its lists.
    """

    noun: str
    get: str
    put: str
    root: str
    lists: frozenset[str] = frozenset()
    grows: frozenset[str] = frozenset()
    switch: str = ""
    nobodys: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Section:
    """Settings that are as we want them; what is not named stays as it is.

    Parameters
    ----------
    api, settings
        The firewall, and which of its documents.
    wanted
        What should stand in it, by names such as ``general.mode``.
    aspect
        What of it this is about, where several are.
    """

    api: Api
    settings: Settings
    wanted: Mapping[str, str]
    aspect: str = ""
    timeout_s: float = 5.0

    @property
    def host(self) -> str:
        return self.api.host

    @property
    def name(self) -> str:
        return " ".join(filter(None, ("settings of", self.settings.noun, self.aspect)))

    def observe(self, host: Host) -> dict[str, str | None]:
        """What stands there now; None for what the release does not have."""
        shape: Shape = {self.settings.root: {str: object}}
        document = self.api.ask(host, self.settings.get, shape)[self.settings.root]
        found: dict[str, str | None] = {}
        for name in sorted({*self.wanted, self.settings.switch} - {""}):
            value = below(document, name)
            found[name] = None if value is None else self._settled(name, plain(value))
        return found

    def diff(self, observed: Mapping[str, str | None]) -> Diff:
        if unknown := [name for name, value in observed.items() if value is None]:
            return Diff(conflict=f"this OPNsense has no {', '.join(unknown)} in {self.name}")
        sent = {name: self._sent(name, value, observed[name] or "")
                for name, value in self.wanted.items()}  # fmt: skip
        differing = {
            name: value
            for name, value in sent.items()
            if self._settled(name, value) != observed[name]
        }
        if not differing:
            return Diff()
        if taken := self._taken(differing, observed):
            return Diff(conflict=taken)
        before = {name: observed[name] for name in differing}
        undo = json.dumps({self.settings.root: nested(before)})
        return Diff(
            (
                Change(
                    f"set {', '.join(differing)} in the {self.name}",
                    self.api.post(self.settings.put, {self.settings.root: nested(differing)}),
                    follow=told,
                    replaces=", ".join(f"{name} {json.dumps(was)}" for name, was in before.items()),
                    undo=f"POST /api/{self.settings.put} {undo}",
                ),
            )
        )

    def _taken(self, differing: Mapping[str, str], observed: Mapping[str, str | None]) -> str:
        """What of somebody else's would be taken out of a list that is in use."""
        if observed.get(self.settings.switch) != "1":
            return ""
        told_ = []
        for name in sorted(self.settings.lists & differing.keys()):
            nobodys = self.settings.nobodys
            if theirs := beside(observed[name] or "", differing[name], ",", nobodys):
                told_.append(f"{', '.join(theirs)} in {name}")
        if not told_:
            return ""
        return (
            f"the {self.name} have {'; '.join(told_)}, which the lab has not, and are in use: "
            "write that into the lab, too, or take it out there by hand"
        )

    def _sent(self, name: str, wanted: str, found: str) -> str:
        if name not in self.settings.grows:
            return wanted
        return ",".join(parts(f"{found},{wanted}", ","))

    def _settled(self, name: str, value: str) -> str:
        return ",".join(parts(value, ",")) if name in self.settings.lists else value


def setting(api: Api, host: Host, settings: Settings, name: str) -> str:
    """One setting as it is now."""
    shape: Shape = {settings.root: {str: object}}
    return plain(below(api.ask(host, settings.get, shape)[settings.root], name))
