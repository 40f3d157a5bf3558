"""The command line: `homelab …`, or `python -m homelab_lib …`."""

import argparse
import gc
import json
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

from homelab_lib import paths
from homelab_lib.cli import completion, guide, kept, runs
from homelab_lib.cli.start import examples, init
from homelab_lib.errors import HomelabError, LabError
from homelab_lib.printable import printable


def check(arguments: argparse.Namespace) -> int:
    """Load a lab and say what is in it, or what is wrong with it."""
    from homelab_lib.lab import load_lab
    from homelab_lib.lab.per_host import every

    try:
        lab = load_lab(arguments.lab)
    except LabError as error:
        if not arguments.json:
            raise
        print(_json({"lab": str(arguments.lab), "problems": error.problems or [error.what]}))
        return error.exit_status
    if arguments.json:
        print(_json({"lab": lab.name, "problems": []}))
        return 0
    print(
        f"{printable(lab.title)}: {len(lab.hosts)} hosts, {len(lab.vms)} VMs, "
        f"{len(lab.cables)} cables, {len(lab.vlans)} VLANs, {len(every(lab.pools))} pools. "
        "It hangs together."
    )
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
    bad = any(f.severity == "stops" or f.refused for f in found)
    bad = bad or any(j.verdict == "fails" for j in judged)
    return 1 if bad else 0


def _decide(place: Path, rule: str) -> int:
    """Write the fix of a rule into a lab as a decision, and say what became of it."""
    from homelab_lib.audit.cure import cure
    from homelab_lib.audit.finding import Finding
    from homelab_lib.lab import load_lab
    from homelab_lib.lab.deciding import decide

    def tell(mark: str, findings: Sequence[Finding]) -> None:
        for each in findings:
            print(printable(f"{mark} {each.rule}: {each.subject}: {each.says}"))

    found = cure(load_lab(place), rule)
    file, _ = decide(place, found.decision)
    print(printable(f"Decided in {file}: {found.title}"))
    for path, value in found.changes:
        print(printable(f"  {path}: {value if value is not None else 'taken away'}"))
    tell("✓", found.answered)
    tell("left:", found.left)
    tell("new:", found.new)
    return 0


def twin(arguments: argparse.Namespace) -> int:
    """Serve a twin of a lab until interrupted; prints how to reach it with `ssh`."""
    from homelab_lib.lab import load_lab
    from homelab_lib.target.served import serve_twin

    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="homelab-twin-")).resolve()
    with serve_twin(
        load_lab(arguments.lab),
        folder,
        before_phase=arguments.before_phase,
        speed=arguments.speed,
        base_port=arguments.base_port,
        seed=arguments.seed,
        surprises=[each.partition("@")[::2] for each in arguments.surprise],
    ) as served:
        print(f"# A twin of {served.lab}; Ctrl-C ends it. In another terminal:")
        print(f"#   ssh -F {folder}/ssh_config {next(iter(served.names))}")
        lab = shlex.quote(str(arguments.lab))
        print(f"#   python -m homelab_lib runbook {lab} {arguments.before_phase} -o PHASE.ipynb")
        print(
            f"#   papermill --engine runbook PHASE.ipynb OUT.ipynb -p target ssh "
            f"-p mode plan -p ssh_config {folder}/ssh_config"
        )
        print((folder / "ssh_config").read_text(), flush=True)
        served.wait()
    return 0


def record(arguments: argparse.Namespace) -> int:
    """Check a run's record against itself, offline."""
    from homelab_lib.runbook.proof import check as problems

    folder = kept.record_of(arguments.record)
    found = list(problems(folder))
    if arguments.json:
        print(_json({"record": folder.name, "problems": found}))
        return 1 if found else 0
    for problem in found:
        print(f"✕ {printable(problem)}")
    if not found:
        print("✓ whole: the chain holds, the plan is the one approved, nothing else was sent")
    return 1 if found else 0


def report(arguments: argparse.Namespace) -> int:
    """Make a record's page and timeline again, and say where they lie."""
    from homelab_lib.views.report import write_report

    folder = kept.record_of(arguments.record) if arguments.record else _newest_record()
    if not (folder / "summary.json").exists():
        raise HomelabError(
            "there is no summary there: the run did not end",
            where=str(folder),
            fix="run the same command again; it goes on where it stopped",
        )
    print(f"Report: {paths.shown(write_report(folder).resolve())}")
    return 0


def _json(document: dict[str, object]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False)


def house(arguments: argparse.Namespace) -> int:
    """Make the page of a lab's house from the records of its runs, and say where it lies."""
    from homelab_lib.house_page import write
    from homelab_lib.lab import load_lab

    print(f"Page: {paths.shown(write(load_lab(arguments.lab)).resolve())}")
    return 0


def _newest_record() -> Path:
    """The record of the run that was begun last, however it ended; never one of before it."""
    begun = sorted(paths.reports().glob("*/journal.jsonl"), key=lambda file: _begun(file))
    if not begun:
        raise HomelabError("there is no record yet", where=str(paths.reports()), fix="make demo")
    return begun[-1].parent


def _begun(journal: Path) -> str:
    """When a run was begun, as its journal's last session says."""
    at = ""
    for line in journal.read_text(errors="replace").splitlines():
        with suppress(ValueError, TypeError):
            event = json.loads(line)
            at = event["at"] if event["kind"] == "run" else at
    return at


def draw(arguments: argparse.Namespace) -> int:
    """Draw a lab's hosts, switches, cables and VMs as an SVG."""
    from homelab_lib.lab import load_lab
    from homelab_lib.views.topology import topology

    file = Path(arguments.output)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(topology(load_lab(arguments.lab)).document)
    print(file)
    return 0


def runbook(arguments: argparse.Namespace) -> int:
    """Write the notebook of a runbook: its parameters, its steps in order, a line of prose each."""
    import nbformat

    from homelab_lib import durable
    from homelab_lib.cli.notebooks import notebook_of

    name, notebook = notebook_of(arguments.lab, arguments.phase)
    file = Path(arguments.output or f"{name}.ipynb")
    try:
        durable.replace(file, nbformat.writes(notebook) + "\n")
    except OSError as error:
        raise HomelabError(
            f"the notebook can't be written: {error.strerror}", where=str(file)
        ) from None
    print(file)
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
    for file in write(folder, load_catalog(folder)):
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


_EPILOG = """\
exit status: 0 done, or nothing to do; 1 an error, or an audit in which something fails;
2 changes to make (plan --exit-code); 3 an approval is missing; 4 drift.

examples:
  homelab init mylab                      a small lab of your own
  homelab init mylab --like cluster       one like an example: home, cluster, server
  homelab check mylab                     what is wrong in it, with file and line
  homelab audit mylab --apply cable-does-not-fit
                                          write the cheapest fix into it, as a decision
  homelab plan mylab 2                    rehearse phase 2 on a twin; every command
  homelab plan mylab 2 --target ssh       the same for the real hosts; nothing is sent
  homelab apply mylab 2 --target ssh --approve p6310…
  homelab verify mylab 2 --target ssh     is everything still as described?
  homelab records                         what was run, and when
  source <(homelab completion bash)       the shell completes all this; zsh, fish
"""


class _Parser(argparse.ArgumentParser):
    """One whose complaints end with 1, for 2 says that there are changes to make; and which says
    what was probably meant."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")

    def unknown(self, word: str) -> NoReturn:
        """Complain of a word that it does not know, beside its own usage."""
        from homelab_lib.lab.near import near

        options = [name for name in self._option_string_actions if name.startswith("--")]
        typed = word.partition("=")[0]
        self.error(f"{typed!r} means nothing here{near(typed, options)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        from homelab_lib.lab.near import near

        if action.choices is not None and value not in action.choices:
            known = ", ".join(map(str, action.choices))
            meant = near(value, action.choices) or "."
            raise argparse.ArgumentError(action, f"there is no {value!r}{meant} One of: {known}")


def _version() -> str:
    try:
        return version("homelab")
    except PackageNotFoundError:
        return "not installed"


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """The command line, and each command's own."""
    parser = _Parser(
        prog="homelab",
        description="A lab written down, judged, rehearsed, built, and reported with evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"homelab {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def add(action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        told = action.__doc__ or ""
        command = commands.add_parser(action.__name__, help=told, description=told)
        command.set_defaults(action=action)
        return command

    beginning = add(init)
    beginning.add_argument("folder", help="a new folder")
    beginning.add_argument("--name", default="", help="the lab's name (default: the folder's)")
    beginning.add_argument(
        "--like",
        default="minipc",
        metavar="EXAMPLE",
        help=f"what it begins as: {', '.join(examples())} (default: minipc)",
    )
    runs.add_to(add)
    kept.add_to(add)
    guide.add_to(add)
    completion.add_to(add)
    for action in (check, audit, twin, draw, runbook, house):
        add(action).add_argument(
            "lab", nargs="?", default=str(paths.data()), help="the lab's folder (default: data)"
        )
    auditing = commands.choices["audit"]
    auditing.add_argument(
        "--format", choices=("table", "json", "markdown"), default="table", help="how it is written"
    )
    auditing.add_argument("--as-written", action="store_true", help="leave the decisions out")
    auditing.add_argument(
        "--apply",
        metavar="RULE",
        help="write the fix of what a rule says into the lab, as a decision with its reason",
    )
    commands.choices["draw"].add_argument("-o", "--output", default="topology.svg", help="the file")
    writing = commands.choices["runbook"]
    writing.add_argument(
        "phase",
        nargs="?",
        default="",
        help="its number, or a runbook's name: phase1_network, health, house (default: the "
        "first with steps)",
    )
    writing.add_argument("-o", "--output", help="the file (default: the runbook's name)")
    serving = commands.choices["twin"]
    serving.add_argument("--before-phase", type=int, default=2, help="how far the lab is built")
    serving.add_argument("--speed", type=float, default=100.0, help="simulated seconds per second")
    serving.add_argument("--base-port", type=int, default=0, help="first port; 0: any free ones")
    serving.add_argument("--seed", type=int, default=0, help="seed of keys, MACs and faults")
    serving.add_argument(
        "--surprise",
        action="append",
        default=[],
        metavar="NAME@MACHINE",
        help="have something go otherwise than one expects, such as ssh-nologin@k3s-control",
    )
    serving.add_argument("--folder", help="where ssh_config, key and known_hosts go")
    told = "a run, r5a0142, or its record's folder"
    add(record).add_argument("record", help=told)
    for name in ("check", "record"):
        commands.choices[name].add_argument(
            "--json", action="store_true", help="for a machine to read"
        )
    add(report).add_argument("record", nargs="?", help=f"{told} (default: the newest)")
    add(schema).add_argument(
        "lab", nargs="?", help="a lab's folder: its own parts are offered, too (default: print)"
    )
    reading = add(gguf)
    reading.add_argument("file", help="the file; of a split model, the first one")
    reading.add_argument("--context", type=int, default=8192, help="tokens of one request")
    reading.add_argument("--slots", type=int, default=1, help="requests at once")
    return parser, commands.choices


def _nobody_reads_on() -> int:
    """End as any Unix program does whose reader has gone: by SIGPIPE, without a word.

    The signal is not let through from the start: a socket that its other side has closed is no
    reason to end a run.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes at its end
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    return 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status is one of those that ``--help`` lists."""
    parser, commands = _parser()
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["complete"]:  # asked by a shell
        return completion.complete(commands, words[1:])
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        commands[arguments.action.__name__].unknown(unknown[0])
    gc.set_threshold(100_000)  # most of what a command reads and makes stays to its end
    try:
        status = arguments.action(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _nobody_reads_on()
    except HomelabError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
