"""The command line: `homelab …`, or `python -m homelab_lib …`."""

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from homelab_lib.cli import completion, described, guide, kept, runs, served, start, writing
from homelab_lib.cli.commands import Parser
from homelab_lib.errors import HomelabError

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


def _version() -> str:
    try:
        return version("homelab")
    except PackageNotFoundError:
        return "not installed"


def _parser() -> tuple[Parser, dict[str, Parser]]:
    """The command line, and each command's own."""
    parser = Parser(
        prog="homelab",
        description="A lab written down, judged, rehearsed, built, and reported with evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"homelab {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        told = action.__doc__ or ""
        command = commands.add_parser(action.__name__, help=told, description=told)
        command.set_defaults(action=action)
        return command

    for room in (start, described, runs, kept, writing, guide, served, completion):
        room.add_to(add)
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
