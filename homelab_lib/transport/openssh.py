"""Has OpenSSH's own client say what its configuration means: ``ssh -G``.

Nothing is connected to. ``Match exec`` runs what the person's configuration says, as it does
whenever they use `ssh`; names are looked up only where CanonicalizeHostname asks for it.

Source: ssh(1), -G; ssh_config(5).
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from glob import escape
from pathlib import Path
from typing import NamedTuple

from homelab_lib.errors import BadParameter
from homelab_lib.transport import programs
from homelab_lib.transport.ssh_lines import Line, lines_of, quoted
from homelab_lib.transport.ssh_said import (
    HEEDED,
    OTHER_NAMES,
    REFUSED,
    SYSTEM_CONFIG,
    UNRELATED,
    USER_CONFIG,
    Asked,
    Said,
    home,
    local_user,
)
from homelab_lib.transport.ssh_tokens import expand, tilde

OLDEST = (8, 0)  # whose -G we know
_FILLS_KNOWN_HOSTS = (8, 4)  # before it prints them
_LISTS = {"globalknownhostsfile", "revokedhostkeys", "userknownhostsfile"}
_ALWAYS = {"host", "hostname", "identityfile", "port", "user"} | _LISTS
_READ = re.compile(r"debug1: Reading configuration data (.*)")
_AGAIN = "debug1: re-parsing configuration"
_COMPLAINT = re.compile(r"(?:(?P<file>/.*?|[^:]*?):? line (?P<line>\d+): )?(?P<what>.*)")
_MENDS = (
    (r"Bad configuration option: (\S+)", r"mend it, or write `IgnoreUnknown \1` above it"),
    (r"Unsupported Match attribute", "this ssh is too old for it; write the block otherwise"),
    (r"jumphost loop via (\S+)", r"write `ProxyJump none` into a block `Host \1` above"),
    (r"Bad owner or permissions on (\S+)", r"chown it to yourself, and chmod go-w \1"),
)


@cache
def version(ssh: str) -> tuple[int, int] | None:
    """The version of an OpenSSH client that can be asked; None for any other program, and for
    none at all."""
    program = shutil.which(ssh)
    if program is None:
        return None
    try:
        ran = programs.run([program, "-V"])
    except OSError:
        return None
    found = re.match(rb"OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)", ran.stderr)
    known = (int(found[1]), int(found[2])) if found else None
    return known if known and known >= OLDEST else None


class _Answer(NamedTuple):
    said: Said
    files: set[str]  # that were read for it
    lines: list[Line]  # of these
    twice: bool  # whether there was a second pass, as for `Match final`


def ask(ssh: str, asked: Asked) -> Said:
    """What `ssh` itself makes of a host: what is not its default, and the place and user.

    Raises
    ------
    BadParameter
        It refuses the configuration, or that says what can't be followed here.
    """
    return _ask(ssh, asked).said


def settle(ssh: str, asked: Asked, fallback: Mapping[str, str]) -> Said:
    """The same, with `fallback` for host name, user and port where the configuration leaves them
    open: there the lab's word counts.

    `ssh -G` prints its own defaults as if they stood in the configuration. Where they may do so,
    it is asked once more with other words at the configuration's end.

    Raises
    ------
    BadParameter
        As `ask`; or it can't be told.
    """
    answer = _ask(ssh, asked)
    default = {"hostname": asked.host.lower(), "user": local_user(), "port": "22"}
    left = {}
    for key, value in fallback.items():
        says = answer.said.one(key)
        if not value or value == says or says.lower() != default[key]:
            continue
        spoken = key != "hostname" and any(line.keyword == key for line in answer.lines)
        if not (spoken and _stands_there(ssh, answer, key, value)):
            left[key] = value
    return ask(ssh, asked.with_(left)) if left else answer.said


def _stands_there(ssh: str, answer: _Answer, keyword: str, other: str) -> bool:
    """Whether the configuration says what is the default: then words at its end change nothing."""
    asked = answer.said.asked
    own = [Path(home(), USER_CONFIG), Path(SYSTEM_CONFIG)]
    text = "".join(
        f"Include {quoted(escape(str(file.absolute())))}\nMatch all\n"
        for file in ([asked.config] if asked.config else own)
    )
    with tempfile.NamedTemporaryFile("w", prefix="homelab-ssh-") as file:
        last = "Match final all\n" if answer.twice else ""
        file.write(f"{text}{last}{keyword} {other}\n")
        file.flush()
        tried = _ask(ssh, Asked(asked.host, Path(file.name), asked.given))
    if not answer.files <= tried.files:
        raise BadParameter(
            f"{asked.host}: whether its configuration says {keyword} {answer.said.one(keyword)}, "
            "or leaves that open, can't be told",
            where=asked.source,
            fix=f"write {keyword.title()} into a block `Host {asked.host}`",
        )
    return tried.said.one(keyword) != other


def _ask(ssh: str, asked: Asked) -> _Answer:
    words = ["-F", str(asked.config)] if asked.config else []
    for keyword, value in asked.given:
        words += ["-J", value] if keyword == "proxyjump" else ["-o", f"{keyword}={value}"]
    printed, told = _run(ssh, asked, [*words, "--", asked.host])
    files = [found[1] for text in told if (found := _READ.fullmatch(text))]
    lines = [line for file in dict.fromkeys(files) for line in lines_of(file)]
    known = version(ssh) or OLDEST
    usual = _defaults(ssh)
    values = {k: v for k, v in printed.items() if k in _ALWAYS or v != usual.get(k)}
    said = Said(
        asked,
        values,
        by=f"`ssh {' '.join(['-G', *words, asked.host])}` (OpenSSH {known[0]}.{known[1]})",
        expanded=frozenset(
            ["identityagent", *(["userknownhostsfile"] if known >= _FILLS_KNOWN_HOSTS else [])]
        ),
        places={
            line.keyword: line.place
            for line in reversed(lines)
            if line.rest in values.get(line.keyword, ())
            or " ".join(line.words or ()) in values.get(line.keyword, ())
        },
        version=known,
    )
    for keyword in values.keys() - HEEDED - UNRELATED:
        raise BadParameter(
            f"{asked.host} has {keyword} {' '.join(values[keyword])}, which can't be followed here",
            where=said.where(keyword),
            fix=REFUSED.get(keyword, "leave it out for this host"),
        )
    values |= {keyword: _words(said, keyword, lines) for keyword in _LISTS & values.keys()}
    if printed.get("identityfile") == usual.get("identityfile"):  # those that are there
        usual_files = [tilde(said, "identityfile", file) for file in values["identityfile"]]
        values["identityfile"] = tuple(file for file in usual_files if Path(file).exists())
    return _Answer(said, {os.path.realpath(file) for file in files}, lines, _AGAIN in told)


def _words(said: Said, keyword: str, lines: Iterable[Line]) -> tuple[str, ...]:
    """The words of a list that `ssh -G` prints without quotes: as they stand in a file, where
    they are these."""
    printed = said.one(keyword)
    for line in lines:
        words = line.words or ()
        if line.keyword != keyword:
            continue
        if " ".join(words) == printed:
            return words
        with suppress(BadParameter):  # of another host's block
            filled = [expand(said, keyword, tilde(said, keyword, word)) for word in words]
            if " ".join(filled) == printed:
                return tuple(filled)
    return tuple(printed.split())


@cache
def _defaults(ssh: str) -> Mapping[str, tuple[str, ...]]:
    """What this `ssh` says where nothing is configured."""
    return _run(ssh, Asked("defaults"), ["-F", os.devnull, "--", "defaults"])[0]


def _run(
    ssh: str, asked: Asked, words: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Run ``ssh -G``: what it prints, and what it tells besides."""
    try:
        ran = programs.run([ssh, "-G", "-T", "-v", *words])
    except OSError as error:
        raise BadParameter(
            f"`ssh -G {asked.host}`: {error}",
            where=asked.source,
            fix="run it by hand; does a `Match exec` hang, or a name server?",
        ) from None
    told = os.fsdecode(ran.stderr).splitlines()
    if ran.returncode:
        raise _refused(asked, [text for text in told if not text.startswith("debug")])
    values: dict[str, tuple[str, ...]] = {}
    for text in os.fsdecode(ran.stdout).splitlines():
        keyword, _, value = text.partition(" ")
        keyword = OTHER_NAMES.get(keyword.lower(), keyword.lower())
        values[keyword] = (*values.get(keyword, ()), value)
    if not {"hostname", "port", "user"} <= values.keys():
        raise BadParameter(f"`{ssh} -G` does not answer as OpenSSH does", fix="which ssh is it?")
    return values, told


def _refused(asked: Asked, told: Iterable[str]) -> BadParameter:
    """What `ssh` says first of a configuration that it does not take."""
    what, where = [], asked.source
    for text in told:
        found = _COMPLAINT.fullmatch(text)
        if not found or text.startswith("OpenSSH_"):
            continue
        what.append(found["what"])
        if found["line"]:
            where = f"{found['file']}:{found['line']}"
            break
    said = "; ".join(what) or "it gives no reason"
    mends = (found.expand(fix) for why, fix in _MENDS if (found := re.search(why, said)))
    return BadParameter(
        f"{asked.host}: ssh does not take its configuration: {said}",
        where=where,
        fix=next(mends, f"mend it there, until `ssh -G {asked.host}` is content"),
    )
