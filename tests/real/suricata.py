"""Suricata between two ends of a wire, with a configuration as OPNsense renders it.

What our settings decide in OPNsense's template is here, too: networks at home, rulesets, the
algorithm. Where files lie differs, and the capture: netmap is FreeBSD's, AF_PACKET is Linux's.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from pathlib import Path

from homelab_lib.lab.firewall import Ids
from homelab_lib.models.ids_policy import Signature
from homelab_lib.models.packet_filter import Packet
from real.opensshd import until
from real.wires import LAST_PORT, Wires, inside, ip, namespace, wire

INSIDE, OUTSIDE = "inside", "outside"
START_S = 30.0
_NOBODY = "02:00:00:00:cc:01"  # a bridge sends to all its ports what is for one it never heard of
_LAST = 1
_LAST_RULESET = "last.rules"
_LAST_RULE = f'alert udp any any -> any {LAST_PORT} (msg:"the last packet"; sid:{_LAST};)'
_TEMPLATE = """%YAML 1.1
---
vars:
  address-groups:
    HOME_NET: "[{home}]"
    EXTERNAL_NET: "!$HOME_NET"
  port-groups:
    HTTP_PORTS: "80"
    SSH_PORTS: 22
stats: {{enabled: no}}
outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert: {{tagged-packets: yes}}
        - drop: {{alerts: yes, flows: start}}
logging:
  default-log-level: notice
  outputs:
    - console: {{enabled: no}}
    - file: {{enabled: yes, filename: suricata.log}}
unix-command: {{enabled: no}}
classification-file: {folder}/classification.config
mpm-algo: {matcher}
stream: {{inline: {inline}}}
flow: {{memcap: 32mb, hash-size: 1024, prealloc: 100}}
app-layer: {{protocols: {{}}}}
af-packet:
{capture}
default-rule-path: {folder}/opnsense.rules
rule-files:
{rulesets}
"""


def written(signature: Signature, action: str) -> str:
    """A signature as a ruleset has it: UDP to the port that its number ends in."""
    metadata = ", ".join(
        f"{name} {value}"
        for name, values in signature.properties.items()
        for value in values
        if name != "classtype"
    )
    off = action == "disable"
    return (
        f"{'# ' if off else ''}{signature.action if off else action}"
        f" udp $HOME_NET any -> $EXTERNAL_NET {port(signature)}"
        f' (msg:"HL {signature.number}"; sid:{signature.number}; rev:1;'
        f"{f' metadata:{metadata};' if metadata else ''})"
    )


def port(signature: Signature) -> int:
    return signature.number % 10_000


def configured(
    folder: Path, ids: Ids, home: Sequence[str], rules: Mapping[str, Sequence[str]]
) -> Path:
    """Its configuration, in a folder of its own.

    Parameters
    ----------
    folder
        Where.
    ids
        What the lab says of inspection.
    home
        Networks at home, where it says none.
    rules
        Lines by ruleset.
    """
    (folder / "opnsense.rules").mkdir(parents=True)
    (folder / "classification.config").write_text("")
    for name, lines in {**rules, _LAST_RULESET: [_LAST_RULE]}.items():
        (folder / "opnsense.rules" / name).write_text("".join(f"{line}\n" for line in lines))
    ips = ids.mode == "ips"
    pairs = [(INSIDE, OUTSIDE), (OUTSIDE, INSIDE)] if ips else [(INSIDE, "")]
    capture = "".join(
        f"  - {{interface: {one}, cluster-id: {number}, threads: 1, use-mmap: yes"
        + (f", copy-mode: ips, copy-iface: {other}" if other else "")
        + "}\n"
        for number, (one, other) in enumerate(pairs, 91)
    )
    file = folder / "suricata.yaml"
    file.write_text(
        _TEMPLATE.format(
            home=",".join(ids.home_networks or home),
            folder=folder,
            matcher=ids.pattern_matcher or "ac",
            inline="true" if ips else "auto",
            capture=capture,
            rulesets="".join(f"  - {name}\n" for name in (*ids.rulesets, _LAST_RULESET)),
        )
    )
    return file


def accepted(file: Path) -> subprocess.CompletedProcess[str]:
    """What Suricata says of a configuration; OPNsense asks for its exit status alone."""
    words = ["suricata", "-T", "-c", str(file), "-l", str(file.parent)]
    return subprocess.run(words, capture_output=True, text=True, timeout=START_S)


class Inspected(Wires):
    """Two ends with Suricata between them. Made by `inspected`."""

    def asked(self, signatures: Sequence[Signature]) -> set[Signature]:
        """Send what each signature is about from inside; those whose packet comes out."""
        source, to = ip_address("10.0.10.17"), ip_address("198.51.100.7")
        packets = {Packet(INSIDE, source, to, "udp", port(s), 40_000): s for s in signatures}
        return {packets[packet] for packet in self.arrived(packets)}


@contextmanager
def inspected(file: Path, ids: Ids) -> Iterator[Inspected]:
    """Suricata at work between two ends; after that it has written down all that it saw."""
    with ExitStack() as made:
        middle = namespace(made)
        wires = {end: wire(made, middle, end) for end in (INSIDE, OUTSIDE)}
        if ids.mode == "ids":  # it looks on, and a bridge carries
            ip(middle, "link add br0 type bridge", "link set br0 addrgenmode none")
            ip(middle, *(f"link set {end} master br0" for end in wires), "link set br0 up")
        log = file.parent / "suricata.log"
        process = subprocess.Popen(
            [*inside(middle), "suricata", "-c", str(file), "-l", str(file.parent), "--af-packet"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(f"it is at work: {log}", lambda: _at_work(process, log), START_S)
            ends = [ip_address(f"192.0.2.{n}") for n in (1, 2)]
            last = Packet(INSIDE, *ends, "udp", LAST_PORT, LAST_PORT)
            yield Inspected(wires, {OUTSIDE: last}, _NOBODY)
            until("it tells of the last packet", lambda: _LAST in _alerts(file))
        finally:
            process.terminate()
            process.wait(START_S)


def _at_work(process: subprocess.Popen[bytes], log: Path) -> bool:
    said = log.read_text() if log.exists() else ""
    assert process.poll() is None, said
    return "Engine started" in said


def told(file: Path) -> dict[int, str]:
    """By the number of each signature that fired, what was done: ``allowed``, ``blocked``."""
    return {number: action for number, action in _alerts(file).items() if number != _LAST}


def _alerts(file: Path) -> dict[int, str]:
    lines = (file.parent / "eve.json").read_text().splitlines(keepends=True)
    events = (json.loads(line) for line in lines if line.endswith("\n"))
    alerts = [event["alert"] for event in events if event["event_type"] == "alert"]
    return {alert["signature_id"]: alert["action"] for alert in alerts}
