"""Programs that fetch from other machines."""

import posixpath
import re

from homelab_lib.twin.machine.entry import NO_SPACE, Entry, Facts, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.surroundings import NetError

netutils = Commands()


@netutils("ss")
def ss(machine: Machine, call: Call) -> Reply:
    """Listening TCP sockets; of a seeded machine, in the real one's own words."""
    said = machine.said(*call.argv)
    if said is not None:
        return said
    _, options = operands(call)
    if not {"-t", "-l"} <= options.keys():
        return Reply(127, stderr="twin: its ss tells of listening TCP sockets alone\n")
    head = "" if "-H" in options else "State  Recv-Q Send-Q Local Address:Port Peer Address:Port\n"
    rows = (
        f"LISTEN 0      128    0.0.0.0:{port}     0.0.0.0:*\n"
        for port, listens in sorted(machine.listeners.items())
        if listens()
    )
    return Reply(0, head + "".join(rows))


@netutils("curl")
def curl(machine: Machine, call: Call) -> Reply:
    """Fetch a page or a file."""
    words, options = operands(
        call, "-H -o -m -w -K --max-time --connect-timeout --retry --header -X"
    )
    if options.get("-K") == "-":  # what nobody is to see among the processes
        words = re.findall(r'^url = "([^"]*)"$', call.stdin.decode(), re.MULTILINE)
    headers = [call.argv[i + 1] for i, w in enumerate(call.argv[:-1]) if w in ("-H", "--header")]
    named = {h.partition(":")[0].lower(): h.partition(":")[2].strip() for h in headers}
    target = options.get("-o", "")
    try:
        status, entry = machine.world.fetch(machine, words[-1], named)
    except NetError as error:
        return Reply(error.code, stderr=f"curl: ({error.code}) {error}\n", takes_s=error.takes_s)
    fails = bool({"-f", "--fail"} & options.keys()) and status >= 400
    if fails:
        return Reply(22, stderr=f"curl: (22) The requested URL returned error: {status}\n")
    shown = options.get("-w", "").replace("%{http_code}", str(status)).replace("\\n", "\n")
    return _kept(machine, call, entry, target, shown)


@netutils("wget")
def wget(machine: Machine, call: Call) -> Reply:
    """Fetch a file."""
    words, options = operands(call, "-O -t -T --tries --timeout --output-document")
    target = options.get("-O") or options.get("--output-document") or posixpath.basename(words[-1])
    try:
        status, entry = machine.world.fetch(machine, words[-1])
    except NetError as error:
        return Reply(4, stderr=f"wget: no connection: {error}\n", takes_s=error.takes_s)
    if status >= 400:
        return Reply(8, stderr=f"{words[-1]}:\nERROR {status}.\n")
    return _kept(machine, call, entry, "" if target == "-" else target, "")


def _kept(machine: Machine, call: Call, entry: Entry, target: str, shown: str) -> Reply:
    """Print what was fetched, or keep it in a file once all of it is there."""
    takes_s = entry.size / machine.world.internet_bytes_per_s
    if not target:
        return Reply(0, entry.data + shown.encode(), takes_s=takes_s)

    def done() -> Reply:
        facts: Facts = {"digest": entry.digest, "size_bytes": entry.size_bytes}
        try:
            machine.files.write(call.path(target), entry.data, machine.who(call), **facts)
        except FileError as error:
            if call.argv[0] == "wget":
                return Reply(3, stderr=f"{target}: {error.says}\n")
            what = "Failure writing output to destination" if error.says == NO_SPACE else ""
            return Reply(23, stderr=f"curl: (23) {what or f'{target}: {error.says}'}\n")
        return Reply(0, shown)

    return Reply(takes_s=takes_s, finish=done)
