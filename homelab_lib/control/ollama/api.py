"""Ollama's API over HTTP, by curl on a machine that reaches it.

Source: ollama/ollama docs/api.md, server/routes.go (0.32): a streamed answer that fails after its
first line has status 200 all the same, so nothing is streamed; rows of ``/api/tags`` have digests
as bare hexadecimal digits.
"""

import json
from collections.abc import Mapping
from typing import Any

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.call import Call
from homelab_lib.transport.command import change, read

_PATIENCE_S = 30
TAGS: Shape = {"models": [{"name": str, "digest": str, "size": int}]}
LOADED: Shape = {
    "models": [{"name": str, "size": int, "size_vram": int, "context_length?": int}],
}


def ask(host: Host, url: str, path: str, shape: Shape) -> Any:
    """What a server says to a GET; None where it does not answer.

    Parameters
    ----------
    host
        The machine that asks.
    url, path
        The server, such as ``http://10.0.30.22:31434``, and what is asked of it.
    shape
        What is read from its answer.

    Raises
    ------
    NotUnderstood
        It says something else.
    """
    words = ("curl", "-sS", "-f", "-m", str(_PATIENCE_S), f"{url}{path}")
    shown = host.read(*words, ok=None)
    if shown.exit_status:
        return None
    line = read(*words).line
    return answers.understood(shown.stdout, shape, host=host.name, line=line)


def answered(host: Host, url: str, path: str, shape: Shape) -> Any:
    """The same of a server that has to answer.

    Raises
    ------
    StepFailed
        It does not.
    """
    said = ask(host, url, path, shape)
    if said is None:
        raise StepFailed(
            f"nothing answers {host.name} at {url}{path}",
            where=f"{host.name}: {url}",
            fix="look whether the server runs, and whether a firewall is in between",
        )
    return said


def post(url: str, path: str, body: Mapping[str, Any], timeout_s: float) -> Call:
    """A POST whose failure is the command's: its answer is printed, or kept nowhere."""
    words = ("curl", "-sS", "--fail-with-body", "-m", f"{timeout_s:.0f}", "-X", "POST")
    text = json.dumps(body, sort_keys=True)
    words += ("-H", "Content-Type: application/json", "--data-binary", text, f"{url}{path}")
    return change(*words, timeout_s=timeout_s + 30)


# $1 where the answer is kept, $2 seconds, $3 the address, $4 the request.
_KEEP = (
    'set -e; umask 022; mkdir -p "${1%/*}"; '
    'curl -sS --fail-with-body -m "$2" -X POST -H "Content-Type: application/json" '
    '--data-binary "$4" -o "$1.new" "$3" || { cat "$1.new" >&2; rm -f "$1.new"; exit 1; }; '
    'sync "$1.new"; mv -fT -- "$1.new" "$1"'
)


def post_and_keep(
    url: str, path: str, body: Mapping[str, Any], keep: str, timeout_s: float
) -> Call:
    """A POST whose answer is kept in a file, once all of it is there."""
    text = json.dumps(body, sort_keys=True)
    words = ("sh", "-c", _KEEP, "sh", keep, f"{timeout_s:.0f}", f"{url}{path}", text)
    return change(*words, sudo=True, timeout_s=timeout_s + 30)
