"""What cloud-init says of a machine's first boot.

Source: cloud-init's documentation, "CLI commands: status" and "Failure states": ``status`` and
``extended_status``, ``errors``, and ``recoverable_errors`` by level; exit status 1 for errors, 2
for a boot that is *degraded*.
"""

from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.runbook.resource import Host

_STATUS: Shape = {
    "status": str,
    "extended_status?": str,
    "errors?": [str],
    "recoverable_errors?": {str: [str]},
}
_AT_WORK = ("not started", "not run", "running")
_GRAVE = ("ERROR", "CRITICAL")


@dataclass(frozen=True)
class FirstBoot:
    """How far it has come, and what went wrong.

    Parameters
    ----------
    status
        ``running``, ``done``, ``degraded done``, ``error - done``, ``disabled`` …
    errors
        What failed.
    warnings
        What it could do without.
    """

    status: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def at_work(self) -> bool:
        return any(self.status.endswith(word) for word in _AT_WORK)

    @property
    def good(self) -> bool:
        return self.status.endswith("done") and not self.errors

    def __str__(self) -> str:
        return "; ".join([self.status, *self.errors, *self.warnings])


def first_boot(host: Host) -> FirstBoot:
    """Ask cloud-init.

    Raises
    ------
    NotUnderstood
        It does not answer as it should.
    """
    words = ("cloud-init", "status", "--format", "json", "--long")
    said = host.json(*words, ok=(0, 1, 2))
    found = answers.expected(said, _STATUS, host=host.name, line=" ".join(words))
    errors = [_line(text) for text in found.get("errors", ())]
    warnings: list[str] = []
    for level, texts in found.get("recoverable_errors", {}).items():
        for text in map(_line, texts):
            # A module that failed is only warned of, as a package that is not installed is.
            grave = level in _GRAVE or (level == "WARNING" and "ailed" in text)
            if text not in errors:
                (errors if grave else warnings).append(f"{level}: {text}")
    status = found.get("extended_status") or found["status"]
    return FirstBoot(status, tuple(errors), tuple(warnings))


def _line(text: object) -> str:
    return " ".join(str(text).split())
