"""How much gets from one machine to another: a client of iperf3 asks a server that a person runs.

The client is a look: it changes nothing, and where nobody runs a server nothing is sent.

Sources: iperf3(1) and its ``--json``, 3.7 to 3.19: ``end.sum_received`` is what arrived; an error
is told as ``error``, beside exit status 1.
"""

from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.errors import HomelabError
from homelab_lib.runbook.resource import Host

STREAMS = 16
"""Connections at once: one alone never leaves the thread that inspects it."""
_SECONDS = 5
_TIMEOUT_S = 60.0
_NO_PROGRAM = 127
_SHAPE: Shape = {"error?": str, "end?": {"sum_received?": {"bits_per_second": (float, int)}}}


@dataclass(frozen=True)
class Through:
    """What got through.

    Parameters
    ----------
    bps
        What arrived [bit/s]; None where it could not be measured.
    why
        Why not, for a person.
    """

    bps: float | None
    why: str = ""


def through(host: Host, address: str) -> Through:
    """What gets from a host to an address at which somebody runs ``iperf3 --server``.

    Parameters
    ----------
    host
        Where the client runs.
    address
        Where the server runs.

    Raises
    ------
    NotUnderstood
        iperf3 answers in another form.
    """
    words = ("iperf3", "--json", "--client", address, "--time", str(_SECONDS),
             "--parallel", str(STREAMS), "--connect-timeout", "3000")  # fmt: skip
    try:
        shown = host.read(*words, ok=None, timeout_s=_TIMEOUT_S)
    except HomelabError as error:
        return Through(None, error.what.splitlines()[0])
    if shown.exit_status == _NO_PROGRAM:
        return Through(None, f"{host.name} has no iperf3")
    said = answers.understood(shown.stdout, _SHAPE, host=host.name, line=" ".join(words))
    got = said.get("end", {}).get("sum_received")
    if shown.exit_status or got is None:
        return Through(None, f"{host.name} says: {said.get('error', 'nothing')}")
    return Through(float(got["bits_per_second"]))
