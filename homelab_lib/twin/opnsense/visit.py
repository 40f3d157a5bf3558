"""One request to a controller: who asks, what with, and the configuration as it was then."""

import uuid
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.appliance import Release
from homelab_lib.twin.opnsense import php
from homelab_lib.twin.opnsense.firewall import OpnSense
from homelab_lib.twin.opnsense.models import MODELS
from homelab_lib.twin.opnsense.tree import Tree


class Visit:
    """What a controller has at hand.

    Parameters
    ----------
    firewall
        Whose.
    method
        ``GET`` or ``POST``.
    path
        As it was asked for, query and all: it is what a backup says of a change.
    query
        The query's parameters.
    post
        The body, as far as it is one.
    user, key
        Who asks, and the key that let him in.
    """

    def __init__(
        self,
        firewall: OpnSense,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        post: dict[str, Any],
        user: str,
        key: str = "",
    ) -> None:
        self.firewall = firewall
        self.method = method
        self.path = path
        self.post = post
        self.request = {**query, **post}
        self.user, self.key = user, key
        self.config: ET.Element = firewall.config.load()
        self._trees: dict[str, Tree] = {}

    @property
    def is_post(self) -> bool:
        return self.method == "POST"

    @property
    def release(self) -> Release:
        return self.firewall.release

    def text(self, name: str, default: str = "") -> str:
        """A parameter of body or query."""
        value = self.request.get(name, default)
        return default if isinstance(value, dict | list) else php.text_of(value)

    def number(self, name: str, default: int) -> int:
        """A parameter of body or query that is a number."""
        value = self.request.get(name)
        return default if value is None or isinstance(value, dict | list) else php.cast_int(value)

    def posted(self, name: str) -> dict[str, Any] | None:
        """An object in the body; None where there is no such thing, or it is no object."""
        return php.mapping(self.post.get(name))

    def has_post(self, name: str) -> bool:
        """Whether the body has something of that name."""
        return self.post.get(name) is not None

    def tree(self, model: str) -> Tree:
        """A model filled with what the configuration has; one for the whole visit."""
        if model not in self._trees:
            self._trees[model] = Tree(
                MODELS[model], self.config, self.firewall, self.new_uuid, self.tree
            )
        return self._trees[model]

    def new_uuid(self) -> str:
        """A name for a new row."""
        return str(uuid.UUID(int=self.firewall.rng.getrandbits(128), version=4))

    def save(self, description: str = "") -> str:
        """Write the configuration and leave a backup; its revision."""
        return self.firewall.config.save(
            self.config,
            by=f"{self.user}@127.0.0.1",
            description=description or f"{self.path} made changes",
            key=self.key,
        )
