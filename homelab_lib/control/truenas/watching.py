"""What a TrueNAS does by itself to notice trouble, and whom it tells: scrubs, tests, alerts.

Source: TrueNAS middleware 25.04 to 26: `pool.scrub`, `smart.test`, `cronjob`, `alertservice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.truenas.family import Family, Field, Values
from homelab_lib.control.truenas.midclt import Release, call, changing, deleting
from homelab_lib.control.truenas.row import Row
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.secret import Secret

_HOURLY = {"hour": "*", "dom": "*", "month": "*", "dow": "*"}
_MADE_WITH_THE_POOL = {"minute": "00", "hour": "00", "dom": "*", "month": "*", "dow": "7"}
_SCRUBS: Shape = [
    {"id": whole, "threshold": int, "description": str, "enabled": bool, "schedule": {str: str}}
]
_POOLS: Shape = [{"id": whole}]

SMART_TEST = Family(
    "smart.test",
    "SMART test",
    key=("desc",),
    fields={
        "desc": Field(""),
        "type": Field(),
        "all_disks": Field(False),
        "disks": Field((), unordered=True),
        "schedule": Field(_HOURLY),
    },
)
ALERT_SERVICE = Family(
    "alertservice",
    "alert service",
    key=("name",),
    fields={
        "name": Field(),
        "type": Field(),
        "attributes": Field({}),
        "level": Field("WARNING"),
        "enabled": Field(True),
    },
    secret=True,
    whole=True,
)


def smart_test(
    host: str, lab: str, release: Release, name: str, kind: str, disks: Sequence[str],
    schedule: Values,
) -> Row:  # fmt: skip
    """A test of disks at set times, as TrueNAS had it until 25.10; no disks: all."""
    wanted = {
        "type": kind,
        "disks": sorted(disks),
        "all_disks": not disks,
        "schedule": {key: value for key, value in schedule.items() if key in _HOURLY},
    }
    return Row(host, lab, release, SMART_TEST, {"desc": f"{name}; {mark.text(lab)}"}, wanted)


def alert_service(
    host: str, lab: str, release: Release, name: str, kind: str, level: str, attributes: Values,
    secrets: Mapping[str, Secret], enabled: bool = True,
) -> Row:  # fmt: skip
    """Where it reports trouble. What is secret of it is told whenever it is changed."""
    wanted: dict[str, Any] = {"level": level, "enabled": enabled}
    if release < (25, 10):
        wanted |= {"type": kind, "attributes": dict(attributes)}
    else:
        wanted |= {"attributes": {"type": kind, **attributes}}
    key = {"name": f"{name}; {mark.text(lab)}"}
    told = {f"attributes.{field}": secret for field, secret in secrets.items()}
    return Row(host, lab, release, ALERT_SERVICE, key, wanted, secrets=told)


@dataclass(frozen=True)
class Scrub:
    """When a pool is read as a whole and mended.

    TrueNAS makes the task itself with the pool. Two traps: it leaves out a scrub that comes fewer
    days after the last than its threshold, so that a monthly one with the usual 35 runs every
    second month; and cron takes a day of the month *or* one of the week.

    Parameters
    ----------
    host, lab, pool
        Where, the lab it belongs to, and whose.
    schedule
        When: ``minute``, ``hour``, ``dom``, ``month``, ``dow``.
    threshold_days
        Left out where the last one is fewer days ago [days].
    enabled
        Whether it runs.
    """

    host: str
    lab: str
    pool: str
    schedule: Mapping[str, str]
    threshold_days: int
    enabled: bool = True
    timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return f"scrub of {self.pool}"

    @property
    def _wanted(self) -> dict[str, Any]:
        return {
            "schedule": dict(self.schedule),
            "threshold": self.threshold_days,
            "enabled": self.enabled,
        }

    def observe(self, host: Host) -> dict[str, Any]:
        asked = [["pool_name", "=", self.pool]]
        rows = call(host, "pool.scrub.query", asked, shape=_SCRUBS)
        pools = call(host, "pool.query", [["name", "=", self.pool]], shape=_POOLS)
        return {
            "pool": pools[0]["id"] if pools else None,
            "task": rows[0] if rows else None,
        }

    def diff(self, observed: dict[str, Any]) -> Diff:
        found = observed["task"]
        if observed["pool"] is None:
            return Diff(conflict=f"there is no pool {self.pool} on {self.host}; make it first")
        if found is None:  # somebody took it away
            document = {
                "pool": observed["pool"],
                "description": mark.text(self.lab),
                **self._wanted,
            }
            call_ = changing("pool.scrub.create", document)
            undo = deleting("pool.scrub")
            return Diff((Change(f"have pool {self.pool} scrubbed", call_, undo=undo),))
        differing = {name: value for name, value in self._wanted.items() if found[name] != value}
        if not differing:
            return Diff()
        before = ", ".join(f"{name} {found[name]}" for name in differing)
        ours = mark.marks(found["description"], self.lab)
        if not ours and (found["description"] or found["schedule"] != _MADE_WITH_THE_POOL):
            return Diff(
                conflict=f"the scrub of {self.pool} is somebody's ({found['description']!r}): it "
                f"has {before}. If lab {self.lab} may change it, write “{mark.text(self.lab)}” "
                "into its description"
            )
        document = {**differing, "description": mark.text(self.lab)}
        call_ = changing("pool.scrub.update", found["id"], document)
        summary = f"set {', '.join(differing)} of the scrub of {self.pool}"
        old = {name: found[name] for name in (*differing, "description")}
        undo = changing("pool.scrub.update", found["id"], old).line
        return Diff((Change(summary, call_, replaces=before, undo=undo),))
