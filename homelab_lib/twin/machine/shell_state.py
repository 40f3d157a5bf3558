"""What a shell remembers from one command to the next."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from homelab_lib.twin.machine import script
from homelab_lib.twin.machine.account import Accounts
from homelab_lib.twin.machine.entry import Who
from homelab_lib.twin.machine.expansion import Variables
from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.program import Call, Reply


class Computer(Protocol):
    """What a shell needs of the machine that it runs on."""

    files: FileSystem
    accounts: Accounts

    def call(self, call: Call) -> Reply: ...
    def who(self, call: Call) -> Who: ...


@dataclass
class State:
    """What a shell is at a moment.

    Parameters
    ----------
    computer
        Runs the programs, and has the files.
    call
        How the shell itself was called: who runs it, what it reads, its environment and folder.
    variables
        What it remembers.
    stops
        ``set -e``: it ends where something fails.
    exported
        Names of the variables that programs get.
    functions, traps
        Defined by the script.
    takes_s
        How long what it ran has taken [s].
    loops
        In how many loops it is.
    escapes
        Whether its `echo` resolves escapes, as dash's does and bash's does not.
    """

    computer: Computer
    call: Call
    variables: Variables
    stops: bool
    exported: set[str]
    functions: dict[str, script.Command] = field(default_factory=dict)
    traps: dict[str, str] = field(default_factory=dict)
    takes_s: float = 0.0
    loops: int = 0
    escapes: bool = True
    _tested: int = 0  # how many conditions we are in: there a failure ends nothing

    @classmethod
    def begun(
        cls, computer: Computer, call: Call, arguments: Sequence[str] = ("sh",), stops: bool = False
    ) -> Self:
        """A shell as it is when it begins: it knows its environment and its arguments."""
        variables = Variables({**call.env, "PWD": call.cwd}, tuple(arguments))
        return cls(computer, call, variables, stops, {*call.env, "PWD"})

    def apart(self) -> Self:
        """A shell that begins as this one is, and changes nothing in it."""
        variables = replace(self.variables, values=dict(self.variables.values))
        return replace(
            self,
            variables=variables,
            exported=set(self.exported),
            functions=dict(self.functions),
            traps={},
            takes_s=0.0,
        )
