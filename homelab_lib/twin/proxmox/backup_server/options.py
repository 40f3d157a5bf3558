"""What each sub-command of `proxmox-backup-manager` takes.

Source: the API schema of Proxmox Backup Server 4, and which parameters the program takes without
their names (proxmox-backup 3.2.4, src/bin/proxmox_backup_manager/*). ``--output-format`` is known
only where a command shows something: `user generate-token` does not take it. What is said of what
they can't be is proxmox-schema's (`ParameterError`, `check_constraints`), but for calendar events,
of which this twin does not know all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.proxmox.backup_options import next_run_s
from homelab_lib.twin.proxmox.backup_server.access import PRIVILEGES

Given = dict[str, Any]
_SAFE = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_USER = rf"[^\s:/]+@{_SAFE}"
_TRUTH = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False, "0": False, "no": False, "off": False,
}  # fmt: skip


class Refused(Exception):
    """What the API says, in its words."""


def wrong(errors: Sequence[tuple[str, str]]) -> Refused:
    """What is said of parameters, each with what is wrong with it."""
    if len(errors) == 1:
        return Refused("parameter verification failed - '{}': {}".format(*errors[0]))
    lines = [f"- '{name}': {why}" for name, why in errors]
    return Refused("\n".join(["parameter verification failed:", *lines]))


@dataclass(frozen=True)
class Rule:
    """What one parameter may be: a text of a pattern, one of several words (a choice), a whole
    number or a truth, and the bounds of its length or of itself."""

    kind: str = "text"
    pattern: str = r"[^\x00-\x1f]*"
    shortest: int = 0
    longest: int = 4096
    least: int = 0
    most: int = 2**31
    many: bool = False  # it may be given several times

    def value(self, text: str) -> Any:
        """The value that a word stands for.

        Raises
        ------
        ValueError
            It is none.
        """
        if self.kind == "truth":
            if text.lower() not in _TRUTH:
                raise ValueError("Unable to parse boolean option.")
            return _TRUTH[text.lower()]
        if self.kind == "number":
            return self._number(text)
        if self.kind == "event":
            try:
                next_run_s(text, 0.0)
            except ValueError:
                raise ValueError(f"twin: it knows no event '{text}'") from None
        if len(text) < self.shortest:
            raise ValueError(f"value must be at least {self.shortest} characters long")
        if len(text) > self.longest:
            raise ValueError(f"value may only be {self.longest} characters long")
        if self.kind == "choice" and text not in self.pattern.split("|"):
            raise ValueError(f"value '{text}' is not defined in the enumeration.")
        if self.kind != "choice" and not re.fullmatch(self.pattern, text):
            raise ValueError("value does not match the regex pattern")
        return text

    def _number(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", text):
            raise ValueError("invalid digit found in string")
        number = int(text)
        if number < self.least:
            raise ValueError(f"value must have a minimum value of {self.least} (got {number})")
        if number > self.most:
            raise ValueError(f"value must have a maximum value of {self.most} (got {number})")
        return number


def _one_of(*words: str) -> Rule:
    return Rule("choice", "|".join(words))


_USERID = Rule(pattern=_USER, shortest=3, longest=64)
_ID = Rule(pattern=_SAFE, shortest=3, longest=32)
_COMMENT, _EVENT, _TRUE = Rule(longest=128), Rule("event"), Rule("truth")
_KEEP = {f"keep-{each}": Rule("number", least=1) for each in (
    "last", "hourly", "daily", "weekly", "monthly", "yearly")}  # fmt: skip
_FORM = {"output-format": _one_of("text", "json", "json-pretty")}
_NS = {"ns": Rule(longest=256), "max-depth": Rule("number", most=7)}
_STORE = {
    "backing-device": Rule(),
    "comment": _COMMENT,
    "gc-schedule": _EVENT,
    "maintenance-mode": Rule(),
    "notification-mode": _one_of("legacy-sendmail", "notification-system"),
    "notify": Rule(),
    "notify-user": _USERID,
    "tuning": Rule(),
    "verify-new": _TRUE,
}
_PRUNE = {"comment": _COMMENT, "disable": _TRUE, "schedule": _EVENT, "store": _ID} | _KEEP | _NS
_VERIFY = {
    "comment": _COMMENT,
    "ignore-verified": _TRUE,
    "outdated-after": Rule("number"),
    "read-threads": Rule("number", least=1, most=32),
    "schedule": _EVENT,
    "store": _ID,
    "verify-threads": Rule("number", least=1, most=32),
} | _NS
_ROLES = (*PRIVILEGES, "RemoteAudit", "RemoteAdmin", "RemoteSyncOperator",
          "RemoteSyncPushOperator", "RemoteDatastorePowerUser", "RemoteDatastoreAdmin", "TapeAudit",
          "TapeAdmin", "TapeOperator", "TapeReader")  # fmt: skip
_PERSON = {
    "comment": _COMMENT,
    "email": Rule(shortest=2, longest=64),
    "enable": _TRUE,
    "expire": Rule("number"),
    "firstname": Rule(shortest=2, longest=64),
    "lastname": Rule(shortest=2, longest=64),
    "password": Rule(shortest=8, longest=64),
}
_LISTED = "delete"
_ENTITY = Rule(pattern=_SAFE, shortest=2, longest=32)
_WHOM = Rule(shortest=2, longest=64, many=True)
_ORIGIN = _one_of("user-created", "builtin", "modified-builtin")
_SENDMAIL = {
    "author": Rule(),
    "comment": _COMMENT,
    "disable": _TRUE,
    "from-address": Rule(),
    "mailto": _WHOM,
    "mailto-user": _WHOM,
}
_MATCHER = {
    "comment": _COMMENT,
    "disable": _TRUE,
    "invert-match": _TRUE,
    "match-calendar": Rule(many=True),
    "match-field": Rule(many=True),
    "match-severity": Rule(
        pattern=r"(info|notice|warning|error|unknown)(,(info|notice|warning|error|unknown))*",
        many=True,
    ),
    "mode": _one_of("all", "any"),
    "target": Rule(pattern=_SAFE, shortest=2, longest=32, many=True),
}
Taken = tuple[tuple[str, ...], dict[str, Rule], tuple[str, ...]]
"""Parameters without names, all of them, and those that can't be left out."""

CREATED: dict[str, Taken] = {
    "datastore create": (
        ("name", "path"),
        {"name": _ID, "path": Rule(shortest=1)} | _STORE | {"reuse-datastore": _TRUE} | _FORM,
        ("name", "path"),
    ),
    "user create": (
        ("userid",),
        {"userid": _USERID} | _PERSON,
        ("userid",),
    ),
    "user generate-token": (
        ("userid", "token-name"),
        {"userid": _USERID, "token-name": Rule(pattern=_SAFE)}
        | {key: _PERSON[key] for key in ("comment", "enable", "expire")},
        ("userid", "token-name"),
    ),
    "acl update": (
        ("path", "role"),
        {
            "path": Rule(pattern=rf"/|(/{_SAFE})+", longest=128),
            "role": _one_of(*_ROLES),
            "auth-id": Rule(pattern=rf"{_USER}(!{_SAFE})?", shortest=3, longest=64),
            "propagate": _TRUE,
            "delete": _TRUE,
        },
        ("path", "role"),
    ),
    "prune-job create": (("id",), {"id": _ID} | _PRUNE, ("id", "store", "schedule")),
    "verify-job create": (("id",), {"id": _ID} | _VERIFY, ("id", "store")),
    "notification endpoint sendmail create": (
        ("name",),
        {"name": _ENTITY, "filter": Rule(), "origin": _ORIGIN} | _SENDMAIL,
        ("name",),
    ),
    "notification matcher create": (
        ("name",),
        {"name": _ENTITY, "origin": _ORIGIN} | _MATCHER,
        ("name",),
    ),
}
UPDATED: dict[str, Taken] = {
    "datastore update": (
        ("name",),
        {
            "name": _ID,
            _LISTED: _one_of(
                *("comment", "gc-schedule", "verify-new", "notify-user", "notify", "tuning"),
                *("notification-mode", "maintenance-mode"),
            ),
        }
        | {key: rule for key, rule in _STORE.items() if key != "backing-device"},
        ("name",),
    ),
    "prune-job update": (
        ("id",),
        {"id": _ID, _LISTED: _one_of("comment", "disable", *_NS, *_KEEP)} | _PRUNE,
        ("id",),
    ),
    "notification endpoint sendmail update": (
        ("name",),
        {"name": _ENTITY, _LISTED: _one_of(*_SENDMAIL)} | _SENDMAIL,
        ("name",),
    ),
    "notification matcher update": (
        ("name",),
        {"name": _ENTITY, _LISTED: _one_of(*_MATCHER)} | _MATCHER,
        ("name",),
    ),
    "verify-job update": (
        ("id",),
        {"id": _ID, _LISTED: _one_of(*(key for key in _VERIFY if key != "store"))} | _VERIFY,
        ("id",),
    ),
}
_TAKEN: dict[str, Taken] = (
    CREATED
    | UPDATED
    | {
        "garbage-collection start": (("store",), {"store": _ID} | _FORM, ("store",)),
        "verify": (
            ("store",),
            {"store": _ID} | {k: _VERIFY[k] for k in ("ignore-verified", "outdated-after")} | _FORM,
            ("store",),
        ),
        "versions": ((), {"verbose": _TRUE} | _FORM, ()),
        "user list-tokens": (("userid",), {"userid": _USERID} | _FORM, ("userid",)),
        "task list": (
            (),
            {"all": _TRUE, "limit": Rule("number", least=1, most=1000)} | _FORM,
            (),
        ),
        "cert info": ((), {}, ()),
        "notification target test": (("name",), {"name": _ENTITY}, ("name",)),
    }
)


def parsed(line: str, words: tuple[str, ...]) -> Given:
    """The parameters of a call.

    Raises
    ------
    Refused
        They are not what it takes.
    """
    unnamed, rules, needed = _TAKEN.get(line, ((), _FORM, ()))
    found: Given = {}
    errors: list[tuple[str, str]] = []
    rest, places = iter(words), iter(unnamed)
    for word in rest:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            value = value if equals else next(rest, "")
        else:
            name, value = next(places, ""), word
        try:
            _take(found, rules, name or word, value)
        except ValueError as error:
            errors.append((name or word, str(error)))
    if not errors:
        what = "parameter is missing and it is not optional."
        errors = [(name, what) for name in needed if name not in found]
    if errors:
        raise wrong(errors)
    return found


def _take(found: Given, rules: dict[str, Rule], name: str, value: str) -> None:
    if name not in rules:
        raise ValueError("schema does not allow additional properties.")
    read = rules[name].value(value)
    if rules[name].many or (name == _LISTED and rules[name].kind == "choice"):
        found[name] = [*found.get(name, []), read]
    elif name in found:
        raise ValueError("duplicate parameter.")
    else:
        found[name] = read
