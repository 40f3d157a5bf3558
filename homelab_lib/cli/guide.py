"""`guide`: runbooks as a page to read."""

import argparse
from pathlib import Path
from typing import Any

from homelab_lib import paths
from homelab_lib.cli.output import put
from homelab_lib.errors import BadParameter


def guide(arguments: argparse.Namespace) -> int:
    """Write runbooks as a page to read: steps, reasons, and the commands of their rehearsal."""
    from homelab_lib.lab import load_lab
    from homelab_lib.session.run import Run
    from homelab_lib.views.guide import guide as written

    lab = load_lab(arguments.lab)
    about: tuple[str, ...] = ()
    if arguments.host:
        if arguments.host not in lab.hosts:
            known = ", ".join(lab.hosts)
            raise BadParameter(f"there is no host {arguments.host!r}", fix=f"one of {known}")
        about = (arguments.host, lab.hosts[arguments.host].title)
    chapters = []
    for name in arguments.runbooks:
        run = Run(f"phase{name}" if name.isdecimal() else name, lab=arguments.lab, mode="plan")
        try:
            chapters.append((run.runbook, run.plan().about))
        finally:
            run.close()
    title = arguments.title or " and ".join(runbook.title for runbook, _ in chapters)
    put(Path(arguments.output), written(title, chapters, about))
    return 0


def add_to(add: Any) -> None:
    """Give the command line this command; `add` makes its parser from the function."""
    command: argparse.ArgumentParser = add(guide)
    command.add_argument("lab", help="the lab's folder")
    command.add_argument("runbooks", nargs="+", metavar="RUNBOOK", help="2, phase1_network …")
    command.add_argument("--host", default="", help="only what is about this host")
    command.add_argument("--title", default="", help="of the page (default: the runbooks')")
    command.add_argument("-o", "--output", default="guide.md", help="the file")
    command.set_defaults(lab=str(paths.data()))
