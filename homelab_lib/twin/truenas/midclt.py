"""`midclt`: the middleware on the command line, with the habits of each release.

Source: truenas_api_client 25.04 to 26. Each argument is read as JSON, and is a string where it
is none. A result that is a number, a truth value or a string is printed as Python prints it, all
others as JSON. A job's number comes back at once, unless ``-j`` says to wait.
"""

import argparse
import json
import pprint
from functools import cache
from typing import Any, NoReturn

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.truenas import (  # noqa: F401  (importing them registers their methods)
    accounts,
    alerts,
    apps,
    cloud,
    dataset,
    disks,
    download,
    filesystem,
    interfaces,
    iscsi,
    nfs,
    pool,
    pool_moves,
    power,
    routing,
    services,
    settings,
    smb,
    system,
    tasks,
)
from homelab_lib.twin.truenas.errors import ApiError, NoSuchMethod, OwnFault, ValidationErrors
from homelab_lib.twin.truenas.jobs import traceback
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.query import MatchNotFound
from homelab_lib.twin.truenas.rpc import GOLDEYE, HALFMOON, Release, find

_CALL_S = 0.2
_MOST_LOGINS, _LOGINS_WITHIN_S = 20, 60.0

truenas = Commands()


class _Usage(Exception):
    """The words can't be read as a call."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Usage(f"usage: midclt [-h] {{call,ping}} ...\nmidclt: error: {message}\n")


@cache
def _parser(release: Release) -> argparse.ArgumentParser:
    parser = _Parser(prog="midclt", add_help=False)
    parser.add_argument("-t", "--timeout", type=int)
    parser.add_argument("-u", "--uri", default="")
    for short, long in (("-U", "--username"), ("-P", "--password"), ("-K", "--api-key")):
        parser.add_argument(short, long)
    if release < GOLDEYE:
        parser.add_argument("-q", "--quiet", action="store_true")
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=_Parser)
    call = verbs.add_parser("call", add_help=False)
    call.add_argument("-j", "--job", action="store_true")
    call.add_argument("-jp", "--job-print", default="progressbar")
    call.add_argument("method", nargs="+")
    verbs.add_parser("ping", add_help=False)
    return parser


def _from_json(word: str, stdin: bytes, release: Release) -> Any:
    if word == "-" and release >= HALFMOON:
        word = stdin.decode(errors="replace")
    try:
        return json.loads(word)
    except ValueError:
        return word


def _shown(value: Any) -> str:
    return f"{value}\n" if isinstance(value, int | str) else json.dumps(value) + "\n"


@truenas("midclt")
def midclt(nas: TrueNas, call: Call) -> Reply:
    """Call a method of the middleware.

    Parameters
    ----------
    nas
        The TrueNAS.
    call
        ``midclt call METHOD ARGUMENT…``
    """
    try:
        words = _parser(nas.release).parse_args(list(call.argv[1:]))
    except _Usage as error:
        return Reply(2, stderr=str(error))
    if words.uri:
        return _over_the_network(nas)
    if words.verb == "ping":
        return Reply(0, "pong\n")
    name, *arguments = words.method
    given = [_from_json(word, call.stdin, nas.release) for word in arguments]
    try:
        return _called(nas, name, given, wait=words.job)
    except MatchNotFound:
        return Reply(1, stderr="MatchNotFound()\n", takes_s=_CALL_S)
    except ApiError as error:
        return Reply(1, stderr=_complaint(error), takes_s=_CALL_S)


def _over_the_network(nas: TrueNas) -> Reply:
    """A login by websocket, which is counted; the local socket has no such limit.

    Source: middlewared/utils/rate_limit/cache.py; the client prints why, and ends with 0.
    """
    now_s = nas.world.clock.now()
    logins = nas.kept.setdefault("logins", {"since_s": now_s, "count": 0})
    if now_s - logins["since_s"] >= _LOGINS_WITHIN_S:
        logins |= {"since_s": now_s, "count": 0}
    logins["count"] += 1
    if logins["count"] > _MOST_LOGINS:
        return Reply(0, "Failed to login:  [EBUSY] Rate Limit Exceeded\n", takes_s=5.0)
    return Reply(127, stderr="twin: its midclt knows nobody who comes by websocket\n")


def _called(nas: TrueNas, name: str, given: list[Any], *, wait: bool) -> Reply:
    method = find(name, nas.release)
    bound = method.bind(given)
    if not method.job:
        return Reply(0, _shown(method.body(nas, *bound)), takes_s=_CALL_S)
    job = nas.jobs.start(name, given, method.body(nas, *bound), method.lock)
    if not wait:
        return Reply(0, f"{job.id}\n", takes_s=_CALL_S)
    took_s = nas.jobs.run_through(job)
    if isinstance(job.failure, OwnFault):
        return Reply(70, stderr=f"{job.failure}\n", takes_s=took_s)
    if job.failure is not None:
        return Reply(1, stderr=_complaint(job.failure), takes_s=took_s)
    return Reply(0, _shown(job.result), takes_s=took_s)


def _complaint(error: Exception) -> str:
    """What the client prints of an error: its text, its traceback, and what else it carries."""
    if isinstance(error, NoSuchMethod):
        return f"{error}\n"
    text = f"{error.lines()}\n{traceback(error)}" if isinstance(error, ApiError) else f"{error}\n"
    if isinstance(error, ValidationErrors):
        text += pprint.pformat([list(each) for each in error.errors]) + "\n"
    return text
