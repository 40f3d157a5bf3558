"""`python3 -c`, as far as the middleware's client library is called with it.

The script itself is run, with the modules that are named here and no others, so that what it makes
of its words and its input is Python's own.

Source: truenas_api_client 25.04 to 26, `Client`.
"""

import builtins
import io
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.truenas.errors import ApiError
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.rpc import find

python = Commands()

_BUILTINS = ("dict", "len", "list", "str", "sorted", "enumerate", "zip", "map")


@python("python3")
def python3(nas: TrueNas, call: Call) -> Reply:
    """``python3 -c SCRIPT WORD…``"""
    match call.argv:
        case [_, "-c", script, *words]:
            pass
        case _:
            return Reply(2, stderr="this twin runs no Python but python3 -c\n")
    out = io.StringIO()
    try:
        exec(script, _world(nas, call, words, out))
    except ApiError as error:
        return Reply(1, out.getvalue(), _traceback(f"ClientException: {error.lines()}"))
    except ImportError as error:
        return Reply(1, out.getvalue(), _traceback(f"ModuleNotFoundError: {error}"))
    return Reply(0, out.getvalue(), takes_s=0.5)


def _traceback(last: str) -> str:
    return f'Traceback (most recent call last):\n  File "<string>", line 1, in <module>\n{last}\n'


def _world(nas: TrueNas, call: Call, words: Sequence[str], out: io.StringIO) -> dict[str, Any]:
    """What the script finds: its words, its input, and the middleware."""
    given = call.stdin.decode()
    modules = {
        "json": json,
        "sys": SimpleNamespace(argv=["-c", *words], stdin=io.StringIO(given)),
        "truenas_api_client": SimpleNamespace(Client=lambda: _Client(nas)),
    }

    def take(name: str, *rest: Any) -> Any:
        if name not in modules:
            raise ImportError(f"No module named {name!r} (the twin at least has none)")
        return modules[name]

    known = {name: getattr(builtins, name) for name in _BUILTINS}
    known["print"] = lambda *said: print(*said, file=out)
    return {"__builtins__": known | {"__import__": take}}


class _Client:
    """The middleware, as its client library shows it."""

    def __init__(self, nas: TrueNas) -> None:
        self._nas = nas

    def __enter__(self) -> "_Client":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a method; of a job its number comes back."""
        method = find(name, self._nas.release)
        bound = method.bind(list(arguments))
        if not method.job:
            return method.body(self._nas, *bound)
        jobs = self._nas.jobs
        return jobs.start(name, list(arguments), method.body(self._nas, *bound), method.lock).id
