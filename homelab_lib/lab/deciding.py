"""A decision written into a lab's own files: added to what stands there, and nothing else touched.

The text is added where the list of decisions ends, so that comments, order and spelling of all
that a person wrote stay as they are.
"""

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from homelab_lib import durable
from homelab_lib.errors import LabError
from homelab_lib.lab.document import scalar
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.loader import load_lab
from homelab_lib.yaml_safe import compose

_KEY = "decisions"
_FILE = "decisions.yaml"
_WIDTH = 96


def in_line(value: object) -> str:
    """A value as it may stand in a lab, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("...\n").strip()


def decide(place: Path, decision: Mapping[str, Any]) -> tuple[Path, Lab]:
    """Write a decision into a lab, unless the lab would not load with it.

    Parameters
    ----------
    place
        The lab's folder, or its single file.
    decision
        Keys and values as `homelab_lib.lab.project.Decision` has them, but for ``id``, which is
        made unlike all that are there.

    Returns
    -------
    tuple
        The file that it stands in now, and the lab as it is with it.

    Raises
    ------
    LabError
        The lab would be wrong with it, or its decisions are written so that nothing can be added;
        or the file can't be written, is a link to somebody else's, or was changed meanwhile.
    """
    known = {each.id for each in load_lab(place).decisions}
    numbers = (f"-{number}" if number > 1 else "" for number in range(1, len(known) + 2))
    wanted = str(decision["id"])
    entry = {**decision, "id": next(wanted + n for n in numbers if wanted + n not in known)}
    file, before, text = _with(place, entry)
    with tempfile.TemporaryDirectory(prefix="homelab-decide-") as folder:
        trial = Path(folder) / "lab"
        if place.is_file():
            trial.mkdir()
            if (place.parent / "catalog").is_dir():
                shutil.copytree(place.parent / "catalog", trial / "catalog")
        else:
            shutil.copytree(place, trial, ignore=_no_other_labs)
        (trial / file.name).write_bytes(text.encode())
        lab = load_lab(trial / file.name if place.is_file() else trial)
    _replace(file, before, text)
    return file, lab


def _replace(file: Path, before: str, text: str) -> None:
    """Put the text in the place of what was read, and of nothing else."""
    if file.is_symlink():
        raise LabError(
            f"it is a link to {file.resolve()}, which others may read, too; nothing was written",
            where=str(file),
            fix="put a file of the lab's own in its place, or name what it leads to",
        )
    if _read(file) != before:
        raise LabError(
            "it was changed meanwhile; nothing was written",
            where=str(file),
            fix="close it elsewhere, then run the same command again",
        )
    try:
        durable.replace(file, text)
    except OSError as error:
        raise LabError(f"it can't be written: {error.strerror}", where=str(file)) from None


def _read(file: Path) -> str:
    """A file's text, its ends of lines as they are; empty where there is none."""
    return file.read_bytes().decode() if file.exists() else ""


def _no_other_labs(folder: str, names: list[str]) -> set[str]:
    """What a trial does not need: all but a lab's own files and its catalog."""
    kept = (".yaml", ".yml")
    return {name for name in names if name != "catalog" and not name.endswith(kept)}


def _with(place: Path, entry: Mapping[str, Any]) -> tuple[Path, str, str]:
    """The file that the decision goes in, its text, and its text with it."""
    files = [place] if place.is_file() else sorted(place.glob("*.y*ml"))
    for file in files:
        text = _read(file)
        root = compose(text)
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value == _KEY:
                return file, text, _added(file, text, value, entry)
    file = place if place.is_file() else place / _FILE
    text, end = _read(file), _end(_read(file))
    gap = end if text else ""
    return file, text, f"{text.rstrip()}{gap}{gap}{_KEY}:{end}" + "".join(_lines(entry, 2, end))


def _end(text: str) -> str:
    """How its lines end."""
    return "\r\n" if "\r\n" in text else "\n"


def _added(file: Path, text: str, value: yaml.Node, entry: Mapping[str, Any]) -> str:
    lines, end = text.splitlines(keepends=True), _end(text)
    at, column = value.start_mark, value.start_mark.column
    if not value.value:  # nothing, or []
        row = lines[at.line]
        ends = value.end_mark.column if value.end_mark.line == at.line else len(row.rstrip("\r\n"))
        head = row[:column].rstrip()
        lines[at.line : at.line + 1] = [f"{head}{end}", *_lines(entry, 2, end)]
        if rest := row[ends:].strip():
            lines.insert(at.line, f"{rest}{end}")
        return "".join(lines)
    if getattr(value, "flow_style", False):
        raise LabError(
            "the lab's decisions stand in brackets, so that none can be added",
            where=f"{file}:{at.line + 1}",
            fix="write them as a list, one under the other:  decisions:\\n  - id: …",
        )
    last = min(value.end_mark.line, len(lines))
    while last > at.line + 1 and _between(lines[last - 1]):
        last -= 1
    if not lines[last - 1].endswith("\n"):
        lines[last - 1] += end
    return "".join([*lines[:last], end, *_lines(entry, column, end), *lines[last:]])


def _between(line: str) -> bool:
    """Whether a line belongs to what comes after: it is empty, or a comment at the margin."""
    return not line.strip() or line.startswith("#")


class _Dumper(yaml.SafeDumper):
    """Quotes what would be no text any more when it is read by YAML 1.2's rules, as we do."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = None if isinstance(scalar(value), str) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _lines(entry: Mapping[str, Any], column: int, end: str) -> Iterable[str]:
    written = yaml.dump(
        [_plain(entry)],
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH - column,
        line_break=end,
    )
    return [f"{' ' * column}{line}" if line.strip() else line for line in
            written.splitlines(keepends=True)]  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value
