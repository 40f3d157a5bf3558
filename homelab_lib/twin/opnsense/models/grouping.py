"""Categories of rules, and groups of interfaces."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.fields.base import Field, Leaf
from homelab_lib.twin.opnsense.fields.choices import Interface
from homelab_lib.twin.opnsense.fields.constraints import Unique
from homelab_lib.twin.opnsense.fields.numbers import Boolean, Integer
from homelab_lib.twin.opnsense.fields.texts import Description, Text
from homelab_lib.twin.opnsense.model import Model, Section, Table
from homelab_lib.twin.opnsense.models.alias import services


@dataclass(frozen=True, kw_only=True)
class _GroupName(Field):
    """What a group of interfaces is called."""

    def judged(self, leaf: Leaf) -> Iterator[str]:
        value = leaf.value
        if re.search(r"[^a-zA-Z0-9_]", value):
            yield "Only letters, digits and underscores are allowed as the group name."
        if not php.is_empty(value) and len(value.encode()) > 15:
            yield "The group name shall not be longer than 15 characters."
        if re.search(r"^[0-9]|[0-9]\n?$", value, re.ASCII):
            yield "The group name shall not start or end with a digit."
        found = leaf.tree.config.find(value) if re.fullmatch(r"\w+", value) else None
        if found is not None and (len(found) or not php.is_empty(found.text or "")):
            yield (
                "The specified group name is already used by an interface. Please choose another "
                "name."
            )


CATEGORY = Model(
    "Firewall.Category",
    "//OPNsense/Firewall/Category",
    {
        "categories": Section(
            {
                "category": Table(
                    {
                        "name": Text(
                            required=True,
                            mask="/[^,]+/",
                            constraints={
                                "one": Unique("A category with this name already exists.")
                            },
                        ),
                        "auto": Boolean(),
                        "color": Text(
                            mask="/^([0-9a-fA-F]){6,6}$/u",
                            message="A valid color code consists of 6 hex digits.",
                        ),
                    }
                ),
            }
        ),
    },
    version="1.0.0",
    title="Firewall categories",
)

GROUP = Model(
    "Firewall.Group",
    "/ifgroups",
    {
        "ifgroupentry": Table(
            {
                "ifname": _GroupName(
                    required=True, constraints={"one": Unique("Group name already exists.")}
                ),
                "members": Interface(required=True, multiple=True),
                "nogroup": Boolean(),
                "sequence": Integer(
                    0,
                    9999,
                    message="Provide a valid sequence number for sorting.",
                    required=True,
                    default="0",
                ),
                "descr": Description(),
            },
            fixed=services,
        ),
    },
    version="1.0.0",
    title="Firewall interface groups",
)
