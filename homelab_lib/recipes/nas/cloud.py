"""What a TrueNAS copies to places outside by itself."""

from collections.abc import Iterator
from typing import Any

from homelab_lib.control.clock import clock_s
from homelab_lib.control.truenas.cloud import CloudCopied, CloudLogin, CloudTask, guard, last_run
from homelab_lib.lab import Lab
from homelab_lib.lab.nas import CloudTask as Described
from homelab_lib.models import copies as rule
from homelab_lib.recipes.nas.tasks import cron
from homelab_lib.runbook.step import Check, Context, Measurement, Step, Wanted
from homelab_lib.units import format_age

MAKES = ("nas.cloud",)
_HOUR_S = 3600.0
_MIB = 2**20


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The copies of a phase that NASes make by themselves.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.
    """
    for host, nas in lab.nas.items():
        for each in nas.cloud_tasks.values():
            if each.phase != phase or each.exists:
                continue
            task = Task(lab, host, each)
            yield Step(
                f"cloud-{host}-{each.name}",
                f"Copy {each.dataset} of {host} to {task.medium}",
                why="The NAS does it by itself, from a snapshot, encrypted with a password that "
                "the provider does not have: whoever loses that has lost the copy. What is copied "
                "is only added to: to synchronise would delete the copy where the dataset is not "
                "mounted and looks empty, so that is done only behind a guard that counts files.",
                ensure=task.ensure,
                check=task.check,
                measure=task.age,
            )


class Task:
    """One copy; see `steps`."""

    def __init__(self, lab: Lab, host: str, task: Described) -> None:
        self.lab, self.host, self.task = lab, host, task
        self.login = lab.nas[host].cloud_credentials[task.credential]
        self.path = task.path or f"/mnt/{task.dataset}"

    @property
    def medium(self) -> str:
        """What the copy lies on."""
        return f"{self.login.provider} ({self.login.name})"

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The login, the task, and a run that went well."""
        login, task, lab = self.login, self.task, self.lab.name
        secrets = {field: ctx.secret(ref) for field, ref in login.secrets.items()}
        if not login.exists:
            yield CloudLogin(self.host, lab, login.name, login.provider, login.settings, secrets)
        hidden = {"encryption_password": task.encryption_password,
                  "encryption_salt": task.encryption_salt}  # fmt: skip
        given = {name: ctx.secret(ref) for name, ref in hidden.items() if ref is not None}
        yield CloudTask(self.host, lab, task.name, login.name, self._wanted(), given)
        yield CloudCopied(
            self.host, lab, task.name, self.path, task.mode == "SYNC",
            task.within_hours * _HOUR_S,
        )  # fmt: skip

    def _wanted(self) -> dict[str, Any]:
        task = self.task
        attributes: dict[str, Any] = {"folder": task.folder, "fast_list": task.fast_list}
        if task.bucket is not None:
            attributes["bucket"] = task.bucket
        if task.chunk_bytes is not None:
            attributes["chunk_size"] = task.chunk_bytes // _MIB
        if task.storage_class is not None:
            attributes["storage_class"] = task.storage_class
        if not task.fast_list:
            del attributes["fast_list"]
        limits = [
            {"time": each.time, "bandwidth": each.limit_bps and each.limit_bps // 8}
            for each in task.bandwidth
        ]
        guarded = task.mode == "SYNC" and task.direction == "PUSH" and task.least_files
        return {
            "path": self.path,
            "direction": task.direction,
            "transfer_mode": task.mode,
            "snapshot": task.snapshot,
            "attributes": attributes,
            "schedule": cron(task.schedule),
            "encryption": task.encryption_password is not None,
            "filename_encryption": task.encrypt_names,
            "include": list(task.include),
            "exclude": list(task.exclude),
            "bwlimit": limits,
            "transfers": task.transfers,
            "follow_symlinks": task.follow_links,
            "pre_script": guard(self.path, task.least_files)
            if guarded and task.least_files
            else "",
            "enabled": task.enabled,
        }

    def copy(self, ctx: Context) -> rule.Copy:
        """What there is of it, by date."""
        host = ctx.host(self.host)
        run = last_run(host, self.lab.name, self.task.name)
        good = run.state == "SUCCESS" and run.ended_s is not None
        age_s = clock_s(host) - (run.ended_s or 0.0) if good else None
        within_s = self.task.within_hours * _HOUR_S
        return rule.Copy(self.task.name, self.medium, True, age_s, within_s)

    def check(self, ctx: Context) -> Iterator[Check]:
        """The last run went well, and is as new as was promised."""
        copy = self.copy(ctx)
        run = last_run(ctx.host(self.host), self.lab.name, self.task.name)
        says = run.error or run.state.lower() or "it never ran"
        if copy.age_s is not None:
            says = f"{format_age(copy.age_s)}, and {self.task.within_hours} h were promised"
        yield Check(f"the copy {self.task.name} of {self.task.dataset} is new", copy.counts, says)

    def age(self, ctx: Context) -> Iterator[Measurement]:
        """How old it is."""
        copy = self.copy(ctx)
        if copy.age_s is not None:
            yield Measurement(f"{self.task.name}: age of the newest copy", copy.age_s, "s")
