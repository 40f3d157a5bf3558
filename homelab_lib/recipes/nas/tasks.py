"""What a NAS does by itself: snapshots, scrubs, tests of its disks, and telling of trouble."""

from collections.abc import Iterator, Sequence
from typing import Any

from homelab_lib.answers import Shape
from homelab_lib.control.truenas.disks import identities
from homelab_lib.control.truenas.families import cron_job, init_script, snapshot_task
from homelab_lib.control.truenas.midclt import call, release
from homelab_lib.control.truenas.service import NasService
from homelab_lib.control.truenas.settings import Settings
from homelab_lib.control.truenas.watching import Scrub, alert_service, smart_test
from homelab_lib.errors import StepFailed
from homelab_lib.lab import Lab
from homelab_lib.lab.nas import AlertService, Mail, OwnCommand, ScrubTask, SmartTest, SnapshotTask
from homelab_lib.lab.pools import Pool
from homelab_lib.recipes import same_disks
from homelab_lib.runbook.resource import Host
from homelab_lib.runbook.step import Check, Context, Step, Wanted

_FIELDS = ("minute", "hour", "dom", "month", "dow")
_WITHOUT_SMART = (25, 10)  # the first release that tests no disks by itself
_SEVERE = ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_ALERTS: Shape = [{"level": str, "dismissed": bool, "klass": str, "formatted?": str}]
_JOBS: Shape = [{"method?": str}]


def cron(schedule: str) -> dict[str, str]:
    """A line of crontab as TrueNAS has it: ``0 3 1 * *`` is ``{"hour": "3", "dom": "1", …}``."""
    return dict(zip(_FIELDS, schedule.split(), strict=True))


def scrub_of(pool: Pool) -> ScrubTask:
    """When a pool is scrubbed of which the lab says only how often: on a night when little is done.

    Parameters
    ----------
    pool
        One whose scrub is said.
    """
    monthly = pool.scrub == "monthly"
    schedule, threshold_days = ("0 3 1 * *", 20) if monthly else ("0 3 * * 7", 4)
    return ScrubTask(
        name=pool.name, schedule=schedule, threshold_days=threshold_days, phase=pool.phase
    )


def tasks(
    lab: Lab,
    host: str,
    snapshots: Sequence[SnapshotTask],
    scrubs: Sequence[ScrubTask],
    name: str,
    needs: tuple[str, ...],
) -> Step:
    """The step that sets up snapshots and scrubs.

    Parameters
    ----------
    lab, host, snapshots, scrubs
        The lab, the NAS, and what it is to do.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = release(ctx.host(host))
        for task in snapshots:
            yield snapshot_task(
                host,
                lab.name,
                nas,
                task.dataset,
                cron(task.schedule) | {"begin": task.begin, "end": task.end},
                (task.keep, task.unit),
                task.recursive,
                name=task.name,
                naming_schema=task.naming_schema,
                exclude=task.exclude,
                allow_empty=task.allow_empty,
                enabled=task.enabled,
            )
        for each in scrubs:
            when = cron(each.schedule)
            yield Scrub(host, lab.name, each.name, when, each.threshold_days, each.enabled)

    return Step(
        name,
        "Take snapshots, and have the pools scrubbed",
        why="Snapshots bring back what was deleted by mistake; they lie on the same disks, and are "
        "no backup. A scrub reads everything and mends what a disk has forgotten, before a second "
        "one forgets the same.",
        needs=needs,
        ensure=ensure,
    )


def disk_tests(lab: Lab, host: str, tests: Sequence[SmartTest], name: str) -> Step:
    """The step that has disks test themselves.

    Parameters
    ----------
    lab, host, tests
        The lab, the NAS, and when which disks are tested how.
    name
        What the step is called.
    """
    disks = lab.hardware(host).disks

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = ctx.host(host)
        where = (host, lab.name, release(nas))
        known = identities(nas)
        for test in tests:
            wanted = [disks[each].serial or "" for each in test.disks]
            if missing := [serial for serial in wanted if serial not in known]:
                raise StepFailed(
                    f"{host} has no disk {', '.join(missing)} to be tested",
                    where=f"nas.{host}.smart_tests.{test.name}",
                    fix="see which is missing: `lsblk -d -o NAME,SERIAL`",
                )
            if release(nas) < _WITHOUT_SMART:
                ids = [known[serial].identifier for serial in wanted]
                yield smart_test(*where, test.name, test.kind, ids, cron(test.schedule))
            else:
                tested = wanted or sorted(known)
                command = "; ".join(known[serial].command(test.kind.lower()) for serial in tested)
                yield cron_job(*where, test.name, command, cron(test.schedule))
        if release(nas) < _WITHOUT_SMART:
            yield NasService(host, release(nas), "smartd")

    return Step(
        name,
        "Have the disks test themselves",
        why="A disk often knows that it fails before anybody else does, if it is asked to look. "
        "Since 25.10 TrueNAS asks no more, so it is a cron job that does.",
        ensure=ensure,
    )


def commands(
    lab: Lab, host: str, own: Sequence[OwnCommand], name: str, needs: tuple[str, ...]
) -> Step:
    """The step that gives a NAS commands of its own.

    Parameters
    ----------
    lab, host, own
        The lab, the NAS, and what it is to run.
    name, needs
        What the step is called, and what it stands on.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        where = (host, lab.name, release(ctx.host(host)))
        for each in own:
            what = (each.name, each.command)
            if each.schedule is not None:
                yield cron_job(*where, *what, cron(each.schedule), each.user, each.enabled)
            elif each.at is not None:
                yield init_script(*where, *what, each.at, each.timeout_s, each.enabled)

    return Step(
        name,
        "Have the NAS run commands by itself",
        why="An update replaces the system, and with it whatever was put into its folders by "
        "hand; what TrueNAS itself is told to run stays. Nothing is run now: the first time is "
        "when it starts or stops, or its hour comes.",
        needs=needs,
        ensure=ensure,
    )


def telling(
    lab: Lab, host: str, mail: Mail | None, services: Sequence[AlertService], name: str
) -> Step:
    """The step that says where trouble is told.

    Parameters
    ----------
    lab, host, mail, services
        The lab, the NAS, how it sends mail, and to whom it reports.
    name
        What the step is called.
    """

    def ensure(ctx: Context) -> Iterator[Wanted]:
        nas = release(ctx.host(host))
        if mail is not None:
            secrets = {"pass": ctx.secret(mail.password)} if mail.password else {}
            yield Settings(host, "mail", _mail_settings(mail), secrets)
        for each in services:
            secrets = {field: ctx.secret(ref) for field, ref in each.secrets.items()}
            settings: dict[str, Any] = {
                field: list(value) if isinstance(value, tuple) else value
                for field, value in each.settings.items()
            }
            yield alert_service(
                host,
                lab.name,
                nas,
                each.name,
                each.kind,
                each.level,
                settings,
                secrets,
                each.enabled,
            )

    return Step(
        name,
        "Say where trouble is told",
        why="A NAS that fails in silence fails twice. What is sent here are its own alerts: a disk "
        "that is lost, a pool that runs full, a test that failed.",
        ensure=ensure,
    )


def _mail_settings(mail: Mail) -> dict[str, Any]:
    return {
        "fromemail": mail.sender,
        "fromname": mail.sender_name,
        "outgoingserver": mail.server,
        "port": mail.port,
        "security": mail.security,
        "smtp": mail.user is not None,
        "user": mail.user,
    }


def health(lab: Lab, host: str, name: str, title: str, pools: Sequence[Pool] = ()) -> Step:
    """A gate: nothing severe is wrong with the NAS, and nobody else is at its pools.

    Parameters
    ----------
    lab, host
        The lab, and the NAS.
    name, title
        What the step is called.
    pools
        Those that are there already, and are to lie on the disks that the lab says.
    """

    def check(ctx: Context) -> Iterator[Check]:
        nas = ctx.host(host)
        yield severe_alerts(nas)
        asked = [["state", "in", ["RUNNING", "WAITING"]], ["method", "^", "pool."]]
        jobs = sorted({job.get("method", "") for job in call(nas, "core.get_jobs", asked,
                                                             shape=_JOBS)})  # fmt: skip
        yield Check(f"nobody is at the pools of {host}", not jobs, ", ".join(jobs))
        yield from same_disks.checks(lab, ctx, pools)

    return Step(
        name,
        title,
        why="Nothing is built on a NAS that complains: what it says is read first. An alert that "
        "somebody has looked at and dismissed does not count.",
        check=check,
        gate=True,
    )


def severe_alerts(nas: Host) -> Check:
    """Whether a NAS complains of anything severe that nobody has dismissed."""
    severe = sorted(
        f"{alert['level']}: {alert.get('formatted') or alert['klass']}"
        for alert in call(nas, "alert.list", shape=_ALERTS)
        if alert["level"] in _SEVERE and not alert["dismissed"]
    )
    return Check(f"{nas.name} has no severe alert", not severe, "; ".join(severe))
