"""Samba's settings, as its own reader takes them.

Source: smb.conf(5), and Samba 4.17 run (tests/real): capitals in names do not count, nor do spaces
in those of parameters; two sections of one name are one, and what follows an ``include`` belongs to
the last section of the file that it names.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_TRUE, _FALSE = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
_GLOBAL = "global"
_WITHOUT_PATH = (_GLOBAL, "homes", "printers")

_FLAGS = {
    "browseable": "yes", "guest ok": "no", "inherit permissions": "no", "map archive": "yes",
    "obey pam restrictions": "no", "pam password change": "no", "printable": "no",
    "read only": "yes", "unix password sync": "no", "usershare allow guests": "no",
}  # fmt: skip
_MODES = {"create mask": "0744", "directory mask": "0755", "force create mode": "0000",
          "force directory mode": "0000"}  # fmt: skip
_LISTS = ("invalid users", "read list", "valid users", "write list")
_TEXTS = {
    "comment": "", "include": "", "log file": "", "logging": "", "map to guest": "Never",
    "max log size": "5000", "panic action": "", "passwd chat": "", "passwd program": "",
    "path": "", "server role": "auto", "workgroup": "WORKGROUP",
}  # fmt: skip
_WORDS = {"map to guest": ("Never", "Bad User", "Bad Password", "Bad Uid")}
_SAME = {
    "browsable": "browseable", "public": "guest ok", "directory": "path", "printok": "printable",
    "createmode": "create mask", "directorymode": "directory mask",
}  # fmt: skip
_TURNED = ("writable", "writeable", "writeok")
_KNOWN = {
    re.sub(r"\s", "", name): name for name in (*_FLAGS, *_MODES, *_LISTS, *_TEXTS)
} | _SAME  # fmt: skip
_GLOBAL_ONLY_LINE = "\tidmap config * : backend = tdb\n"


class UnreadableSettings(Exception):
    """They can't be read; what Samba says of that."""


@dataclass
class Section:
    """A share, or what holds for all."""

    name: str
    values: dict[str, str] = field(default_factory=dict)


class Settings:
    """Sections by their names, in the order in which they came."""

    def __init__(self) -> None:
        self.sections: dict[str, Section] = {_GLOBAL: Section(_GLOBAL)}
        self.complaints = ""
        self._in = self.sections[_GLOBAL]

    @classmethod
    def of(cls, path: str, read: Callable[[str], str | None]) -> "Settings":
        """Those of a file and what it includes.

        Parameters
        ----------
        path, read
            The file, and what gives a file's text; None where there is none.

        Raises
        ------
        UnreadableSettings
            It is not there, or makes no sense.
        """
        text = read(path)
        if text is None:
            raise UnreadableSettings("")
        found = cls()
        found._take(text, read)
        for key, section in found.sections.items():
            if key not in _WITHOUT_PATH and not section.values.get("path"):
                section.values["available"] = "No"
                what = f"WARNING: No path in service {section.name} - making it unavailable!"
                also = f"NOTE: Service {section.name} is flagged unavailable."
                found.complaints += f"{what}\n{also}\n"
        return found

    def _take(self, text: str, read: Callable[[str], str | None]) -> None:
        for line in re.sub(r"\\[ \t]*\n", "", text).splitlines():
            line = line.strip()
            if not line or line[0] in "#;":
                continue
            if line[0] == "[":
                name, end, _ = line[1:].partition("]")
                if not end or not name.strip():
                    raise UnreadableSettings(self.complaints)
                self._in = self.sections.setdefault(_same(name), Section(name))
                continue
            name, equals, value = line.partition("=")
            if equals:
                self._put(name, value.strip(), read)

    def _put(self, written: str, value: str, read: Callable[[str], str | None]) -> None:
        name = re.sub(r"\s", "", written).lower()
        if name in _TURNED:
            name, value = "readonly", "no" if _flag(value, self.complaints) else "yes"
        known = _KNOWN.get(name)
        if known is None:
            called = written.strip()
            self.complaints += f'Unknown parameter encountered: "{called}"\n'
            self.complaints += f'Ignoring unknown parameter "{called}"\n'
            return
        if known in _FLAGS:
            value = "Yes" if _flag(value, self.complaints) else "No"
        elif known in _MODES:
            value = f"0{int(value, 8):o}".zfill(4)
        elif known in _LISTS:
            value = " ".join(re.split(r"[\s,;]+", value))
        elif known in _WORDS:
            value = next((w for w in _WORDS[known] if w.lower() == value.lower()), value)
        self._in.values[known] = value
        if known == "include" and (text := read(value)) is not None:
            self._take(text, read)

    def shown(self) -> str:
        """As `testparm` prints them: what is not as it is anyway."""
        out = "# Global parameters\n"
        for key, section in self.sections.items():
            rows = sorted(section.values.items())
            told = [f"\t{name} = {value}\n" for name, value in rows if not _is_default(name, value)]
            out += f"[{section.name}]\n{''.join(told)}"
            out += _GLOBAL_ONLY_LINE if key == _GLOBAL else ""
            out += "\n\n"
        return out.removesuffix("\n\n")

    def seen(self) -> Iterator[tuple[str, str]]:
        """Name and comment of each share that a client is shown."""
        for key, section in self.sections.items():
            if (
                key not in _WITHOUT_PATH
                and "available" not in section.values
                and section.values.get("browseable", "Yes") == "Yes"
            ):
                yield section.name, section.values.get("comment", "")

    def homes_comment(self) -> str | None:
        """That of everybody's own share; None where there are none."""
        homes = self.sections.get("homes")
        return None if homes is None else homes.values.get("comment", "")


def _same(name: str) -> str:
    return name.casefold()


def _flag(value: str, said: str) -> bool:
    if value.lower() not in (*_TRUE, *_FALSE):
        what = f"set_variable_helper({value}): value is not boolean!\n"
        raise UnreadableSettings(f"{said}{what}")
    return value.lower() in _TRUE


def _is_default(name: str, value: str) -> bool:
    default = _FLAGS.get(name, _MODES.get(name, _TEXTS.get(name, "")))
    return value.lower() == default.lower()
