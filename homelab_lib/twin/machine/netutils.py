"""Programs that fetch from other machines.

Sources: curl(1); of curl 8, lib/vtls/vtls.c (`Curl_pin_peer_pubkey`), src/tool_parsecfg.c.
"""

import base64
import posixpath
import re
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urlsplit

from homelab_lib.twin.machine import certificates
from homelab_lib.twin.machine.entry import NO_SPACE, Entry, Facts, FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.surroundings import BODY, METHOD, NetError

netutils = Commands()

_TO_HTTPS = (301, b"Moved Permanently")
"""The one page of a twin that sends somebody elsewhere."""


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
    try:
        call = _configured(machine, call)
    except FileError as error:
        return Reply(26, stderr=f"curl: cannot read config: {error.says}\n")
    words, options = operands(
        call,
        "-H -o -m -w --max-time --connect-timeout --retry --header -X --cacert --resolve "
        "-d --data --data-binary -F --form --user --pinnedpubkey",
    )
    named = {h.partition(":")[0].lower(): h.partition(":")[2].strip() for h in _headers(call)}
    if "--user" in options:
        named["authorization"] = f"Basic {base64.b64encode(options['--user'].encode()).decode()}"
    try:
        named |= _posted(machine, call, options)
    except FileError as error:
        return Reply(26, stderr=f"curl: (26) Failed to open/read local data: {error.says}\n")
    target = options.get("-o", "")
    url = words[-1]
    told = ""
    try:
        told = _believed(machine, call, url, options)
        status, entry = machine.world.fetch(machine, *_sent_to(call, url, named))
        if {"-L", "--location"} & options.keys() and (status, entry.data) == _TO_HTTPS:
            url = url.replace("http://", "https://", 1)
            told += _believed(machine, call, url, options)
            status, entry = machine.world.fetch(machine, *_sent_to(call, url, named))
    except NetError as error:
        return Reply(error.code, stderr=f"curl: ({error.code}) {error}\n", takes_s=error.takes_s)
    fails = bool({"-f", "--fail"} & options.keys()) and status >= 400
    if fails:
        return Reply(22, stderr=f"curl: (22) The requested URL returned error: {status}\n")
    if "--fail-with-body" in options and status >= 400:
        return (
            Reply(22, entry.data, f"curl: (22) The requested URL returned error: {status}\n")
            if not target
            else _failed_into(machine, call, entry, target, status)
        )
    shown = options.get("-w", "").replace("%{http_code}", str(status)).replace("\\n", "\n")
    shown = shown.replace("%{certs}", _certificate(machine, call, url))
    if {"-I", "--head"} & options.keys():
        kept = Reply(0, f"HTTP/1.1 {status}\r\nContent-Length: {entry.size}\r\n\r\n{shown}")
    else:
        kept = _kept(machine, call, entry, target, shown)
    return replace(kept, stderr=told) if "-v" in options else kept


_WRITTEN = re.compile(
    r'^[ \t]*-{0,2}([\w-]+)(?:[ \t]*[=: \t][ \t]*("(?:[^"\\\n]|\\.)*"|\S*))?', re.MULTILINE
)


def _configured(machine: Machine, call: Call) -> Call:
    """The call with what a file of options says: what nobody is to see among the processes."""
    for flag in ("-K", "--config"):
        if flag in call.argv:
            place = call.argv.index(flag)
            source = call.argv[place + 1]
            text = call.stdin if source == "-" else machine.files.read(call.path(source))
            return replace(
                call, argv=(*call.argv[:place], *call.argv[place + 2 :], *_of_file(text.decode()))
            )
    return call


def _of_file(text: str) -> list[str]:
    """The options of such a file, a line each, as words; ``url`` needs no name."""
    words = []
    for name, value in _WRITTEN.findall(text):
        plain = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        words += [plain] if name == "url" else [f"--{name}", *([plain] if value else [])]
    return words


def _headers(call: Call) -> list[str]:
    """The headers that it is given, one by one or as lines of its standard input."""
    given = [call.argv[i + 1] for i, w in enumerate(call.argv[:-1]) if w in ("-H", "--header")]
    return [
        line
        for each in given
        for line in (call.stdin.decode().splitlines() if each == "@-" else [each])
    ]


def _posted(machine: Machine, call: Call, options: dict[str, str]) -> dict[str, str]:
    """Method and body of a request, under names that no header can have."""
    given = next((options[w] for w in ("--data-binary", "--data", "-d") if w in options), None)
    if (form := options.get("-F", options.get("--form"))) is not None:
        return {METHOD: "POST", BODY: _form(machine, call, form), "content-type": f"{_FORM}{_EDGE}"}
    method = options.get("-X") or ("GET" if given is None else "POST")
    if given == "@-":
        given = call.stdin.decode()
    if given is None and method == "GET":
        return {}
    return {METHOD: method, BODY: given or ""}


_FORM, _EDGE = "multipart/form-data; boundary=", "------------------------d74496d66958873e"


def _form(machine: Machine, call: Call, field: str) -> str:
    """One file as a form of one field has it: ``file=@/path;filename=x;type=text/plain``."""
    name, _, value = field.partition("=")
    path, *told = value.removeprefix("@").split(";")
    facts = dict(each.partition("=")[::2] for each in told)
    called = facts.get("filename", posixpath.basename(path))
    text = machine.files.read(call.path(path)).decode()
    return (
        f'--{_EDGE}\r\nContent-Disposition: form-data; name="{name}"; filename="{called}"\r\n'
        f"Content-Type: {facts.get('type', 'application/octet-stream')}\r\n\r\n{text}\r\n"
        f"--{_EDGE}--\r\n"
    )


def _failed_into(machine: Machine, call: Call, entry: Entry, target: str, status: int) -> Reply:
    """What a server said against it is in the file."""
    machine.files.write(call.path(target), entry.data, machine.who(call))
    return Reply(22, stderr=f"curl: (22) The requested URL returned error: {status}\n")


def _resolved(call: Call, url: str) -> str:
    """The address that `--resolve` gives for a URL's host and port; empty for none."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for word, value in pairwise(call.argv):
        head, _, address = value.rpartition(":")
        if word == "--resolve" and head == f"{parts.hostname}:{port}":
            return address
    return ""


def _sent_to(call: Call, url: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The URL by its address, and the host that is asked for."""
    address = _resolved(call, url)
    if not address:
        return url, headers
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    there = parts._replace(netloc=f"{address}{port}").geturl()
    return there, {"host": parts.hostname or ""} | headers


def _believed(machine: Machine, call: Call, url: str, options: dict[str, str]) -> str:
    """See that a server shows a certificate that is believed here, where servers show any; what
    ``-v`` tells of it."""
    name = urlsplit(url).hostname or ""
    chain = certificates.parsed(_certificate(machine, call, url))
    if not chain:
        return ""
    told = certificates.described(chain[0])
    pinned = options.get("--pinnedpubkey", "")
    if pinned and pinned != certificates.pin(chain[0]):
        raise NetError(90, "SSL: public key does not match pinned public key")
    if {"-k", "--insecure"} & options.keys():
        return told
    believed = machine.files.text(options.get("--cacert") or certificates.BUNDLE)
    # A twin that is seeded does not know what time it is where it was seeded.
    now_s = machine.world.clock.now() if machine.ask is None else None
    why = certificates.objection(chain, certificates.parsed(believed), name, now_s)
    if why:
        raise NetError(60, f"SSL certificate problem: {why}")
    return told


def _certificate(machine: Machine, call: Call, url: str) -> str:
    """What a server shows who is reached; empty for nothing."""
    parts = urlsplit(url)
    name, port = parts.hostname or "", parts.port or 443
    address = _resolved(call, url) or machine.world.resolve(machine, name)
    server = machine if address == "127.0.0.1" else machine.world.find_ip(address)
    if server is None or parts.scheme != "https" or port not in server.tls:
        return ""
    if server is not machine and machine.world.reach(machine, address, port):
        return ""
    return str(server.tls[port](name))


@netutils("update-ca-certificates")
def update_ca_certificates(machine: Machine, call: Call) -> Reply:
    """Believe what lies in the folder for one's own authorities."""
    folder = "/usr/local/share/ca-certificates/"
    own = sorted(path for path in machine.files.entries if path.startswith(folder))
    texts = [machine.files.text(path) for path in own if path.endswith(".crt")]
    machine.files.mkdir("/etc/ssl/certs", parents=True)
    machine.files.put(certificates.BUNDLE, "".join(texts))
    return Reply(0, f"Updating certificates in /etc/ssl/certs...\n{len(texts)} added, 0 removed; "
                 "done.\n", takes_s=1.0)  # fmt: skip


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
    takes_s = entry.served_s + entry.size / machine.world.internet_bytes_per_s
    if not target:
        return Reply(0, entry.data + shown.encode(), takes_s=takes_s)
    if target == "/dev/null":
        return Reply(0, shown, takes_s=takes_s)

    def done() -> Reply:
        facts: Facts = {"digest": entry.digest, "size_bytes": entry.size_bytes}
        facts["mtime_s"] = machine.world.clock.now()
        try:
            machine.files.write(call.path(target), entry.data, machine.who(call), **facts)
        except FileError as error:
            if call.argv[0] == "wget":
                return Reply(3, stderr=f"{target}: {error.says}\n")
            what = "Failure writing output to destination" if error.says == NO_SPACE else ""
            return Reply(23, stderr=f"curl: (23) {what or f'{target}: {error.says}'}\n")
        return Reply(0, shown)

    return Reply(takes_s=takes_s, finish=done)
