"""The REST side: from a request to its answer, as the appliance's router and dispatcher go."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from homelab_lib.twin.machine.https import Answered, Asked
from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.credentials import may, pair
from homelab_lib.twin.opnsense.errors import NoSuchEndpoint, Refused, Unexpected
from homelab_lib.twin.opnsense.firewall import OpnSense
from homelab_lib.twin.opnsense.visit import Visit

Action = Callable[..., Any]
"""Is given the visit and the parts of the path that follow; a text goes back as it is."""

_PREFIX = "/api/"
_JSON = ("application/json", "application/json;charset=utf-8")
_FORM = ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded;charset=utf-8")
_UNEXPECTED = "Unexpected error, check log for details"


class Api:
    """What a firewall answers.

    Parameters
    ----------
    firewall
        Whose.
    endpoints
        Actions by module and controller (``interfaces/vlan_settings``), and then by name.
    """

    def __init__(self, firewall: OpnSense, endpoints: Mapping[str, Mapping[str, Action]]) -> None:
        self._firewall = firewall
        self._endpoints = {
            _controller(*name.split("/")): {_action(a): body for a, body in actions.items()}
            for name, actions in endpoints.items()
        }

    def __call__(self, asked: Asked) -> Answered:
        """Answer a request."""
        try:
            return self._answered(asked)
        except NoSuchEndpoint:
            return _json({"errorMessage": "Endpoint not found"}, 404)
        except Refused as refused:
            said = {"errorMessage": refused.message, "errorTitle": refused.title}
            if self._firewall.release >= (26, 7):
                said["errorLevel"] = refused.level
            return _json(said, 500)
        except Unexpected:
            return _json({"errorMessage": _UNEXPECTED}, 500)

    def _answered(self, asked: Asked) -> Answered:
        action, parts = self._route(asked.path)
        config = self._firewall.config.read()
        authorization = asked.headers.get("authorization", "")
        user = self._firewall.doorman.user_of(authorization, config, asked.path)
        if not user:
            return _json({"status": 401, "message": "Authentication Failed"}, 401)
        if not may(config, user, asked.path):
            return _json({"status": 403, "message": "Forbidden"}, 403)
        kind = asked.headers.get("content-type", "").replace(" ", "").lower()
        post: dict[str, Any] = {}
        if kind in _JSON:
            if asked.body in (b"", b"0"):
                return _json({"status": 400, "message": "Invalid JSON syntax"}, 400)
            post = php.decoded(asked.body)
        elif kind in _FORM and asked.method == "POST":
            post = php.form(asked.body)
        visit = Visit(
            self._firewall,
            method=asked.method,
            path=asked.path,
            query=asked.query,
            post=post,
            user=user,
            key=pair(authorization)[0],
        )
        answer = action(visit, *parts)
        if isinstance(answer, Answered):
            return answer
        if isinstance(answer, str):
            return Answered(body=answer, kind="text/html; charset=UTF-8")
        return _json(answer)

    def _route(self, path: str) -> tuple[Action, list[str]]:
        """The action that a path names, and what it is given.

        Raises
        ------
        NoSuchEndpoint
            There is none, or it wants more.
        """
        if not path.startswith(_PREFIX):
            raise NoSuchEndpoint
        words = [word for word in path.removeprefix(_PREFIX).split("/") if word]
        if len(words) < 2:
            raise NoSuchEndpoint
        actions = self._endpoints.get(_controller(*words[:2]), {})
        action = actions.get(_action(words[2] if len(words) > 2 else "index"))
        if action is None:
            raise NoSuchEndpoint
        parts = [unquote(word) for word in words[3:]]
        wanted = list(inspect.signature(action).parameters.values())[1:]
        if len(parts) < sum(each.default is each.empty for each in wanted):
            raise NoSuchEndpoint
        return action, parts[: len(wanted)]


def _json(value: Any, status: int = 200) -> Answered:
    return Answered(status, php.encoded(value), "application/json; charset=UTF-8")


def _controller(module: str, controller: str) -> tuple[str, str]:
    """Modules are found whatever their letters' case, controllers by the exact name."""
    return module.replace("_", "").lower(), _camel(controller)


def _camel(word: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in word.split("_"))


def _action(word: str) -> str:
    """PHP calls a method whatever the case of its letters."""
    return _camel(word).lower()
