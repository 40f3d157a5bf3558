"""`init`: a lab of one's own, to begin with, beside which its schemas lie."""

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.errors import BadParameter

_EXPLAINED = "home"
"""The example whose catalog/parts.yaml says how a part of one's own is written."""


def examples() -> list[str]:
    """The labs that one of one's own may begin as."""
    return sorted(each.name for each in (paths.data() / "examples").iterdir() if each.is_dir())


def init(arguments: argparse.Namespace) -> int:
    """Make a lab of your own in a new folder: a small one, or like the example that you name."""
    from homelab_lib.lab import load_lab
    from homelab_lib.lab.json_schema import write
    from homelab_lib.lab.loader import load_catalog
    from homelab_lib.lab.near import near
    from homelab_lib.recipes.phase import possible

    folder = Path(arguments.folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadParameter("there is something already", where=str(folder), fix="name a new folder")
    if arguments.like not in examples():
        raise BadParameter(
            f"no example is called {arguments.like!r}{near(arguments.like, examples())}",
            fix=f"one of: {', '.join(examples())}",
        )
    name = _slug(arguments.name or folder.resolve().name)
    _copy(arguments.like, folder, name)
    write(folder, load_catalog(folder))
    lab = load_lab(folder)
    print(f"{folder}/lab.yaml describes {lab.title}, as lab {name}. Change it until it is yours;")
    print(f"{folder}/catalog/parts.yaml is for parts that the shipped catalog doesn't know.")
    print(f"  homelab check {folder}    says what is wrong, with file and line")
    print(f"  homelab audit {folder}    says what won't work, before you pay for it")
    for each in possible(lab):
        print(f"  homelab plan {folder} {each.name}   rehearses it on a twin; nothing is sent")
    print(f"  homelab schema {folder}   has your editor offer your own parts, too")
    return 0


def add_to(add: Any) -> None:
    """Give the command line this command; `add` makes its parser from the function."""
    command: argparse.ArgumentParser = add(init)
    command.add_argument("folder", help="a new folder")
    command.add_argument("--name", default="", help="the lab's name (default: the folder's)")
    command.add_argument(
        "--like",
        default="minipc",
        metavar="EXAMPLE",
        help=f"what it begins as: {', '.join(examples())} (default: minipc)",
    )


def _copy(example: str, folder: Path, name: str) -> None:
    """The example's files, under the lab's own name, asking for the schemas beside them."""
    shipped = paths.data() / "examples"
    shutil.copytree(shipped / example, folder, dirs_exist_ok=True)
    parts = folder / "catalog" / "parts.yaml"
    if not parts.exists():
        parts.parent.mkdir(exist_ok=True)
        shutil.copy(shipped / _EXPLAINED / "catalog" / "parts.yaml", parts)
    for file in folder.rglob("*.yaml"):
        text = file.read_text(encoding="utf-8").replace("$schema=../../", "$schema=")
        if file.parent == folder:
            text = re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1)
        file.write_text(text, encoding="utf-8")


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    if not slug:
        raise BadParameter(f"{text!r} makes no name", fix="give one by --name")
    return slug
