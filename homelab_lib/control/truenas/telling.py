"""Calls with secrets in them: these go by standard input, and stand on no command line.

`midclt` reads standard input since 26 only, so the client library behind it is called in every
release. What is no secret stays on the command line, where whoever approves a plan can read it.

Source: truenas_api_client 25.04 to 26, `Client.call`.
"""

import json
from collections.abc import Mapping
from typing import Any

from homelab_lib.secret import Secret
from homelab_lib.transport.command import Command, change

# Each secret is put where its path says, in the last argument.
_CALL = (
    "import json, sys; from truenas_api_client import Client; "
    "method, *given = sys.argv[1:2] + [json.loads(word) for word in sys.argv[2:]]; "
    "put = lambda place, way, value: place.update({way[0]: value}) if not way[1:] else "
    "put(place[way[0]], way[1:], value); "
    "[put(given[-1], path.split('.'), value) for path, value in json.load(sys.stdin).items()]; "
    "Client().__enter__().call(method, *given)"
)


def telling(method: str, *arguments: Any, secrets: Mapping[str, Secret]) -> Command:
    """A call that changes something, with secrets in its last argument.

    Parameters
    ----------
    method, arguments
        What is called, without the secrets.
    secrets
        By where they belong in the last argument: ``password``, ``attributes.url``.
    """
    words = [json.dumps(each) for each in arguments]
    names = ", ".join(f"{path}: {secret.name}" for path, secret in secrets.items())

    def together() -> str:
        return json.dumps({path: secret.reveal() for path, secret in secrets.items()})

    return change("python3", "-c", _CALL, method, *words, stdin=Secret(names, together))
