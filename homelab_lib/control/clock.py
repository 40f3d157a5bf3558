"""What time it is on a host."""

from homelab_lib import answers
from homelab_lib.answers import whole
from homelab_lib.runbook.resource import Host

_DATE = ("date", "+%s")


def clock_s(host: Host) -> float:
    """What a host's clock says [s since 1970].

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    said = host.read(*_DATE).stdout.strip()
    return float(answers.expected(said, whole, host=host.name, line=" ".join(_DATE)))
