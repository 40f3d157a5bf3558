"""Users and groups: `auth/user` and `auth/group`."""

import base64
import hashlib
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers import answers, mutable
from homelab_lib.twin.opnsense.controllers.answers import Answer
from homelab_lib.twin.opnsense.controllers.records import search_records
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.credentials import hashed, may_everything
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.nodes import Box
from homelab_lib.twin.opnsense.visit import Visit

_USER = ("Auth.User", "user", "user")
_GROUP = ("Auth.Group", "group", "group")
_KEY_BYTES = 60


def _name(visit: Visit, root: str) -> str:
    """What the document calls it; it has to say."""
    given = visit.posted(root)
    if given is None or "name" not in given or isinstance(given["name"], dict | list):
        raise Unexpected("the name is missing, or no text")
    return php.text_of(given["name"])


def _hook(visit: Visit) -> Any:
    """Put a user into his groups, and keep a hash of his password."""

    def before_save(user: Box) -> None:
        groups = visit.tree(_GROUP[0])
        mine, uid = user["group_memberships"].values, user["uid"].value
        for group in groups.at("group").rows():
            members, wanted = group["member"].values, group["gid"].value in mine
            if wanted is not (uid in members):
                others = [member for member in members if member != uid]
                group["member"].set(",".join([*others, uid] if wanted else others))
        groups.store()
        password, scrambled = user["password"], not user["scrambled_password"].is_empty
        if scrambled or (password.changed and not password.is_empty):
            if "\0" in password.value and not scrambled:
                raise Unexpected("no hash of a password with a nought in it")
            drawn = str(visit.firewall.rng.getrandbits(400))
            word = drawn if scrambled else password.value
            password.value = f"$2y$11${hashlib.sha256(word.encode()).hexdigest()[:53]}"
            user["pwd_changed_at"].set(f"{visit.firewall.world.clock.now():.4f}")

    return before_save


def _not_locked_out(visit: Visit) -> None:
    if not may_everything(visit.config, visit.user):
        raise Refused(f"User {visit.user} can not lock itself out", "Usermanager")


def add_user(visit: Visit) -> Answer:
    called = f'user "{_name(visit, "user")}" created'
    return mutable.add_row(visit, *_USER, before_save=_hook(visit), description=called)


def set_user(visit: Visit, uuid: str = "") -> Answer:
    called = f'user "{_name(visit, "user")}" changed'
    return mutable.set_row(visit, *_USER, uuid, before_save=_hook(visit), description=called)


def delete_user(visit: Visit, uuid: str) -> Answer:
    row = visit.tree(_USER[0]).at("user").get(uuid)
    if visit.is_post:
        if row is None:
            raise Unexpected("no such user")
        name = row["name"].value
        if row["scope"].value == "system":
            raise Refused(f"Not allowed to delete system user {name}", "Usermanager")
        if name == visit.user:
            raise Refused(f"Not allowed to remove logged in user {name}", "Usermanager")
    return mutable.delete_rows(visit, _USER[0], _USER[2], uuid)


def search_user(visit: Visit) -> Answer:
    answer = search_rows(visit, _USER[0], _USER[2])
    for row in answer["rows"]:
        admin = may_everything(visit.config, row["name"])
        row["is_admin"] = str(int(admin))
        row["shell_warning"] = str(int(row["shell"].startswith("/") and not admin))
    return answer


def add_key(visit: Visit, name: str) -> Answer:
    """A key and its secret, told once; what is kept is a hash."""
    tree = visit.tree(_USER[0])
    row = next((r for r in tree.at("user").rows() if r["name"].value == name), None)
    if not visit.is_post or row is None:
        return {"result": "failed"}
    key, secret = _drawn(visit), _drawn(visit)
    kept = [line for line in row["apikeys"].value.split("\n") if line]
    row["apikeys"].set("\n".join([*kept, f"{key}|{hashed(secret)}"]))
    answers.store(visit, tree)
    host, domain = (visit.config.findtext(f"system/{tag}") or "" for tag in ("hostname", "domain"))
    return {"result": "ok", "hostname": f"{host}.{domain}", "key": key, "secret": secret}


def _drawn(visit: Visit) -> str:
    return base64.b64encode(visit.firewall.rng.randbytes(_KEY_BYTES)).decode()


def search_keys(visit: Visit) -> Answer:
    found = [
        {"username": row["name"].value, "key": key, "id": base64.b64encode(key.encode()).decode()}
        for row in visit.tree(_USER[0]).at("user").rows()
        for line in row["apikeys"].value.split("\n")
        if (key := line.partition("|")[0])
    ]
    return search_records(visit, found)


def delete_key(visit: Visit, coded: str) -> Answer:
    if not visit.is_post:
        return {"result": "failed"}
    try:
        key = base64.b64decode(coded).decode()
    except ValueError:
        key = ""
    tree = visit.tree(_USER[0])
    for row in tree.at("user").rows():
        lines = [line for line in row["apikeys"].value.split("\n") if line]
        left = [line for line in lines if line.partition("|")[0] != key]
        if left != lines:
            row["apikeys"].value = "\n".join(left)
            answers.store(visit, tree)
            return {"result": "deleted"}
    return {"result": "not found"}


def _group_hook(visit: Visit) -> Any:
    def before_save(group: Box) -> None:
        visit.tree(_GROUP[0]).store()
        _not_locked_out(visit)

    return before_save


def add_group(visit: Visit) -> Answer:
    called = f'group "{_name(visit, "group")}" created'
    return mutable.add_row(visit, *_GROUP, before_save=_group_hook(visit), description=called)


def set_group(visit: Visit, uuid: str = "") -> Answer:
    called = f'group "{_name(visit, "group")}" changed'
    hook = _group_hook(visit)
    return mutable.set_row(visit, *_GROUP, uuid, before_save=hook, description=called)


def delete_group(visit: Visit, uuids: str) -> Answer:
    for uuid in uuids.split(",") if visit.is_post and not php.is_empty(uuids) else ():
        row = visit.tree(_GROUP[0]).at("group").get(uuid)
        if row is None:
            raise Unexpected("no such group")
        if row["scope"].value == "system":
            raise Refused(f"Not allowed to delete system group {row['name'].value}")
    return mutable.delete_rows(visit, _GROUP[0], _GROUP[2], uuids)


ENDPOINTS: dict[str, dict[str, Action]] = {
    "auth/user": {
        **mutable.rows(*_USER, ""),
        "search": search_user,
        "add": add_user,
        "set": set_user,
        "del": delete_user,
        "add_api_key": add_key,
        "search_api_key": search_keys,
        "del_api_key": delete_key,
    },
    "auth/group": {
        **mutable.rows(*_GROUP, ""),
        "add": add_group,
        "set": set_group,
        "del": delete_group,
    },
}
