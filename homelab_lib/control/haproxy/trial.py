"""A server that is stopped while requests go on, and what came of them.

It is started again whatever happens: by the script that stopped it, which runs as a unit of its own
on the machine, also where that unit is ended; or by the machine's next start.
"""

import json
from dataclasses import dataclass
from typing import Any

from homelab_lib.control.haproxy.status import table
from homelab_lib.control.linux import read_file
from homelab_lib.runbook.resource import Change, Diff, Host
from homelab_lib.transport.command import change

_BEFORE, _ANSWERS, _AFTER = "== before", "== answers", "== after"
REQUESTS = 8
# $1 where what came of it is kept, $2 the service, $3 the status page, $4 the port, $5 a request,
# $6 its server itself, $7 what loads its model, $8 how many requests.
_SCRIPT = r"""set -eu; umask 022
keep=$1 unit=$2 page=$3 way=$4 body=$5 own=$6 load=$7 left=$8
mkdir -p "${keep%/*}"
json='Content-Type: application/json'
ask() {
  curl -sS -f -o "$keep.body" -w '%{http_code}\n' -m 600 -X POST -H "$json" --data-binary "$2" \
    "$1/api/generate" || echo failed
}
{
  echo '== before'
  curl -sS -f -m 10 "$page"
  echo '== answers'
  ask "$way" "$body"
  trap 'exit 143' TERM INT HUP  # else a signal ends the shell without its EXIT
  trap 'systemctl start "$unit"' EXIT
  systemctl stop "$unit"
  while [ "$left" -gt 1 ]; do ask "$way" "$body"; left=$((left - 1)); done
  echo '== after'
  curl -sS -f -m 10 "$page"
} > "$keep.new"
systemctl start "$unit"
tries=0
until curl -sS -f -m 5 "$own/api/version" > /dev/null; do
  tries=$((tries + 1)); [ "$tries" -lt 60 ] || exit 1; sleep 1
done
ask "$own" "$load" > /dev/null
trap - EXIT
rm -f "$keep.body"
sync "$keep.new"
mv -fT -- "$keep.new" "$keep"
"""


@dataclass(frozen=True)
class Tried:
    """A port behind which a server was stopped, and what came of requests meanwhile.

    Parameters
    ----------
    host, unit
        The machine of the balancer and of the server, and the server's service.
    way, port
        The port's name, and its number.
    tag
        The model that is asked.
    own
        The server itself.
    status
        Where the balancer tells how its servers are.
    keep
        The file that is kept of it.
    """

    host: str
    unit: str
    way: str
    port: int
    tag: str
    own: str
    status: str
    keep: str
    timeout_s: float = 1800.0

    @property
    def name(self) -> str:
        return f"{self.unit} stopped behind port {self.port}"

    def observe(self, host: Host) -> bool:
        return bool(read_file(host, self.keep).strip())

    def diff(self, observed: bool) -> Diff:
        if observed:
            return Diff()
        options = {"num_predict": 8, "temperature": 0, "seed": 1}
        question = {"model": self.tag, "prompt": "Say: here.", "stream": False, "options": options}
        load = {"model": self.tag, "stream": False}
        way = f"http://127.0.0.1:{self.port}"
        words = (self.keep, self.unit, self.status, way, json.dumps(question), self.own)
        call = change(
            *("sh", "-c", _SCRIPT, "sh", *words, json.dumps(load), str(REQUESTS)),
            sudo=True,
            timeout_s=self.timeout_s,
        )
        what = (
            f"stop {self.unit} on {self.host}, ask {self.tag} {REQUESTS} times at port "
            f"{self.port}, and start it again"
        )
        undo = f"systemctl start {self.unit}; rm {self.keep}"
        return Diff((Change(what, call, undo=undo, detached=True),))

    def told(self, host: Host) -> tuple[list[str], dict[str, int]]:
        """Each request's status, and how many went to which server.

        Raises
        ------
        NotUnderstood
            What was kept is no such thing.
        """
        parts: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in read_file(host, self.keep).splitlines():
            if line in (_BEFORE, _ANSWERS, _AFTER):
                lines = parts.setdefault(line, [])
            else:
                lines.append(line)
        before, after = (self._served(host, parts.get(each, [])) for each in (_BEFORE, _AFTER))
        return parts.get(_ANSWERS, []), {name: n - before.get(name, 0) for name, n in after.items()}

    def _served(self, host: Host, lines: list[str]) -> dict[str, int]:
        rows: dict[Any, Any] = dict(table("\n".join(lines), host, f"cat {self.keep}"))
        return {
            server: int(row["stot"] or 0) for (way, server), row in rows.items() if way == self.way
        }
