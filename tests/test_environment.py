"""What the project says of its packages agrees with itself."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~\[ ]", requirement)[0].lower().replace("_", "-")


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_gets_the_same_packages_as_pip():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert conda["name"] == "homelab"
    listed = {each for each in conda["dependencies"] if _name(each) not in ("python", "pip")}
    assert listed == set(_project()["dependencies"])


def test_every_package_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {_name(line): line for line in lines}
    extras = _project()["optional-dependencies"].values()
    wanted = [*_project()["dependencies"], *(each for extra in extras for each in extra)]
    assert {_name(each) for each in wanted} <= pinned.keys()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)


def test_every_package_does_something():
    """Imported by the library, a notebook or a test, or run by the Makefile."""
    text = "\n".join(
        file.read_text(encoding="utf-8")
        for pattern in ("*_*/**/*.py", "*books/*.ipynb", "tests/**/*.py")
        for file in ROOT.glob(pattern)
    ) + (ROOT / "Makefile").read_text()  # fmt: skip
    modules = {"pyyaml": "yaml", "ipython": "IPython"}
    by_others = {"six", "pyarrow"}  # scrapbook's
    unused = [
        name
        for name in map(_name, _project()["dependencies"])
        if name not in by_others and not re.search(rf"\b{modules.get(name, name)}\b", text)
    ]
    assert unused == []
