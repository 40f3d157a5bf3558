"""The command line's own parser, and what several commands take."""

import argparse
import sys
from typing import Any, NoReturn

from homelab_lib import paths


class Parser(argparse.ArgumentParser):
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


def takes_lab(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Give a command the folder of a lab; it is the shipped one where none is named."""
    command.add_argument(
        "lab", nargs="?", default=str(paths.data()), help="the lab's folder (default: data)"
    )
    return command
