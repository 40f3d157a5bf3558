"""What an appliance is set to, where it does not die with the appliance: fetched by a timer onto a
machine that has its folders copied to other places."""

from collections.abc import Iterator

from homelab_lib.control.clock import is_new
from homelab_lib.control.linux import File, Packages
from homelab_lib.control.linux.fetched import (
    FOLDER,
    Fetched,
    age_s,
    asked_by,
    fetch_commands,
    pin_of,
)
from homelab_lib.control.linux.folders import Folder
from homelab_lib.control.linux.timers import (
    OwnTimer,
    job_text,
    service_file,
    timer_file,
    timer_text,
)
from homelab_lib.control.linux.units import unit_properties
from homelab_lib.errors import BadParameter
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import CONFIGURATIONS, Configuration
from homelab_lib.runbook.step import Check, Context, Manual, Measurement, Step, Wanted
from homelab_lib.units import format_age

_HOUR_S = 3600.0
_LONGEST_S = 300
_RIGHTS = "“Diagnostics: Configuration History” and “System: Deny config write”"


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The steps of the configurations that a phase has fetched.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        Nobody can ask the appliance.
    """
    for each in lab.backups.configurations.values():
        if each.phase != phase or each.exists:
            continue
        fetched = Fetching(lab, each)
        yield Step(
            f"key-{each.name}",
            f"Give {each.machine} a key to {each.appliance}'s configuration",
            why="Its configuration is all that it takes to set it up anew, and has every password "
            "in it. Whoever fetches it gets a key of its own for the page of copies alone, which "
            "can read them: without the second right it could remove them and put an older one "
            "back, too. That machine is to be kept as carefully as the firewall all the same.",
            manual=Manual(
                f"in the pages of {each.appliance}, System: Access: Users: make a user without a "
                f"shell whose only privileges are {_RIGHTS}, and an API key of that user;\n    "
                f"keep what it shows as {each.key} and {each.secret}"
            ),
        )
        yield Step(
            f"configuration-{each.name}",
            f"Have {each.machine} fetch the configuration of {each.appliance}",
            why="A firewall whose disk died is installed anew and given this file: then it is what "
            f"it was. It keeps copies itself, on that very disk. {each.machine} fetches the newest "
            "by a timer, looks whether it is whole, and has it copied with its other folders, "
            "encrypted, to where no fire reaches it. The firewall is known by its public key.",
            needs=(f"key-{each.name}",),
            ensure=fetched.ensure,
            check=fetched.check,
            measure=fetched.age,
        )


def needed_by(lab: Lab, phase: int, machine: str) -> tuple[str, ...]:
    """The steps that come before a machine's folders are copied."""
    return tuple(
        f"configuration-{each.name}"
        for each in lab.backups.configurations.values()
        if each.machine == machine and each.phase == phase and not each.exists
    )


class Fetching:
    """One configuration; see `steps`."""

    def __init__(self, lab: Lab, described: Configuration) -> None:
        self.lab, self.described = lab, described
        self.appliance = lab.hosts[described.appliance]
        self.unit = f"homelab-configuration-{described.name}"
        if self.appliance.ssh is None or self.appliance.api is None:
            missing = "ssh" if self.appliance.ssh is None else "api"
            raise BadParameter(
                f"the configuration of {described.appliance} is to be fetched, and it has no "
                f"{missing} by which it is reached",
                where=f"hosts.{described.appliance}.{missing}",
                fix="add it: the login tells by which certificate it is known",
            )
        self.port = self.appliance.api.port
        self.address = self.appliance.ssh.address

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """What fetches, the timer, and a first copy."""
        each, lab = self.described, self.lab.name
        options = f"{FOLDER}/{each.name}.curl"
        url = f"https://{self.address}:{self.port}/api/core/backup/download/this"
        pin = pin_of(ctx.host(each.appliance), self.port)
        login = asked_by(url, pin, ctx.secret(each.key), ctx.secret(each.secret))
        yield Packages(each.machine, ("curl", "libxml2-utils"))
        yield Folder(each.machine, CONFIGURATIONS, "700")
        yield File(each.machine, options, login, mode="600", lab=lab,
                   what=f"how {each.appliance} is asked for its configuration")  # fmt: skip
        title = f"Configuration of {each.appliance}"
        work = fetch_commands(options, each.path, "</opnsense>")
        job = job_text(title, work, timeout_s=_LONGEST_S)
        timer = timer_text(title, each.schedule)
        yield File(each.machine, service_file(self.unit), job, what=f"what {self.unit} does",
                   lab=lab)  # fmt: skip
        yield File(each.machine, timer_file(self.unit), timer, what=f"when {self.unit} does it",
                   lab=lab)  # fmt: skip
        yield OwnTimer(each.machine, self.unit)
        within_s = each.within_hours * _HOUR_S
        yield Fetched(each.machine, self.unit, each.appliance, each.path, within_s)

    def check(self, ctx: Context) -> Iterator[Check]:
        """It is as new as was promised, and was fetched well the last time."""
        each, host = self.described, ctx.host(self.described.machine)
        age = age_s(host, each.path)
        there = "there is none" if age is None else f"it is {format_age(age)}"
        well = is_new(age, each.within_hours * _HOUR_S)
        says = f"{there}, and {each.within_hours} h were promised"
        mends = "" if well else "; carry out this step anew: it says why it can't be fetched"
        yield Check(f"the configuration of {each.appliance} on {each.machine} is new", well,
                    f"{says}{mends}")  # fmt: skip
        state = unit_properties(host, f"{self.unit}.service", "LoadState", "ActiveState")
        bad = state["ActiveState"] == "failed"
        says = f"it failed: journalctl -u {self.unit}" if bad else state["ActiveState"]
        yield Check(f"{self.unit} ended well on {each.machine}", not bad, says)

    def age(self, ctx: Context) -> Iterator[Measurement]:
        """How old it is."""
        found = age_s(ctx.host(self.described.machine), self.described.path)
        if found is not None:
            name = f"{self.described.appliance}: age of the copy of its configuration"
            yield Measurement(name, found, "s")
