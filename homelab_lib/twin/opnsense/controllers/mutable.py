"""What controllers of settings have in common: get, set, and add, change, delete, search rows."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.api import Action
from homelab_lib.twin.opnsense.controllers.answers import FAILED, Answer, store, validations
from homelab_lib.twin.opnsense.controllers.searching import search_rows
from homelab_lib.twin.opnsense.errors import Refused, Unexpected
from homelab_lib.twin.opnsense.nodes import Box, Rows
from homelab_lib.twin.opnsense.tree import Tree
from homelab_lib.twin.opnsense.uses import throw_in_use
from homelab_lib.twin.opnsense.visit import Visit

Overlay = Mapping[str, Any] | None
"""What is written over what the body says."""
Hook = Callable[[Box], None]
"""Is given the row before it is saved."""
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def get_model(visit: Visit, model: str, root: str) -> Answer:
    """All of a model."""
    return {root: visit.tree(model).root.nodes()} if visit.method == "GET" else {}


def set_model(
    visit: Visit, model: str, root: str, before_save: Callable[[Tree], None] | None = None
) -> Answer:
    """Take over what the body says of a model; of what it doesn't know it takes no notice."""
    if not visit.is_post:
        return dict(FAILED)
    tree = visit.tree(model)
    tree.root.set(visit.posted(root))
    wrong = validations(tree.messages(), None, root)
    if wrong:
        return wrong
    if before_save:
        before_save(tree)
    store(visit, tree)
    return {"result": "saved"}


def get_row(visit: Visit, model: str, root: str, path: str, uuid: str = "") -> Answer:
    """A row; a new one where none is named."""
    rows = visit.tree(model).at(path)
    row = rows.get(uuid) if uuid else rows.add()
    return {root: row.nodes()} if row is not None else {}


def add_row(
    visit: Visit,
    model: str,
    root: str,
    path: str,
    overlay: Overlay = None,
    before_save: Hook | None = None,
    description: str = "",
) -> Answer:
    """Add a row."""
    if not visit.is_post or not visit.has_post(root):
        return dict(FAILED)
    tree = visit.tree(model)
    row = tree.at(path).add()
    wrong = _written(visit, tree, row, root, overlay, before_save, description, full=False)
    return wrong or {"result": "saved", "uuid": row.uuid}


def set_row(
    visit: Visit,
    model: str,
    root: str,
    path: str,
    uuid: str,
    overlay: Overlay = None,
    before_save: Hook | None = None,
    description: str = "",
) -> Answer:
    """Change a row; one that is not there is made, where its name is a proper one."""
    if not visit.is_post or not visit.has_post(root):
        return dict(FAILED)
    tree = visit.tree(model)
    rows: Rows = tree.at(path)
    row = rows.get(uuid)
    if row is None:
        if not is_uuid(uuid):
            return dict(FAILED)
        row = rows.add()
        rows.rename(row, uuid)
    wrong = _written(visit, tree, row, root, overlay, before_save, description, full=True)
    return wrong or {"result": "saved"}


def _written(
    visit: Visit,
    tree: Tree,
    row: Box,
    root: str,
    overlay: Overlay,
    before_save: Hook | None,
    description: str,
    *,
    full: bool,
) -> Answer:
    """Write what the body says into a row and save that; what is wrong with it, else nothing."""
    row.set(visit.posted(root))
    row.set(overlay)
    wrong = validations(tree.messages(full=full), row, root)
    if wrong:
        return wrong
    if before_save:
        before_save(row)
    store(visit, tree, description)
    return {}


def is_uuid(text: str) -> bool:
    """Whether it is one of the fourth kind, in small letters."""
    return _UUID.fullmatch(text) is not None


def delete_rows(
    visit: Visit, model: str, path: str, uuids: str, *, unless_used: bool = False
) -> Answer:
    """Delete rows, one or a list with commas.

    Parameters
    ----------
    visit, model, path, uuids
        Which.
    unless_used
        Whether something that names one keeps it.
    """
    answer: Answer = dict(FAILED)
    if not visit.is_post:
        return answer
    tree = visit.tree(model)
    rows: Rows = tree.at(path)
    changed = False
    for uuid in uuids.split(",") if not php.is_empty(uuids) else ():
        if unless_used:
            row = rows.get(uuid)
            name = next(filter(None, map(row.text, ("description", "descr", "name"))), uuid) \
                if row else uuid  # fmt: skip
            throw_in_use(visit.config, uuid, title=f"Item {path} {{{name}}} in use by:")
        deleted = rows.delete(uuid)
        changed = changed or deleted
        answer["result"] = "deleted" if deleted else "not found"
    if changed:
        store(visit, tree)
    return answer


def toggle_rows(visit: Visit, model: str, path: str, uuids: str, enabled: str = "") -> Answer:
    """Switch rows on (1) or off (0); one of them to the other where neither is said."""
    answer: Answer = dict(FAILED)
    if not visit.is_post:
        return answer
    tree = visit.tree(model)
    rows: Rows = tree.at(path)
    names = uuids.split(",") if not php.is_empty(uuids) else []
    if len(names) > 1 and not enabled:
        raise Refused(
            "Toggle with a list of items in only supported for explicit actions [0,1]", "Toggle"
        )
    for name in names:
        row = rows.get(name)
        if row is None:
            continue
        if "enabled" not in row:
            raise Unexpected(f"enabled not an attribute of {row.ref}")
        switch = row["enabled"]
        answer["changed"] = True
        if enabled in ("0", "1"):
            answer["result"] = "Enabled" if enabled == "1" else "Disabled"
            answer["changed"] = switch.text != enabled
            switch.set(enabled)
        elif enabled:
            answer["changed"] = False
            break
        else:
            on = switch.text == "1"
            answer["result"] = "Disabled" if on else "Enabled"
            switch.set("0" if on else "1")
    if "changed" not in answer:
        raise Unexpected("no such row")
    if answer["changed"]:
        store(visit, tree)
    return answer


def rows(
    model: str,
    root: str,
    path: str,
    noun: str = "item",
    *,
    toggles: bool = False,
    unless_used: bool = False,
    finds: str = "",
    sort: str = "",
    fields: Iterable[str] = (),
) -> dict[str, Action]:
    """The usual actions on a table.

    Parameters
    ----------
    model, root, path
        Which table, and what a row is called in a request.
    noun
        What it is called in the actions: ``item`` for ``addItem``; empty for plain ``add``.
    toggles
        Whether its rows can be switched on and off.
    unless_used
        Whether a row stays that something else names.
    finds
        What the rows are called in the action that searches them, if otherwise than one.
    sort, fields
        The column that they are sorted by where nobody says, and those that are searched; all.
    """
    tail = f"_{noun}" if noun else ""

    def search(visit: Visit) -> Answer:
        return search_rows(visit, model, path, fields, sort)

    def get(visit: Visit, uuid: str = "") -> Answer:
        return get_row(visit, model, root, path, uuid)

    def add(visit: Visit) -> Answer:
        return add_row(visit, model, root, path)

    def change(visit: Visit, uuid: str) -> Answer:
        return set_row(visit, model, root, path, uuid)

    def delete(visit: Visit, uuid: str) -> Answer:
        return delete_rows(visit, model, path, uuid, unless_used=unless_used)

    def toggle(visit: Visit, uuid: str, enabled: str = "") -> Answer:
        return toggle_rows(visit, model, path, uuid, enabled)

    found: dict[str, Action] = {
        f"search_{finds}" if finds else f"search{tail}": search,
        f"get{tail}": get,
        f"add{tail}": add,
        f"set{tail}": change,
        f"del{tail}": delete,
    }
    return found | ({f"toggle{tail}": toggle} if toggles else {})


def settings(
    model: str, root: str, before_save: Callable[[Tree], None] | None = None
) -> dict[str, Action]:
    """The usual actions on a whole model."""

    def get(visit: Visit) -> Answer:
        return get_model(visit, model, root)

    def change(visit: Visit) -> Answer:
        return set_model(visit, model, root, before_save)

    return {"get": get, "set": change}
