"""What no API of OPNsense writes: by its own Config class, from the shell.

The class locks the configuration, keeps a backup of it, and tells the rest of the system, as a page
of its own would. Nothing is validated: that is left to whoever writes. So what stands there is
compared first, under the same lock, and one thing that is not as it was ends it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homelab_lib import answers
from homelab_lib.control import mark
from homelab_lib.control.opnsense.values import beside
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import Command, change, read

_SCRIPT = """<?php
require_once '/usr/local/opnsense/mvc/script/load_phalcon.php';
use OPNsense\\Core\\Config;

$was = {was};
$set = {set};
$config = Config::getInstance();
$config->lock();
foreach ($was as $path => $value) {
    $node = $config->object();
    foreach (explode('.', $path) as $name) {
        $node = $node === null || !isset($node->{$name}) ? null : $node->{$name};
    }
    if ((string)$node !== $value) {
        fwrite(STDERR, "$path is not what it was any more\\n");
        exit(1);
    }
}
foreach ($set as $path => $value) {
    $node = $config->object();
    foreach (explode('.', $path) as $name) {
        $node = isset($node->{$name}) ? $node->{$name} : $node->addChild($name);
    }
    $node[0] = $value;
}
$config->save(['description' => {description}]);
"""


@dataclass(frozen=True)
class ConfigValues:
    """Values in the configuration that are as we want them.

    Parameters
    ----------
    host, lab
        The firewall, and the lab it belongs to.
    title
        What they are, for people.
    wanted
        Values by their paths below the root, such as ``interfaces.opt1.descr``.
    lists
        Those of them that are lists, with what joins their parts: what somebody else has put into
        one is not taken out of it.
    nobodys
        What a firewall comes with in its lists.
    """

    host: str
    lab: str
    title: str
    wanted: Mapping[str, str]
    lists: Mapping[str, str] = field(default_factory=dict)
    nobodys: frozenset[str] = frozenset()
    timeout_s: float = 5.0

    @property
    def name(self) -> str:
        return self.title

    def observe(self, host: Host) -> dict[str, str]:
        sections = {path.partition(".")[0] for path in self.wanted}
        found = {}
        for section in sorted(sections):
            tree = configured(host, self._common(section))
            for path in self.wanted:
                if path.partition(".")[0] == section:
                    found[path] = _at(tree, path.removeprefix(self._common(section)))
        return {path: found[path] for path in sorted(found)}

    def _common(self, section: str) -> str:
        """The longest path that all values of a section are at or below: no more is looked at."""
        paths = [path.split(".") for path in self.wanted if path.partition(".")[0] == section]
        common = paths[0]
        for path in paths[1:]:
            same = [a == b for a, b in zip(common, path, strict=False)]
            common = common[: same.index(False) if False in same else len(same)]
        return ".".join(common)

    def diff(self, observed: Mapping[str, str]) -> Diff:
        differing = {path: value for path, value in self.wanted.items() if observed[path] != value}
        if not differing:
            return Diff()
        if theirs := self._taken(differing, observed):
            return Diff(conflict=theirs)
        before = {path: observed[path] for path in differing}
        said = [f"{path} {json.dumps(was)}" for path, was in before.items() if was]
        return Diff(
            (
                Change(
                    f"write {', '.join(differing)} by OPNsense's own Config class",
                    self._write(before, differing),
                    replaces=", ".join(said),
                    undo="by the backup that it makes: “Restore a backup” on the console",
                ),
            )
        )

    def _taken(self, differing: Mapping[str, str], observed: Mapping[str, str]) -> str:
        """What of somebody else's would be taken out of a list."""
        told = [
            f"{path} has {', '.join(theirs)}"
            for path, by in self.lists.items()
            if path in differing
            and (theirs := beside(observed[path], differing[path], by, self.nobodys))
        ]
        if not told:
            return ""
        return (
            f"{self.title}: {'; '.join(told)}, which the lab has not: write that into the lab, "
            "too, or take it out there by hand"
        )

    def _write(self, before: Mapping[str, str], values: Mapping[str, str]) -> Command:
        said = {
            "{was}": _array(before),
            "{set}": _array(values),
            "{description}": _text(mark.text(self.lab)),
        }
        script = _SCRIPT
        for place, php in said.items():
            script = script.replace(place, php)
        return change("/usr/local/bin/php", stdin=script)


def configured(host: Host, path: str) -> Any:
    """What the configuration has at a path: a mapping, or a text; an empty one for nothing."""
    words = ("pluginctl", "-g", path)
    said = host.read(*words).stdout.strip()
    if not said.startswith(("{", "[")):
        return said
    return answers.understood(said, host=host.name, line=read(*words).line)


def _at(tree: Any, path: str) -> str:
    for name in filter(None, path.split(".")):
        tree = tree.get(name, "") if isinstance(tree, dict) else ""
    return tree if isinstance(tree, str) else ""


def _array(values: Mapping[str, str]) -> str:
    """A mapping in PHP's words."""
    lines = [f"    {_text(key)} => {_text(value)},\n" for key, value in values.items()]
    return f"[\n{''.join(lines)}]"


def _text(value: str) -> str:
    """A text in PHP's words: between apostrophes nothing is looked for but these two."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
