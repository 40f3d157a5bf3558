"""`init`: a small lab of one's own, to begin with."""

import argparse
import re
import shutil
from pathlib import Path

from homelab_lib import paths
from homelab_lib.errors import BadParameter
from homelab_lib.lab import load_lab


def init(arguments: argparse.Namespace) -> int:
    """Make a small lab of your own in a new folder: one machine, one switch, one VM."""
    folder = Path(arguments.folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadParameter("there is something already", where=str(folder), fix="name a new folder")
    name = _slug(arguments.name or folder.resolve().name)
    shutil.copytree(paths.data() / "examples" / "minipc", folder, dirs_exist_ok=True)
    for schema in paths.data().glob("*.schema.json"):
        shutil.copy(schema, folder / schema.name)  # an editor completes by it
    for file in folder.rglob("*.yaml"):
        text = file.read_text().replace("$schema=../../../", "$schema=../")
        text = text.replace("$schema=../../lab.schema", "$schema=lab.schema")
        file.write_text(re.sub(r"(?m)\Aname: .*$|^name: minipc$", f"name: {name}", text))
    lab = load_lab(folder)
    print(f"{folder}/lab.yaml describes {lab.title}, as lab {name}. Change it until it is yours:")
    print(f"  homelab check {folder}   says what is wrong, with file and line")
    print(f"  homelab audit {folder}   says what won't work, before you pay for it")
    print(f"  homelab plan {folder}    rehearses it on a twin, and shows every command")
    return 0


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")
    if not slug:
        raise BadParameter(f"{text!r} makes no name", fix="give one by --name")
    return slug
