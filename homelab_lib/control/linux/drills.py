"""A restore drill: files are brought back from a copy into a place of their own, and compared.

All of it is one command: it picks files by a seed from the list of what the newest copy holds,
brings each back, compares it with the one that is there, notes what came of it, and takes away what
it brought back, however it ends. A file that was changed since the copy was made can't be compared;
it is brought back all the same.

Sources: restic 0.18's documentation (050_restore); cmd/restic/format.go for the lines of ``ls -l``.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from homelab_lib.control.clock import clock_s, is_new
from homelab_lib.control.linux.looking import read_file
from homelab_lib.control.linux.restic import Access, tags
from homelab_lib.errors import StepFailed
from homelab_lib.runbook.resource import NOTHING_TO_UNDO, Change, Diff, Host
from homelab_lib.secret import Secret
from homelab_lib.transport.command import change

FOLDER = "/var/lib/homelab/drills"
_SAID = re.compile(r"(same|read|differs|changed|lost) (.+)")

# $1 where files are brought back to, $2 the note, $3 the seed, $4 how many, $5 tags; then restic.
BEGIN = (
    'set -eu; umask 077; d="$1" r="$2" seed="$3" want="$4" tag="$5"; shift 5; '
    'trap \'rm -rf -- "$d"\' EXIT; rm -rf -- "$d"; mkdir -p -- "$d" "${r%/*}"; '
)
FROM_PAPER = "IFS= read -r RESTIC_PASSWORD; export RESTIC_PASSWORD; "
LOGIN = (
    "IFS= read -r AWS_ACCESS_KEY_ID; IFS= read -r AWS_SECRET_ACCESS_KEY; "
    "export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY; "
)
COPY = (
    'snap=$("$@" snapshots --json --latest 1 --tag "$tag" | '
    'sed -n \'s/.*"short_id":"\\([0-9a-f]*\\)".*/\\1/p\'); '
    '[ -n "$snap" ] || { echo "there is no copy with the tags $tag" >&2; exit 1; }; : > "$d/said"; '
)
# How much is free where the drill's own folder is [KiB].
ROOM = 'room=$(df -Pk -- "$d" | sed -n "2s/  */ /gp" | cut -d" " -f4); room="${room:-0}"; '
_FILES = (
    # A plain file's line: its mode, owners, size, day, time, and its path.
    '"$@" ls -l "$snap" > "$d/all"; grep "^-" "$d/all" > "$d/list" || true; '
    'n=$(wc -l < "$d/list"); [ "$n" -gt 0 ] || { echo "copy $snap holds no file" >&2; exit 1; }; '
    '[ "$want" -le "$n" ] || want=$n; i=0; '
    'while [ "$i" -lt "$want" ]; do k=$(( (seed + i * n / want) % n + 1 )); i=$((i + 1)); '
    'line=$(sed -n "${k}p" "$d/list"); p="/${line#*/}"; '
    "then=$(printf '%s\\n' \"${line%%/*}\" | sed 's/^[^ ]* *[0-9]* *[0-9]* *//; s/ *$//'); "
    # Of a disk that something runs from no more than half of what is free is taken: what is larger
    # than that is read, and goes nowhere.
    + ROOM
    + 'rm -f -- "$d/broke"; if [ "${then%% *}" -lt "$((room * 512))" ]; then '
    '"$@" dump "$snap" "$p" > "$d/one" 2> "$d/why" || : > "$d/broke"; '
    'sum=$(sha256sum < "$d/one"); else '
    '{ "$@" dump "$snap" "$p" 2> "$d/why" || : > "$d/broke"; } | sha256sum > "$d/one"; '
    'sum=$(cat "$d/one"); fi; if [ -e "$d/broke" ]; then '
    'echo "lost $p" >> "$d/said"; cat "$d/why" >&2; continue; fi; '
    'now=$(stat -c "%s %y" -- "$p" 2> "$d/why" || true); '
    'if [ "${now%%.*}" != "$then" ]; then echo "changed $p" >> "$d/said"; '
    'elif [ "$sum" = "$(sha256sum < "$p")" ]; then '
    'echo "same $p" >> "$d/said"; else echo "differs $p" >> "$d/said"; fi; done; '
)
_ETCD = (
    'u=$(command -v etcdutl || command -v etcdctl); p= best=0; "$@" ls "$snap" > "$d/all"; '
    'while IFS= read -r f; do n="${f##*-}"; case "$f" in */db/snapshots/*) ;; *) continue;; esac; '
    'case "$n" in ""|*[!0-9]*) continue;; esac; '
    'if [ "$n" -gt "$best" ]; then best="$n" p="$f"; fi; done < "$d/all"; '
    '[ -n "$p" ] || { echo "copy $snap holds no snapshot of etcd" >&2; exit 1; }; '
    # Brought back into a folder of its own: etcd looks at its digest, and no etcd is started.
    'if "$@" dump "$snap" "$p" > "$d/one" 2> "$d/why" && ETCDCTL_API=3 "$u" snapshot restore '
    '"$d/one" --data-dir "$d/etcd" > "$d/out" 2> "$d/why" && [ -s "$d/etcd/member/snap/db" ]; then '
    'if [ ! -e "$p" ] || [ "$(sha256sum < "$d/one")" = "$(sha256sum < "$p")" ]; then '
    'echo "same $p" >> "$d/said"; else echo "differs $p" >> "$d/said"; fi; '
    'else echo "lost $p" >> "$d/said"; cat "$d/why" >&2; fi; '
)
# Of a parser's own words nothing is kept: they quote what it reads.
_NEEDED = (
    '"$@" ls -l "$snap" > "$d/all"; printf "%s\\n" "$seed" > "$d/list"; '
    "while IFS= read -r p; do "
    'if ! "$@" dump "$snap" "$p" < /dev/null > "$d/one" 2> "$d/why"; then '
    'echo "lost $p" >> "$d/said"; cat "$d/why" >&2; continue; fi; reads=1; [ -s "$d/one" ] || '
    'reads=; case "$p" in *.xml) xmllint --noout "$d/one" 2> /dev/null || reads=;; '
    '*.tar) tar -tf "$d/one" > "$d/out" 2> /dev/null || reads=;; esac; '
    'if [ -z "$reads" ]; then echo "lost $p" >> "$d/said"; '
    'echo "what came back of $p can not be read" >&2; continue; fi; '
    'line=$(grep -e "^-.* $p\\$" "$d/all" | head -n 1); '
    "then=$(printf '%s\\n' \"${line%%/*}\" | sed 's/^[^ ]* *[0-9]* *[0-9]* *//; s/ *$//'); "
    'now=$(stat -c "%s %y" -- "$p" 2> "$d/why" || true); '
    'if [ "${now%%.*}" != "$then" ]; then echo "read $p" >> "$d/said"; '
    'elif [ "$(sha256sum < "$d/one")" = "$(sha256sum < "$p")" ]; then '
    'echo "same $p" >> "$d/said"; else echo "differs $p" >> "$d/said"; fi; done < "$d/list"; '
)
_WHAT = {"files": _FILES, "etcd": _ETCD, "configuration": _NEEDED}
_BY_PAPER = " (by paper)"
# Of what a drill has said in $d/said, from the copy $snap, a note in $r; fails where that is bad.
# $paper is set where nothing but what stands on paper was used.
NOTE = (
    'bad=$(grep -c -e "^lost " -e "^differs " "$d/said" || true); '
    'good=$(grep -c -e "^same " -e "^read " "$d/said" || true); '
    '{ echo "$(date +%s) $snap${paper:+ (by paper)}"; cat "$d/said"; } > "$r.new"; '
    'mv -fT -- "$r.new" "$r"; '
    '[ "$bad" = 0 ] || { grep -v -e "^same " -e "^read " -e "^changed " "$d/said" >&2; exit 1; }; '
    '[ "$good" != 0 ] || { echo "each of the files was changed since the copy was made; '
    'none could be compared" >&2; exit 1; }'
)


@dataclass(frozen=True)
class Drilled:
    """What the last drill brought back.

    Parameters
    ----------
    made_s
        When it ended [s since 1970].
    copy
        The snapshot's short id, or what the backup of a VM is called.
    files
        What came of each file, by its path: ``same``, ``differs``, ``changed``, ``lost``; ``read``
        for one that was changed since and is whole.
    by_paper
        Whether nothing but what stands on paper was used.
    """

    made_s: float
    copy: str
    files: dict[str, str]
    by_paper: bool

    def count(self, word: str) -> int:
        """How many files came back so."""
        return sum(said == word for said in self.files.values())

    @property
    def good(self) -> bool:
        """Whether something was compared, or read, and all of it was as it should be."""
        return self.count("same") + self.count("read") > 0 and not self.count(
            "differs"
        ) + self.count("lost")


def last_drill(host: Host, name: str) -> Drilled | None:
    """What a machine's note of its last drill says; None where there was none.

    Raises
    ------
    StepFailed
        It is no such note.
    """
    path = f"{FOLDER}/{name}"
    text = read_file(host, path)
    if not text:
        return None
    first, *lines = text.splitlines()
    moment, _, copy = first.partition(" ")
    said = [_SAID.fullmatch(line) for line in lines]
    if not moment.isdecimal() or len(moment) > len("9999999999") or not copy or None in said:
        raise StepFailed(
            f"{path} on {host.name} is no note of a drill: {host.cut(text, 80)!r}",
            where=f"{host.name}: {path}",
            fix="look at it, then move it away; the drill is held again then",
        )
    files = {each[2]: each[1] for each in said if each}
    by_paper = copy.endswith(_BY_PAPER)
    return Drilled(float(moment), copy.removesuffix(_BY_PAPER), files, by_paper)


def last_held(host: Host, name: str) -> dict[str, Any]:
    """What a drill observes: what came of the last one, and how long ago it was [s]."""
    last = last_drill(host, name)
    if last is None:
        return {"last": "none"}
    age_s = clock_s(host) - last.made_s
    said = {"last": "good" if last.good else "bad", "age_s": age_s, "copy": last.copy}
    return said | {"by_paper": last.by_paper}


def is_held(observed: dict[str, Any], within_s: float, *, by_paper: bool = False) -> bool:
    """Whether the last one was good, is not longer ago than that [s], and was held by what stands
    on paper alone where that is wanted."""
    if observed["last"] != "good" or (by_paper and not observed["by_paper"]):
        return False
    return is_new(observed["age_s"], within_s)


@dataclass(frozen=True)
class RestoreDrill:
    """Files that were brought back and compared, not longer ago than was promised.

    Parameters
    ----------
    host, drill
        The machine, and the drill's name.
    access
        The repository.
    lab, backup
        What its copies are tagged with.
    files, seed
        How many are picked, and by which number.
    within_s
        How long ago the last one may be [s].
    what
        ``files``, ``etcd`` for the newest snapshot of a cluster's etcd, or ``configuration`` for
        the files that are needed, each read by what reads its kind.
    url, paper
        With a key from paper: where the repository is, and what stands on the paper, a line each;
        nothing that lies on the machine is used then.
    needed
        Of a configuration: the files.
    """

    host: str
    drill: str
    access: Access
    lab: str
    backup: str
    files: int
    seed: int
    within_s: float
    what: str = "files"
    url: str = ""
    paper: Secret | None = field(default=None, repr=False)
    needed: tuple[str, ...] = ()
    timeout_s: float = 3600.0

    @property
    def name(self) -> str:
        return f"drill {self.drill}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What came of the last one, and how long ago it was."""
        return last_held(host, self.drill)

    def diff(self, observed: dict[str, Any]) -> Diff:
        if is_held(observed, self.within_s, by_paper=self.paper is not None):
            return Diff()
        drill = COPY + _WHAT[self.what] + NOTE
        which = "\n".join(self.needed) or str(self.seed)
        script = BEGIN + drill
        words = self.access.words()
        if self.paper is not None:
            login = LOGIN if self.url.startswith("s3:") else ""
            script = BEGIN + "paper=1; " + FROM_PAPER + login + drill
            words = ("restic", "--no-cache", "-r", self.url)
        call = change(
            *("sh", "-c", script, "sh", f"{FOLDER}/{self.drill}.files", f"{FOLDER}/{self.drill}"),
            *(which, str(self.files), tags(self.lab, self.backup)),
            *words,
            stdin=self.paper,
            sudo=True,
            timeout_s=self.timeout_s,
        )
        how = "with the key on paper alone" if self.paper is not None else "and compare them"
        what = {"etcd": "the newest etcd", "configuration": "what is needed"}.get(
            self.what, f"{self.files} files"
        )
        summary = f"bring back {what} of {self.backup} {how}"
        undo = f"{NOTHING_TO_UNDO}: what it brings back it takes away again"
        return Diff((Change(summary, call, detached=self.paper is None, undo=undo),))
