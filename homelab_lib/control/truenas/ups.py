"""A UPS that a TrueNAS watches, or listens to another machine that does.

Source: TrueNAS middleware 25.04 to 26, `ups`; upsc(8).
"""

from collections.abc import Mapping

from homelab_lib.control.truenas.midclt import call
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

declare("upsc", Allowed("", "-l -L"))


def driver_of(host: Host, driver: str, title: str) -> str:
    """What TrueNAS calls a driver of NUT: with the models that it is for behind it.

    Parameters
    ----------
    driver, title
        NUT's name, and what the UPS is called.

    Raises
    ------
    StepFailed
        It has no such driver.
    """
    choices: Mapping[str, str] = call(host, "ups.driver_choices", shape={str: str})
    fitting = [name for name in choices if name.partition("$")[0] == driver]
    if not fitting:
        raise StepFailed(
            f"{host.name} has no driver {driver} for {title}",
            where=f"{host.name}: ups.driver_choices",
            fix="look at that list, and write one of them into the driver of nut",
        )
    words = set(title.casefold().split())

    def likeness(name: str) -> int:
        told = f"{name.partition('$')[2]} {choices[name]}".casefold()
        return sum(word in told for word in words)

    return max(fitting, key=likeness)


def readings(host: Host, ups: str, server: str = "localhost") -> dict[str, str]:
    """What a UPS says of itself; nothing where nobody answers for it."""
    shown = host.read("upsc", f"{ups}@{server}", ok=None)
    if shown.exit_status:
        return {}
    return dict(
        line.split(": ", 1) for line in shown.stdout.splitlines() if ": " in line
    )  # fmt: skip
