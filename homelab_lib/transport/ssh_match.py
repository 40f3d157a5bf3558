"""Whether a ``Match`` block of an ssh_config applies.

A criterion that can't be judged here is refused only where the block hangs on it.

Source: ssh_config(5), Match and PATTERNS; ``match_cfg_line`` in readconf.c of OpenSSH 10.5.
"""

import os
import re
from dataclasses import dataclass, field

from homelab_lib.errors import BadParameter
from homelab_lib.transport import programs
from homelab_lib.transport.ssh_lines import Line
from homelab_lib.transport.ssh_said import Asked, Said, local_user
from homelab_lib.transport.ssh_tokens import expand

_ALONE = {"canonical", "final"}
_UNJUDGED = ("localnetwork", "version")
_JUDGED = ("command", "exec", "host", "localuser", "originalhost", "sessiontype", "tagged", "user")
_MAY_BE_EMPTY = {"command", "tagged"}


@dataclass
class State:
    """What is known so far while a configuration is read for a host.

    Parameters
    ----------
    asked
        The host as on the command line.
    values, places
        What was said, by keyword, and where.
    final
        Whether this is the second pass.
    wants_final
        Whether anything asks for one.
    """

    asked: Asked
    values: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    final: bool = False
    wants_final: bool = False

    def host(self) -> str:
        """The host's name as it stands now."""
        given = self.values.get("hostname", [self.asked.host])[0]
        if self.final or "hostname" not in self.values:
            return given

        def fill(found: re.Match[str]) -> str:
            if found[1] not in ("h", "%"):
                raise BadParameter(
                    f"{self.asked.host}: HostName {given}: {found[0]} has no meaning there",
                    where=self.places["hostname"],
                    fix="it takes %h and %% alone",
                )
            return self.asked.host if found[1] == "h" else "%"

        return re.sub("%(.?)", fill, given)

    def said(self) -> Said:
        """The same as an answer, as far as it goes."""
        values = {key: tuple(value) for key, value in self.values.items()}
        return Said(self.asked, {**values, "hostname": (self.host(),)}, "", places=self.places)


def matches(state: State, line: Line, *, never: bool) -> bool:
    """Whether the block that `line` opens applies; `never` in a file where nothing does.

    Raises
    ------
    BadParameter
        It has a criterion that we don't know, or hangs on one that can't be judged here.
    """
    words = list(line.words or ())
    holds, unjudged, judged = not never, "", 0
    while words:
        word = words.pop(0)
        negated, criterion = word.startswith("!"), word.removeprefix("!").lower()
        if criterion == "all":
            if judged > 1 or words:
                raise _bad(state, line, "`all` stands alone, or after `final`")
            holds = holds and not negated
            judged += 1
            break
        judged += 1
        if criterion in _ALONE:
            state.wants_final |= criterion == "final" and not negated
            holds = holds and state.final != negated
            continue
        criterion, equals, argument = criterion.partition("=")
        if equals:
            argument = word.partition("=")[2]
        elif words:
            argument = words.pop(0)
        if criterion not in _JUDGED + _UNJUDGED:
            raise _bad(state, line, f"we don't know the criterion {criterion}")
        if not argument and criterion not in _MAY_BE_EMPTY:
            raise _bad(state, line, f"the criterion {criterion} says nothing")
        if criterion in _UNJUDGED:
            unjudged = unjudged or criterion
        elif criterion != "exec" or (
            holds and not unjudged
        ):  # nothing is run for a block that is out
            holds = _judge(state, line, criterion, argument) != negated and holds
    if not judged:
        raise _bad(state, line, "it has no criterion")
    if holds and unjudged:
        raise _bad(state, line, f"whether {unjudged} holds can't be told without an ssh to ask")
    return holds


def _judge(state: State, line: Line, criterion: str, argument: str) -> bool:
    match criterion:
        case "host":
            return in_list(state.host().lower(), argument.lower())
        case "originalhost":
            return in_list(state.asked.host.lower(), argument.lower())
        case "user":
            return in_list(state.values.get("user", [local_user()])[0], argument)
        case "localuser":
            return in_list(local_user(), argument)
        case "sessiontype":
            return in_list("shell", argument)
        case "command":
            return argument == ""
        case "tagged":
            tag = state.values.get("tag", [""])[0]
            return in_list(tag, argument) if tag else argument == ""
    command = expand(state.said(), "Match exec", argument, env=False)
    try:
        ran = programs.run([os.environ.get("SHELL") or "/bin/sh", "-c", command])
    except OSError as error:
        raise _bad(state, line, f"`{command}`: {error}") from None
    return ran.returncode == 0


def like(text: str, pattern: str) -> bool:
    """Whether a text is as a pattern with ``*`` and ``?`` says."""
    bare = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(bare, text, re.DOTALL) is not None


def in_list(text: str, patterns: str) -> bool:
    """Whether a list of patterns means a text; one with ``!`` that fits means that it doesn't."""
    meant = False
    for pattern in patterns.split(","):
        if like(text, pattern.removeprefix("!")):
            if pattern.startswith("!"):
                return False
            meant = True
    return meant


def _bad(state: State, line: Line, what: str) -> BadParameter:
    return BadParameter(
        f"{state.asked.host}: Match {line.rest}: {what}",
        where=line.place,
        fix="write the block as `Host`, or install the OpenSSH client, which is then asked",
    )
