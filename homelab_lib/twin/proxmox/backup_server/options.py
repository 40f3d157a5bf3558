"""What each sub-command of `proxmox-backup-manager` takes.

Source: the API schema of Proxmox Backup Server 4, and which parameters the program takes without
their names (proxmox-backup 3.2.4, src/bin/proxmox_backup_manager/*). ``--output-format`` is known
only where a command shows something: `user generate-token` does not take it.
"""

import re
from dataclasses import dataclass
from typing import Any

from homelab_lib.twin.proxmox.backup_options import next_run_s
from homelab_lib.twin.proxmox.backup_server.server import PRIVILEGES, Refused

Given = dict[str, Any]
_SAFE = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_USER = rf"[^\s:/]+@{_SAFE}"
_TRUTH = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False, "0": False, "no": False, "off": False,
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """What one parameter may be: a pattern, bounds of its length, a whole number or a truth."""

    kind: str = "text"
    pattern: str = r"[^\x00-\x1f]*"
    shortest: int = 0
    longest: int = 4096
    least: int = 0
    most: int = 2**31

    def value(self, name: str, text: str) -> Any:
        """The value that a word stands for.

        Raises
        ------
        Refused
            It is none.
        """
        if self.kind == "truth":
            if text.lower() not in _TRUTH:
                raise _wrong(name, "Value does not look like a boolean.")
            return _TRUTH[text.lower()]
        if self.kind == "number":
            if not re.fullmatch(r"-?\d+", text):
                raise _wrong(name, "Expected integer value.")
            if not self.least <= int(text) <= self.most:
                raise _wrong(name, f"value must be between {self.least} and {self.most}")
            return int(text)
        if self.kind == "event":
            try:
                next_run_s(text, 0.0)
            except ValueError:
                raise _wrong(name, f"twin: it knows no event '{text}'") from None
        if not self.shortest <= len(text) <= self.longest:
            raise _wrong(name, "value has the wrong length")
        if not re.fullmatch(self.pattern, text):
            raise _wrong(name, "value does not match the regex pattern")
        return text


def _wrong(name: str, what: str) -> Refused:
    return Refused(f"parameter verification errors\n\nparameter '{name}': {what}")


_USERID = Rule(pattern=_USER, shortest=3, longest=64)
_ID = Rule(pattern=_SAFE, shortest=3, longest=32)
_COMMENT, _EVENT, _TRUE = Rule(longest=128), Rule("event"), Rule("truth")
_KEEP = {f"keep-{each}": Rule("number", least=1) for each in (
    "last", "hourly", "daily", "weekly", "monthly", "yearly")}  # fmt: skip
_FORM = {"output-format": Rule(pattern="text|json|json-pretty")}
_NS = {"ns": Rule(longest=256), "max-depth": Rule("number", most=7)}
_STORE = {
    "backing-device": Rule(),
    "comment": _COMMENT,
    "gc-schedule": _EVENT,
    "maintenance-mode": Rule(),
    "notification-mode": Rule(pattern="legacy-sendmail|notification-system"),
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
_ROLES = "|".join((*PRIVILEGES, "Audit", "NoAccess", "DatastoreReader", "DatastoreAudit",
                   "RemoteAudit", "RemoteAdmin", "RemoteSyncOperator", "TapeAudit"))  # fmt: skip
_PERSON = {
    "comment": _COMMENT,
    "email": Rule(shortest=2, longest=64),
    "enable": _TRUE,
    "expire": Rule("number"),
    "firstname": Rule(shortest=2, longest=64),
    "lastname": Rule(shortest=2, longest=64),
    "password": Rule(shortest=8, longest=64),
}
_LISTED = "delete"  # the one parameter that may be given several times
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
            "role": Rule(pattern=_ROLES),
            "auth-id": Rule(pattern=rf"{_USER}(!{_SAFE})?", shortest=3, longest=64),
            "propagate": _TRUE,
            "delete": _TRUE,
        },
        ("path", "role"),
    ),
    "prune-job create": (("id",), {"id": _ID} | _PRUNE, ("id", "store", "schedule")),
    "verify-job create": (("id",), {"id": _ID} | _VERIFY, ("id", "store")),
}
_TAKEN: dict[str, Taken] = CREATED | {
    "datastore update": (("name",), {"name": _ID, _LISTED: Rule()} | _STORE, ("name",)),
    "prune-job update": (("id",), {"id": _ID, _LISTED: Rule()} | _PRUNE, ("id",)),
    "verify-job update": (("id",), {"id": _ID, _LISTED: Rule()} | _VERIFY, ("id",)),
    "garbage-collection start": (("store",), {"store": _ID} | _FORM, ("store",)),
    "user list-tokens": (("userid",), {"userid": _USERID} | _FORM, ("userid",)),
    "task list": ((), {"all": _TRUE, "limit": Rule("number", least=1, most=1000)} | _FORM, ()),
    "cert info": ((), {}, ()),
}


def parsed(line: str, words: tuple[str, ...]) -> Given:
    """The parameters of a call.

    Raises
    ------
    Refused
        They are not what it takes.
    """
    unnamed, rules, needed = _TAKEN.get(line, ((), _FORM, ()))
    found: Given = {}
    rest, places = iter(words), iter(unnamed)
    for word in rest:
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            value = value if equals else next(rest, "")
        else:
            name, value = next(places, ""), word
        if name not in rules:
            raise _wrong(name or word, "schema does not allow additional properties.")
        read = rules[name].value(name, value)
        if name == _LISTED and rules[name].kind == "text":
            found[name] = [*found.get(name, []), read]
        else:
            found[name] = read
    for name in needed:
        if name not in found:
            raise _wrong(name, "parameter is missing and it is not optional.")
    return found
