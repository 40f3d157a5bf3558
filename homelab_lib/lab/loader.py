"""Reads a lab from its folder, and says everything that is wrong with it at once."""

from pathlib import Path

from homelab_lib import paths
from homelab_lib.errors import LabError
from homelab_lib.lab.catalog import Catalog
from homelab_lib.lab.checks import catalog_faults, lab_faults
from homelab_lib.lab.decided import decided
from homelab_lib.lab.document import Node, Problem, merged
from homelab_lib.lab.lab import Lab
from homelab_lib.lab.moved import as_now
from homelab_lib.lab.reading import MANY, read_as


def load_lab(path: str | Path | None = None, *, decisions: bool = True) -> Lab:
    """The lab that a folder describes.

    Parameters
    ----------
    path
        A folder whose ``*.yaml`` files together are the description (each top-level key stands in
        one of them), or a single file. Parts come from the shipped catalog, and from the
        ``catalog/`` folder beside the files. None: the shipped lab.
    decisions
        Whether the description's decisions are carried out. False gives the design as written.

    Raises
    ------
    LabError
        The description is wrong; ``problems`` has every mistake with file, line and path.
    """
    place = paths.data() if path is None else _place(path)
    files, own_parts = _files(place)
    parts, problems = _parts(own_parts)
    root, found = merged(files, depth=1)
    problems += found
    if parts is None or root is None:
        raise _error(place, problems)
    root, found = as_now(root)
    problems += found
    if decisions:
        root, found = decided(root)
        problems += found
    lab, found = _read(parts, root)
    problems += found
    if lab is None or problems:
        raise _error(place, problems)
    return lab


def load_catalog(path: str | Path | None = None) -> Catalog:
    """The parts that a lab may name: the shipped ones, and those in its own ``catalog/``.

    Parameters
    ----------
    path
        The lab's folder, or its single file. None: the shipped catalog.

    Raises
    ------
    LabError
        A part is described wrongly.
    """
    place = paths.data() if path is None else _place(path)
    parts, problems = _parts((place.parent if place.is_file() else place) / "catalog")
    if parts is None:
        raise _error(place, problems)
    catalog = read_as(Catalog, parts)
    problems += catalog.problems
    if catalog.value is None or problems:
        raise _error(place, problems)
    return catalog.value


def _place(path: str | Path) -> Path:
    """Where a lab is; a notebook in its own folder means the same by it as a command outside."""
    place = paths.locate(str(path))
    return place if place.exists() else Path(path)


def _files(place: Path) -> tuple[list[Path], Path]:
    """The YAML files of a lab, and the folder of its own parts."""
    if place.is_file():
        return [place], place.parent / "catalog"
    if not place.is_dir():
        raise LabError("there is no such lab", where=str(place), fix="name a folder with *.yaml")
    files = _yaml_files(place)
    if not files:
        fix = "homelab init FOLDER makes a small one to begin with"
        raise LabError("no *.yaml in this folder", where=str(place), fix=fix)
    return files, place / "catalog"


def _parts(own: Path) -> tuple[Node | None, list[Problem]]:
    """The shipped catalog with the lab's own parts; of two of one name, its own counts."""
    shipped = paths.data() / "catalog"
    parts, problems = merged(_yaml_files(own), depth=2)
    if own.resolve() == shipped.resolve():
        return parts, problems
    stock, found = merged(_yaml_files(shipped), depth=2)
    if parts is None or stock is None:  # what the lab refers to would seem not to be there
        return None, problems + found
    kinds = dict(stock.value)
    for kind, mine in parts.value.items():
        theirs = kinds.get(kind)
        if theirs is not None and isinstance(mine.value, dict):
            kinds[kind] = Node(theirs.value | mine.value, mine.where)
        else:
            kinds[kind] = mine
    return Node(kinds, parts.where), problems + found


def _yaml_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))


def _read(parts: Node, root: Node) -> tuple[Lab | None, list[Problem]]:
    """The lab without what is wrong in it, and that."""
    catalog = read_as(Catalog, parts)
    if catalog.value is None:
        return None, catalog.problems
    problems = catalog.problems + catalog.contradictions(catalog_faults(catalog.value))
    broken = frozenset(str(path[1]) for path in catalog.lost if len(path) == 2)
    lab = read_as(Lab, root, context={"catalog": catalog.value}, broken=broken)
    problems += lab.problems
    if lab.value is not None:
        problems += lab.contradictions(lab_faults(lab.value))
    return lab.value, problems


def _error(place: Path, problems: list[Problem]) -> LabError:
    found = [str(problem) for problem in sorted(problems, key=_by_line)]
    count = sum(problem.count for problem in problems)
    many = "one mistake" if count == 1 else f"{count} mistakes"
    if count > MANY:
        many += f"; here are the first {MANY}"
    return LabError(f"the lab's description has {many}", problems=found[:MANY], where=str(place))


def _by_line(problem: Problem) -> tuple[str, int]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line)) if line.isdecimal() else (problem.where, 0)
