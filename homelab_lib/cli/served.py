"""`twin`: a lab that isn't there, to be reached by SSH."""

import argparse
import shlex
import tempfile
from pathlib import Path
from typing import Any

from homelab_lib.cli.commands import takes_lab


def twin(arguments: argparse.Namespace) -> int:
    """Serve a twin of a lab until interrupted; prints how to reach it with `ssh`."""
    from homelab_lib.lab import load_lab
    from homelab_lib.target.served import serve_twin

    folder = Path(arguments.folder or tempfile.mkdtemp(prefix="homelab-twin-")).resolve()
    lab = load_lab(arguments.lab)
    phase = arguments.before_phase
    if phase is None:
        phase = min((each.number for each in lab.phases), default=1)
    with serve_twin(
        lab,
        folder,
        before_phase=phase,
        speed=arguments.speed,
        base_port=arguments.base_port,
        seed=arguments.seed,
        surprises=[each.partition("@")[::2] for each in arguments.surprise],
    ) as served:
        print(f"# A twin of {served.lab}; Ctrl-C ends it. In another terminal:")
        print(f"#   ssh -F {folder}/ssh_config {next(iter(served.names))}")
        there = f"--target ssh --ssh-config {shlex.quote(f'{folder}/ssh_config')}"
        run = f"{shlex.quote(str(arguments.lab))} {phase} {there}"
        print(f"#   homelab plan {run}")
        print(f"#   homelab apply {run} --approve DIGEST")
        print((folder / "ssh_config").read_text(), flush=True)
        served.wait()
    return 0


def add_to(add: Any) -> None:
    """Give the command line this command; `add` makes its parser from the function."""
    command = takes_lab(add(twin))
    command.add_argument(
        "--before-phase",
        type=int,
        metavar="N",
        help="how far the lab is built: the phases before this one (default: the lab's first)",
    )
    command.add_argument("--speed", type=float, default=100.0, help="simulated seconds per second")
    command.add_argument("--base-port", type=int, default=0, help="first port; 0: any free ones")
    command.add_argument("--seed", type=int, default=0, help="seed of keys, MACs and faults")
    command.add_argument(
        "--surprise",
        action="append",
        default=[],
        metavar="NAME@MACHINE",
        help="have something go otherwise than one expects, such as ssh-nologin@k3s-control",
    )
    command.add_argument("--folder", help="where ssh_config, key and known_hosts go")
