"""One resource for all that TrueNAS keeps as rows: shares, tasks, jobs, users.

What a family's rows look like, in which release, is a table (`families`); here is what is done
with every one of them. Only what we want of a row is ever sent: what the NAS itself puts into it
(``locked``, ``state``, and in 26 ``dataset``, ``relative_path``, ``tier``) never goes back.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control import mark
from homelab_lib.control.truenas.family import Family, Values
from homelab_lib.control.truenas.midclt import Release, call, changing, deleting
from homelab_lib.control.truenas.telling import telling
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import Command


@dataclass(frozen=True)
class Row:
    """A row that is as we want it.

    Parameters
    ----------
    host, lab, release
        Where it is, the lab it belongs to, and the NAS's release.
    family
        What kind of row it is.
    key, wanted
        What tells it from others, and what should stand in it.
    only_new
        What is said besides when it is made, and can't be compared later.
    secrets
        Secrets that go with it whenever it is sent, by where they belong in it.
    """

    host: str
    lab: str
    release: Release
    family: Family
    key: Values
    wanted: Values
    only_new: Values = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"{self.family.noun} {' '.join(map(str, self.key.values()))}"

    def observe(self, host: Host) -> list[dict[str, Any]]:
        """Every row that has the key, ours or not."""
        filters = [
            [name, "=", value]
            for name, value in self.family.says(self.release, self.key).items()
        ]  # fmt: skip
        names = {*self.wanted, self.family.mark} - {""}
        found = []
        shape = self.family.shape(self.release)
        method, secret = f"{self.family.namespace}.query", self.family.secret
        for row in call(host, method, filters, shape=shape, secret_output=secret):
            heard = self.family.hears(self.release, row)
            found.append({"id": row["id"]} | {name: heard[name] for name in sorted(names)})
        return found

    def diff(self, observed: list[dict[str, Any]]) -> Diff:
        family = self.family
        if unknown := family.unknown(self.release, self.wanted):
            release = ".".join(f"{part:02}" for part in self.release)
            return Diff(conflict=f"TrueNAS {release} can't do {', '.join(unknown)} of {self.name}")
        ours = [row for row in observed if self._is_ours(row)]
        if not ours and any(not self._differing(row) for row in observed):
            return Diff()
        if not observed:
            return Diff((self._create(),))
        if not ours:
            return Diff(conflict=self._taken(observed))
        if len(ours) > 1:
            numbers = ", ".join(str(row["id"]) for row in ours)
            return Diff(
                conflict=f"{self.name} is there twice with our mark (ids {numbers}); keep one"
            )
        differing = self._differing(ours[0])
        return Diff((self._update(ours[0], differing),)) if differing else Diff()

    def _is_ours(self, row: Values) -> bool:
        if self.family.unmarked:
            return False
        return not self.family.mark or mark.marks(row[self.family.mark], self.lab)

    def _differing(self, row: Values) -> dict[str, Any]:
        """What is wanted and not so."""
        return {
            name: value
            for name, value in self.wanted.items()
            if not self.family.fields[name].holds(value, row[name])
        }

    def _create(self) -> Change:
        marked = {self.family.mark: mark.text(self.lab)} if self.family.mark else {}
        said = marked | dict(self.key) | dict(self.wanted) | dict(self.only_new)
        call_ = self._call("create", self.family.says(self.release, said))
        return Change(f"make {self.name}", call_, undo=deleting(self.family.namespace))

    def _call(self, verb: str, *arguments: Any) -> Command:
        method = f"{self.family.namespace}.{verb}"
        if self.secrets:
            return telling(method, *arguments, secrets=self.secrets)
        return changing(method, *arguments)

    def _update(self, row: Values, differing: dict[str, Any]) -> Change:
        family = self.family
        if family.together & differing.keys():
            differing |= {name: self.wanted[name] for name in family.together & self.wanted.keys()}
        before = {name: row[name] for name in differing}
        if family.whole:
            differing = {**self.key, **self.wanted}
        document = family.says(self.release, differing) | dict(family.on_update)
        old = json.dumps(family.says(self.release, before))
        told = [f"{name} {json.dumps(value, sort_keys=True)}" for name, value in before.items()]
        return Change(
            f"change {', '.join(before)} of {self.name}",
            self._call("update", row["id"], document),
            replaces=", ".join(told),
            undo=f"midclt call {family.namespace}.update {row['id']} '{old}'",
        )

    def _taken(self, rows: list[dict[str, Any]]) -> str:
        told = []
        for row in rows:
            have = ", ".join(f"{name} {json.dumps(row[name])}" for name in self._differing(row))
            if self.family.unmarked:
                return (
                    f"{self.name} is there already with {have}, and it has no comment by which we "
                    "could tell that we made it; change it by hand, or describe it as it is"
                )
            told.append(f"{row[self.family.mark]!r} with {have}")
        return (
            f"{self.name} is there already, and we did not make it: {'; '.join(told)}. If lab "
            f"{self.lab} may change it, write “{mark.text(self.lab)}” into its "
            f"{self.family.mark}; else take it out of the lab, or remove it by hand"
        )
