"""Writes ``homelab_lib/twin/README.md``: what each call of the twin rests on, by release.

Run by ``make fidelity``. How many verdicts were compared is counted in the appliances' own data.
"""

from collections import Counter
from collections.abc import Iterator

from contract.oracle import ROOT, contract
from homelab_lib.lab.releases import KNOWN
from homelab_lib.twin.fidelity import Fidelity, Grounds
from homelab_lib.twin.kubernetes.grounds import GROUNDS as KUBERNETES
from homelab_lib.twin.machine.grounds import FREEBSD
from homelab_lib.twin.machine.grounds import GROUNDS as MACHINE
from homelab_lib.twin.opnsense.grounds import GROUNDS as OPNSENSE
from homelab_lib.twin.opnsense.shell_grounds import SHELL_GROUNDS
from homelab_lib.twin.proxmox.grounds import GROUNDS as PROXMOX
from homelab_lib.twin.truenas.grounds import GROUNDS as TRUENAS

README = ROOT / "homelab_lib" / "twin" / "README.md"
ROOMS = {
    "TrueNAS": ("truenas", TRUENAS),
    "Proxmox VE": ("proxmox", PROXMOX),
    "Kubernetes": ("k3s", KUBERNETES),
    "OPNsense": ("opnsense", (*OPNSENSE, *SHELL_GROUNDS)),
    "What every Linux machine has": ("", MACHINE),
    "What a FreeBSD has beside that": ("", FREEBSD),
}

_HEAD = """\
# What the twin's answers rest on

A rehearsal is worth what checks it from outside. Of each call that the twin knows stands here, by
release, what has checked its answer: `recorded` (a real one said so, or the real program ran
beside ours), `validator` (the appliance's own code judged the same calls), `source` (read there),
`documentation`, `guessed`. A plan sums up what its changes rest on. A release that has no column
is not known: it stops a plan.

A validator judges what a call is given: whether it is taken, and what is said against it. What the
twin then makes of it, nobody's validator has seen: on what that rests stands under *then does*,
where it is something else.

`make fidelity` writes this page from the tables of the rooms (`grounds.py`); the last column
counts the verdicts of appliances' own code that `make test-contract` compares, call by call.
"""


def verdicts() -> Counter[str]:
    """How many verdicts of real appliances are compared, by call."""
    counted: Counter[str] = Counter()
    for _, method, *_ in contract("truenas-calls.jsonl.gz"):
        counted[f"midclt call {method}"] += 1
    for row in contract("opnsense-verdicts-shared.jsonl.gz"):
        counted[f"{row['method']} {row['path'].partition('?')[0]}"] += 1
    counted["qm create"] += len(contract("qm-create.json")["rows"])
    return counted


def page(counted: Counter[str]) -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, (product, grounds) in ROOMS.items():
        parts.append(f"\n## {title}\n\n" + "\n".join(_table(product, grounds, counted)) + "\n")
    return "".join(parts)


def _table(product: str, grounds: tuple[Grounds, ...], counted: Counter[str]) -> Iterator[str]:
    columns = [series.name for series in KNOWN if series.product == product] or ["rests on"]
    yield f"| call | {' | '.join(columns)} | then does | by | verdicts |"
    yield f"| --- |{' --- |' * (len(columns) + 3)}"
    for call in dict.fromkeys(each.call for each in grounds):
        mine = [each for each in grounds if each.call == call]
        cells = [_rests(mine, column) for column in columns]
        does = ", ".join(dict.fromkeys(str(each.does) for each in mine if each.does))
        sources = "; ".join(dict.fromkeys(each.source for each in mine))
        yield f"| `{call}` | {' | '.join(cells)} | {does} | {sources} | {counted[call] or ''} |"


def _rests(grounds: list[Grounds], series: str) -> str:
    fits = [each for each in grounds if not each.releases or series in each.releases]
    fits.sort(key=lambda each: (not each.releases, list(Fidelity).index(each.rests)))
    return str(fits[0].rests) if fits else ""


if __name__ == "__main__":
    README.write_text(page(verdicts()))
