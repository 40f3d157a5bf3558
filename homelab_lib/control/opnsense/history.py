"""Who has changed an OPNsense's configuration, and when: what its own history says.

Each save leaves a backup that holds the state after it, and in it a revision: by whom, when, by
what. What a key of the API did carries that key; a person in the pages leaves none. The keys stay
where they are: a script tells whether there is one, and the rest. That one script is let through,
letter by letter, and no other.

References
----------
opnsense/core: ``library/OPNsense/Core/Config.php`` (`getRevisionContext`, `backup`),
``controllers/OPNsense/Base/ApiControllerBase.php`` (`setRevisionContext`).
"""

import datetime as dt
from dataclasses import dataclass

from homelab_lib import answers
from homelab_lib.answers import Shape
from homelab_lib.control import mark
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import read

REVISIONS = (
    "foreach (array_merge(glob('/conf/*.xml'), glob('/conf/backup/*.xml')) as $file) { "
    "$config = simplexml_load_file($file); if ($config !== false) { "
    "$revision = $config->revision; echo json_encode(['file' => $file, "
    "'written' => filemtime($file), 'time' => (string)$revision->time, "
    "'by' => (string)$revision->username, 'what' => (string)$revision->description, "
    "'key' => isset($revision->user_apitoken)]), \"\\n\"; } }"
)
"""Prints the revision of each configuration that lies there, a line of JSON each."""

CONFIG = "/conf/config.xml"
_BACKUPS = "/conf/backup/"
_LOOPBACK = ("@127.0.0.1", "@::1")
_SHAPE: Shape = {"file": str, "written": int, "time": str, "by": str, "what": str, "key": bool}


@dataclass(frozen=True)
class Revision:
    """One save of a configuration.

    Parameters
    ----------
    file, written_s
        Which file holds what it led to, and when that was written [s since 1970].
    time_s
        When [s since 1970]; 0 where that is not told.
    by, what
        Who did it, and by what: ``root@10.0.10.50``, ``/firewall_rules.php made changes``.
    by_key
        Whether it came through the API, with a key.
    """

    file: str
    written_s: float
    time_s: float
    by: str
    what: str
    by_key: bool

    def is_ours(self, lab: str) -> bool:
        """Whether it is one that a runbook of `lab` makes: by a key and through the firewall's own
        loopback, where our requests come in; or by the Config class, with the lab's mark."""
        through_ssh = self.by_key and self.by.endswith(_LOOPBACK)
        return through_ssh or mark.marks(self.what, lab)

    @property
    def told(self) -> tuple[float, str, str]:
        """What is the same wherever it is kept."""
        return self.time_s, self.by, self.what

    @property
    def line(self) -> str:
        """For a person."""
        moment = dt.datetime.fromtimestamp(int(self.time_s), dt.UTC)
        return f"{moment:%Y-%m-%d %H:%M} UTC by {self.by or 'nobody knows whom'} ({self.what})"


def revisions(host: Host) -> list[Revision]:
    """The revisions of all configurations on a firewall, the oldest first.

    Raises
    ------
    NotUnderstood
        It tells them in another way.
    """
    words = ("php", "-r", REVISIONS)
    found = []
    for line in host.read(*words).stdout.splitlines():
        said = answers.understood(line, _SHAPE, host=host.name, line=read(*words).line)
        time_s = float(said["time"]) if _is_number(said["time"]) else 0.0
        who = said["by"], said["what"], said["key"]
        found.append(Revision(said["file"], float(said["written"]), time_s, *who))
    return sorted(found, key=lambda each: each.time_s)


def _is_number(text: str) -> bool:
    whole, _, part = text.partition(".")
    return whole.isdecimal() and (not part or part.isdecimal())


@dataclass(frozen=True)
class Since:
    """What has happened to a configuration since a copy of it was laid aside.

    Parameters
    ----------
    others
        What somebody else has saved, a line each, the oldest first.
    whole
        Whether the history reaches back to then.
    """

    others: tuple[str, ...] = ()
    whole: bool = True


def since(found: list[Revision], copy: str, lab: str) -> Since:
    """What the history says of the time since a copy was laid aside.

    Parameters
    ----------
    found
        All revisions.
    copy
        The copy's path.
    lab
        Whose changes are ours.
    """
    laid = [each for each in found if each.file == copy]
    then_s = max((each.time_s for each in laid), default=0.0)
    # Before it was laid, somebody may have put back an old one: what came after that one is past.
    laid_s = max([then_s, *(each.written_s for each in laid)])
    saved = [each for each in found if each.file.startswith(_BACKUPS)]
    kept = {each.told for each in saved}
    now = [each for each in found if each.file == CONFIG]
    entries = [*saved, *(each for each in now if each.told not in kept)]
    others = [each.line for each in entries if each.time_s > laid_s and not each.is_ours(lab)]
    others += [f"the one of {each.line} was put back" for each in now if each.time_s < then_s]
    return Since(tuple(others), not then_s or any(each.time_s <= laid_s for each in saved))
