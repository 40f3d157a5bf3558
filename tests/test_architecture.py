"""The arrows of the design: who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Container, Mapping
from functools import cache
from pathlib import Path

import networkx
import pytest

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "homelab_lib"

# Rooms, and the rooms that each may use. What is in BASE lies under all.
BASE = {
    "answers",
    "durable",
    "errors",
    "paths",
    "printable",
    "regular_file",
    "secret",
    "secret_forms",
    "secret_search",
    "units",
    "yaml_safe",
}
MAY_USE = {
    "models": {"models"},
    "lab": {"lab"},
    "transport": {"transport"},
    "runbook": {"runbook", "transport"},
    "control": {"control", "runbook", "transport"},
    "recipes": {"recipes", "control", "runbook", "wiring", "lab", "models"},
    "twin": {"twin", "wiring", "lab", "models"},
    "audit": {"audit", "wiring", "lab", "models"},
    "sweep": {"sweep", "wiring", "lab", "models"},
    "views": {"views", "runbook", "lab", "audit", "wiring", "models"},
    "wiring": {"wiring", "lab", "models"},
    "answers": set(),
    "units": set(),
    "errors": set(),
    "paths": set(),
    "secret": set(),
    "secret_forms": set(),
    "secret_search": set(),
    "yaml_safe": set(),
    "regular_file": set(),
    "printable": set(),
    "seal": set(),
    "durable": set(),
}


@cache
def _statements(file: Path) -> list[ast.Import | ast.ImportFrom]:
    """Every import in a file, wherever in it: in a function, for types only."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def _imports(file: Path) -> set[str]:
    """Top-level and dotted names of the modules that a file imports."""
    names = set()
    for node in _statements(file):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _files() -> list[tuple[str, Path]]:
    found = []
    for file in sorted(LIBRARY.rglob("*.py")):
        parts = file.relative_to(LIBRARY).parts
        found.append((parts[0].removesuffix(".py"), file))
    return found


def _rooms_used(file: Path) -> set[str]:
    return {
        name.split(".")[1] for name in _imports(file) if name.startswith("homelab_lib.")
    }  # fmt: skip


@pytest.mark.parametrize("room", sorted(MAY_USE))
def test_a_room_uses_only_those_below_it(room):
    allowed = MAY_USE[room] | BASE
    wrong = {
        str(file.relative_to(ROOT)): sorted(_rooms_used(file) - allowed)
        for name, file in _files()
        if name == room and _rooms_used(file) - allowed
    }
    assert wrong == {}


def test_only_what_serves_the_twin_and_what_runs_on_it_know_it():
    both = [file.stem for name, file in _files() if name != "twin" and "twin" in _rooms_used(file)]
    assert both == ["served", "twin"]


@pytest.mark.parametrize(
    ("package", "where"),
    [
        (
            "socket",
            {
                "transport/identities.py",
                "transport/login.py",
                "transport/proxy.py",
                "twin/server.py",
            },
        ),
        ("paramiko", {"transport", "twin/server.py", "twin/terminal.py"}),
        ("matplotlib", {"views"}),
        ("yaml", {"lab", "twin", "yaml_safe.py", "control/kubeconfig.py"}),
        ("subprocess", {"transport/programs.py", "transport/proxy.py"}),
    ],
)
def test_a_package_is_used_where_it_belongs_and_nowhere_else(package, where):
    users = {
        str(file.relative_to(LIBRARY))
        for _, file in _files()
        if any(name.split(".")[0] == package for name in _imports(file))
    }
    strangers = {u for u in users if u not in where and u.split("/")[0] not in where}
    assert strangers == set()


def _modules() -> dict[str, Path]:
    """Every module of the library by its dotted name; a package is its ``__init__``."""
    found = {}
    for file in sorted(LIBRARY.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def _imported_modules(file: Path, modules: Container[str]) -> set[str]:
    """The modules of ours that a file imports."""
    used = set()
    for node in _statements(file):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in named if name in modules}
            used |= known | ({node.module} if known != named else set())
    return {name for name in used if name in modules}


def _circles(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of modules each of which needs all others of its set."""
    graph = networkx.DiGraph([(a, b) for a, many in imports.items() for b in many])
    loops = [{node} for node in graph if graph.has_edge(node, node)]
    return [c for c in networkx.strongly_connected_components(graph) if len(c) > 1] + loops


def test_no_modules_import_each_other():
    modules = _modules()
    imports = {name: _imported_modules(file, modules) for name, file in modules.items()}
    assert [sorted(circle) for circle in _circles(imports)] == []


def test_the_rooms_of_the_twin_need_only_the_machine():
    modules = _modules()
    needs: dict[str, set[str]] = {}
    for name, file in modules.items():
        match name.split("."):
            case [_, "twin", room, _]:
                used = {tuple(other.split(".")) for other in _imported_modules(file, modules)}
                needs.setdefault(room, set()).update(
                    o[2] for o in used if o[1] == "twin" and len(o) == 4
                )
    wrong = {room: sorted(used - {room, "machine"}) for room, used in needs.items()}
    assert {room: used for room, used in wrong.items() if used} == {}


def test_a_circle_is_seen_wherever_the_import_hides(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    from b import x\n")
    (tmp_path / "b.py").write_text("if TYPE_CHECKING:\n    from c import x\n")
    (tmp_path / "c.py").write_text("import a\n")
    files = {name: tmp_path / f"{name}.py" for name in "abc"}
    imports = {name: _imported_modules(file, files) for name, file in files.items()}
    assert _circles(imports) == [{"a", "b", "c"}]


def test_no_module_is_too_long_to_be_read():
    long = {
        str(file.relative_to(ROOT)): count
        for _, file in _files()
        if (count := len(file.read_text(encoding="utf-8").splitlines())) > 450
    }
    assert long == {}


def test_importing_the_library_is_light():
    heavy = ("matplotlib", "pandas", "scipy", "paramiko", "networkx", "numpy")
    code = f"import sys, homelab_lib; print([m for m in {heavy} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
