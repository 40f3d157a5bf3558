"""What a PHP script of the appliance calls: functions, the configuration, users."""

import copy
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.program import Call
from homelab_lib.twin.opnsense.box import Box
from homelab_lib.twin.opnsense.config import whole, written
from homelab_lib.twin.opnsense.script_computing import Fatal, Leave
from homelab_lib.twin.opnsense.script_evaluation import Evaluation
from homelab_lib.twin.opnsense.script_objects import ApiKeys, ConfigObject, UserModel, Xml
from homelab_lib.twin.opnsense.script_values import FUNCTIONS, formatted, number, text

_INCLUDES = {
    *("script/load_phalcon.php", "config.inc", "util.inc", "interfaces.inc", "filter.inc"),
    *("system.inc", "auth.inc", "plugins.inc", "/usr/local/opnsense/mvc/script/load_phalcon.php"),
    *("legacy_bindings.inc", "/usr/local/etc/inc/config.inc"),
}
_INCLUDE_PATH = (
    "/usr/local/etc/inc:/usr/local/www:/usr/local/opnsense/mvc:/usr/local/opnsense/contrib:"
    "/usr/local/share/pear:/usr/local/share"
)
OURS = "twin: of PHP this twin knows what scripts with the Config class need; see script_calls\n"


@lru_cache(maxsize=128)
def _parsed(content: bytes) -> ET.Element:
    """A file as XML; a script asks for all backups each time, and these do not change."""
    return whole(ET.fromstring(content))


class Run(Evaluation):
    """One run of a script on a box.

    Parameters
    ----------
    box, call
        Where, and how `php` was called.
    name
        The script's own.
    words, stdin
        What it is given.
    """

    def __init__(self, box: Box, call: Call, name: str, words: list[str], stdin: bytes) -> None:
        super().__init__(name)
        self.box, self.call = box, call
        self.stdin = stdin.decode(errors="surrogateescape")
        shown = "Standard input code" if name.startswith("Standard") else name
        self.variables = {
            "argv": dict(enumerate([shown, *words])),
            "argc": len(words) + 1,
        }
        self.config: ConfigObject | None = None
        self.takes_s = 0.0

    def required(self, path: str, line: int) -> bool:
        if path in _INCLUDES:
            return True
        where = f"(include_path='{_INCLUDE_PATH}')"
        raise Fatal(f"Failed opening required '{path}' {where}", line)

    def called(self, name: str, given: list[Any], line: int) -> Any:
        plain = name.lstrip("\\").lower()
        if plain in self.script.functions:
            return self._own(plain, given)
        match plain, given:
            case "file_get_contents" | "stream_get_contents", ["php://stdin", *_]:
                taken, self.stdin = self.stdin, ""
                return taken
            case "fgets", ["php://stdin", *_]:
                first, mark, self.stdin = self.stdin.partition("\n")
                return first + mark if first or mark else False
            case "file_get_contents", [path, *_]:
                try:
                    found = self.box.files.read(self.call.path(text(path)), self.box.who(self.call))
                except FileError:
                    return False
                return found.decode(errors="surrogateescape")
            case "file_exists" | "is_file", [path]:
                return self.box.files.entry(self.call.path(text(path))) is not None
            case "filemtime", [path]:
                entry = self.box.files.entry(self.call.path(text(path)))
                return False if entry is None else int(entry.mtime_s)
            case "glob", [pattern]:
                return self._globbed(text(pattern))
            case "fwrite" | "fputs", ["php://stderr", what]:
                self.err += text(what)
                return len(text(what))
            case "fwrite" | "fputs", ["php://stdout", what]:
                self.out += text(what)
                return len(text(what))
            case "printf", [form, *values]:
                self.out += formatted(text(form), *values)
                return 0
            case "iterator_to_array", [Xml() as of, *_]:
                return dict(of.all())
            case "simplexml_load_file", [path, *_]:
                try:
                    found = self.box.files.read(self.call.path(text(path)), self.box.who(self.call))
                    return Xml(copy.deepcopy(_parsed(found)))
                except (FileError, ET.ParseError):
                    return False
            case "error_log", [*_]:
                return True
            case "time", []:
                return int(self.box.world.clock.now())
            case "sleep", [seconds]:
                self.takes_s += number(seconds)
                return 0
            case "set_error_handler" | "error_reporting" | "ini_set", [*_]:
                return None
        body = FUNCTIONS.get(plain)
        if body is None:
            self.err += OURS
            raise Fatal(f"Call to undefined function {name}()", line)
        try:
            return body(*given)
        except (AttributeError, TypeError):
            raise Fatal(f"{name}(): Argument of a wrong type", line, "TypeError") from None

    def _globbed(self, pattern: str) -> dict[int, str]:
        """Paths whose last part fits a pattern, in order."""
        folder, _, last = pattern.rpartition("/")
        try:
            names = self.box.files.listdir(self.call.path(folder), self.box.who(self.call))
        except FileError:
            return {}
        shown = [name for name in names if name[0] != "." or last[:1] == "."]
        return dict(enumerate(f"{folder}/{name}" for name in shown if fnmatchcase(name, last)))

    def _own(self, name: str, given: list[Any]) -> Any:
        parameters, body = self.script.functions[name]
        before = self.variables
        self.variables = {
            known: given[place]
            if place < len(given)
            else (self.value(default) if default is not None else None)
            for place, (known, default) in enumerate(parameters)
        }
        try:
            self.block(body)
        except Leave as left:
            if left.what != "return":
                raise
            return left.value
        finally:
            self.variables = before
        return None

    def _instance(self) -> ConfigObject:
        if self.config is None:
            self.config = ConfigObject(self.box, self.name)
        return self.config

    def static(self, name: str, method: str, line: int) -> Any:
        if name.rpartition("\\")[2] == "Config" and method == "getInstance":
            return self._instance()
        raise Fatal(f'Class "{name}" not found', line)

    def new(self, name: str, given: list[Any], line: int) -> Any:
        short = name.rpartition("\\")[2]
        if short == "User":
            return UserModel(self.box, self._instance())
        if short.endswith("Exception") or short == "Error":
            return {"message": given[0] if given else ""}
        raise Fatal(f'Class "{name}" not found', line)

    def method(self, of: Any, method: str, given: list[Any], line: int) -> Any:
        match of, method:
            case ConfigObject(), "lock":
                return of.lock()
            case ConfigObject(), "unlock":
                return of
            case ConfigObject(), "object":
                return of.root
            case ConfigObject(), "isValid":
                return True
            case ConfigObject(), "save":
                return of.save(given[0] if given else None)
            case Xml(), "children":
                return Xml(of.element)
            case Xml(), "addChild":
                return of.add(text(given[0]), text(given[1]) if len(given) > 1 else "")
            case Xml(), "getName":
                return of.name if of.element is None else of.element.tag
            case Xml(), "asXML":
                return written(of.made()).rstrip("\n") + "\n"
            case Xml(), "count":
                return len(list(of.children()))
            case Xml(), "__toString":
                return of.text
            case Xml(), "addAttribute":
                return of.made().set(text(given[0]), text(given[1]))
            case UserModel(), "getUserByName":
                return of.named(text(given[0]))
            case UserModel(), "serializeToConfig":
                return of.write()
            case ApiKeys(), "add":
                return of.add()
            case ApiKeys(), "all":
                return dict(enumerate(of.all()))
            case ApiKeys(), "del":
                return of.delete(text(given[0]))
            case dict(), "getMessage":
                return of.get("message", "")
            case None, _:
                raise Fatal(f"Call to a member function {method}() on null", line)
        self.err += OURS
        raise Fatal(f"Call to undefined method {type(of).__name__}::{method}()", line)
