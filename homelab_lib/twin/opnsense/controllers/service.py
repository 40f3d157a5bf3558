"""What controllers of services have in common: start, stop, restart, reconfigure, status."""

from collections.abc import Callable
from typing import Any

from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.visit import Visit

_WIDGET = {"caption_restart": "Restart", "caption_start": "Start", "caption_stop": "Stop"}


def reconfigure(name: str) -> Action:
    """Have a service take over what is written."""

    def action(visit: Visit) -> dict[str, str]:
        if not visit.is_post:
            return {"status": "failed"}
        visit.firewall.apply(name)
        return {"status": "ok"}

    return action


def service(
    name: str, enabled: Callable[[Visit], bool], *, with_filter: bool = False, tells: str = "status"
) -> dict[str, Action]:
    """The usual actions on a service.

    Parameters
    ----------
    name
        What it is called to the firewall.
    enabled
        Whether it is switched on in the settings.
    with_filter
        Whether the filter is reloaded with it.
    tells
        By what word it answers that it has taken over what is written.
    """

    def run(verb: str) -> Action:
        def action(visit: Visit) -> dict[str, Any]:
            if not visit.is_post:
                return {"response": []}
            visit.firewall.started[name] = verb != "stop"
            return {"response": "OK"}

        return action

    def take_over(visit: Visit) -> dict[str, str]:
        if not visit.is_post:
            return {tells: "failed"}
        visit.firewall.started[name] = enabled(visit)
        visit.firewall.apply(name)
        if with_filter:
            visit.firewall.reload_filter()
        return {tells: "ok"}

    def status(visit: Visit) -> dict[str, Any]:
        if visit.firewall.started.get(name):
            found = "running"
        else:
            found = "stopped" if enabled(visit) else "disabled"
        return {"status": found, "widget": _WIDGET}

    return {
        "start": run("start"),
        "stop": run("stop"),
        "restart": run("restart"),
        "reconfigure": take_over,
        "status": status,
    }
