"""`check`, `audit`, `draw`, `schema`, `gguf`: what is asked of a lab as it is described."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homelab_lib.cli.commands import takes_lab
from homelab_lib.cli.output import put
from homelab_lib.errors import HomelabError, LabError
from homelab_lib.printable import printable


def check(arguments: argparse.Namespace) -> int:
    """Load a lab and say what is in it, or what is wrong with it."""
    from homelab_lib.lab import load_lab
    from homelab_lib.lab.per_host import every
    from homelab_lib.recipes.phase import runbooks

    try:
        lab = load_lab(arguments.lab)
    except LabError as error:
        if not arguments.json:
            raise
        problems = error.problems or [error.what]
        told = {"lab": str(arguments.lab), "problems": problems}
        print(json.dumps(told, indent=1, ensure_ascii=False))
        return error.exit_status
    if arguments.json:
        print(json.dumps({"lab": lab.name, "problems": []}, indent=1, ensure_ascii=False))
        return 0
    counts = {"host": len(lab.hosts), "VM": len(lab.vms), "cable": len(lab.cables),
              "VLAN": len(lab.vlans), "pool": len(every(lab.pools))}  # fmt: skip
    told = ", ".join(f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items())
    print(f"{printable(lab.title)}: {told}. It hangs together.")
    try:
        names = ", ".join(book.name for book in runbooks(lab))
    except HomelabError:  # a lab may be there to be looked at alone
        print("Nothing in it carries a phase: no runbook makes anything of it yet.")
    else:
        print(f"Its runbooks, in their order: {names}.")
    return 0


def audit(arguments: argparse.Namespace) -> int:
    """Hold a lab against physics and data sheets; 1 when something fails."""
    from homelab_lib.audit import report
    from homelab_lib.audit.ledger import judge
    from homelab_lib.audit.run import findings
    from homelab_lib.lab import load_lab

    if arguments.apply:
        return _decide(Path(arguments.lab), arguments.apply)
    lab = load_lab(arguments.lab, decisions=not arguments.as_written)
    found = findings(lab)
    judged = judge(lab, found)
    show = {"table": report.as_table, "json": report.as_json, "markdown": report.as_markdown}
    print(printable(show[arguments.format](lab, found, judged)))
    able = [each.rule for each in found if each.fix and each.fix.changes]
    if able and arguments.format == "table":
        command = f"homelab audit {printable(str(arguments.lab))} --apply {able[0]}"
        print(f"\n{command}  writes its fix into the lab, as a decision")
    bad = any(f.severity == "stops" or f.refused for f in found)
    bad = bad or any(j.verdict == "fails" for j in judged)
    return 1 if bad else 0


def _decide(place: Path, rule: str) -> int:
    """Write the fix of a rule into a lab as a decision, and say what became of it."""
    from homelab_lib.audit.cure import cure
    from homelab_lib.audit.finding import Finding
    from homelab_lib.lab import load_lab
    from homelab_lib.lab.deciding import decide, in_line

    def tell(mark: str, findings: Sequence[Finding]) -> None:
        for each in findings:
            print(printable(f"{mark} {each.rule}: {each.subject}: {each.says}"))

    found = cure(load_lab(place), rule)
    file, _ = decide(place, found.decision)
    print(printable(f"Decided in {file}: {found.title}"))
    for path, value in found.changes:
        print(printable(f"  {path}: {'taken away' if value is None else in_line(value)}"))
    tell("✓", found.answered)
    tell("left:", found.left)
    tell("new:", found.new)
    return 0


def draw(arguments: argparse.Namespace) -> int:
    """Draw a lab's hosts, switches, cables and VMs as an SVG."""
    from homelab_lib.lab import load_lab
    from homelab_lib.views.topology import topology

    put(Path(arguments.output), topology(load_lab(arguments.lab)).document)
    return 0


def schema(arguments: argparse.Namespace) -> int:
    """Write the JSON Schemas beside a lab, for an editor's completion, or print its files' one."""
    from homelab_lib.lab.json_schema import schema as of
    from homelab_lib.lab.json_schema import write
    from homelab_lib.lab.lab import Lab
    from homelab_lib.lab.loader import load_catalog

    if arguments.lab is None:
        sys.stdout.write(of(Lab, load_catalog()))
        return 0
    folder = Path(arguments.lab)
    if not folder.is_dir():
        raise HomelabError("there is no such folder", where=str(folder), fix="name a lab's folder")
    try:
        files = write(folder, load_catalog(folder))
    except OSError as error:
        told = f"the schemas can't be written: {error.strerror}"
        raise HomelabError(told, where=str(error.filename or folder)) from None
    for file in files:
        print(file)
    return 0


def gguf(arguments: argparse.Namespace) -> int:
    """Say what a GGUF file is, and what it takes when it is run, by its header."""
    from homelab_lib.gguf.header import read_header
    from homelab_lib.gguf.takes import told

    try:
        lines = list(
            told(read_header(arguments.file), tokens=arguments.context, slots=arguments.slots)
        )
    except ValueError as error:
        raise HomelabError(f"what it takes can't be told: {error}", where=arguments.file) from None
    for line in lines:
        print(printable(line))
    return 0


def add_to(add: Any) -> None:
    """Give the command line these commands; `add` makes the parser of one from its function."""
    takes_lab(add(check)).add_argument("--json", action="store_true", help="for a machine to read")
    auditing = takes_lab(add(audit))
    auditing.add_argument(
        "--format", choices=("table", "json", "markdown"), default="table", help="how it is written"
    )
    auditing.add_argument("--as-written", action="store_true", help="leave the decisions out")
    auditing.add_argument(
        "--apply",
        metavar="RULE",
        help="write the fix of what a rule says into the lab, as a decision with its reason",
    )
    takes_lab(add(draw)).add_argument("-o", "--output", default="topology.svg", help="the file")
    add(schema).add_argument(
        "lab", nargs="?", help="a lab's folder: its own parts are offered, too (default: print)"
    )
    reading = add(gguf)
    reading.add_argument("file", help="the file; of a split model, the first one")
    reading.add_argument("--context", type=int, default=8192, help="tokens of one request")
    reading.add_argument("--slots", type=int, default=1, help="requests at once")
