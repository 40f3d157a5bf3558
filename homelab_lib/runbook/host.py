"""The reading handle that resources and checks get of a host."""

import json
from collections.abc import Callable
from typing import Any, Protocol

from homelab_lib.errors import StepFailed
from homelab_lib.secret import Mask
from homelab_lib.transport.command import Command, Result, read


class Link(Protocol):
    """What carries commands to hosts: the transport's fleet."""

    def run(self, host: str, command: Command) -> Result: ...


class ReadingHost:
    """Implements `homelab_lib.runbook.resource.Host` over a link.

    Parameters
    ----------
    name
        The host's name in the lab.
    link
        Carries the commands.
    mask
        Learns what secret commands print.
    attempted
        Answers whether the lab's journals hold an intent for a resource of this host.
    """

    def __init__(
        self, name: str, link: Link, mask: Mask, attempted: Callable[[str, str], bool]
    ) -> None:
        self.name = name
        self._link = link
        self._mask = mask
        self._attempted = attempted
        self._facts: dict[str, Any] = {}

    def read(self, *argv: str, ok: tuple[int, ...] | None = (0,), **options: Any) -> Result:
        command = read(*argv, **options)
        result = self._link.run(self.name, command)
        if command.secret_output:
            self._mask.learn([result.stdout])
        if ok is not None and result.exit_status not in ok:
            raise failed(self.name, command, result, self._mask)
        return result

    def json(self, *argv: str, **options: Any) -> Any:
        result = self.read(*argv, **options)
        try:
            return json.loads(result.stdout)
        except ValueError:
            shown = self._mask(result.stdout[:200])
            raise StepFailed(
                f"{self.name} did not answer in JSON: {shown!r}",
                where=f"{self.name}: {read(*argv).line}",
                fix="run that command on the host by hand; its version may be one we do not know",
            ) from None

    def fact(self, name: str, look: Callable[[Any], Any]) -> Any:
        if name not in self._facts:
            self._facts[name] = look(self)
        return self._facts[name]

    def attempted(self, resource: str) -> bool:
        return self._attempted(self.name, resource)


def failed(host: str, command: Command, result: Result, mask: Mask) -> StepFailed:
    """The error for a command that ended with a status it should not have."""
    printed = (result.stderr.strip() or result.stdout.strip())[-2000:]
    return StepFailed(
        f"{host}: the command ended with status {result.exit_status}\n"
        f"    {mask(command.line)}\n    {mask(printed) or '(it printed nothing)'}",
        where=host,
        fix="mend what it complains of, then run the same command line again; it goes on from here",
    )
