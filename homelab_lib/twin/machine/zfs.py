"""`zfs`: datasets of a Linux machine, as far as file systems are made, set up and looked at.

Source: zfs(8), zfsprops(7), zfs_main.c of OpenZFS 2.2 and 2.3.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from homelab_lib.twin.machine.files import FileSystem
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.machine.tree import Mount
from homelab_lib.twin.machine.usage import Usage

zfs_programs = Commands()

PACKAGE = "zfsutils-linux"
SCRUBS = "/etc/cron.d/zfsutils-linux"
_MONTHLY = """\
PATH=/usr/local/sbin:/usr/local/bin:/sbin:/bin:/usr/sbin:/usr/bin

# TRIM the first Sunday of every month.
24 0 1-7 * * root if [ $(date +\\%w) -eq 0 ] && [ -x /usr/lib/zfs-linux/trim ]; \
then /usr/lib/zfs-linux/trim; fi

# Scrub the second Sunday of every month.
24 0 8-14 * * root if [ $(date +\\%w) -eq 0 ] && [ -x /usr/lib/zfs-linux/scrub ]; \
then /usr/lib/zfs-linux/scrub; fi
"""
_DEFAULTS = {"recordsize": "131072", "quota": "0", "mountpoint": "", "mounted": "no"}
_ROOT_USED_BYTES = 405_504  # of a pool that was just made
_INHERITED = ("recordsize", "mountpoint")
_LARGEST_RECORD_BYTES = 2**24
_READ_ONLY = ("mounted", "used", "available")
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_GET = Usage("H p o: t: s: r d:", status=2)
_LIST = Usage("H p o: t: s: r d:", status=2)
_CREATE = Usage("o: p u v n", least=1, most=1, status=2)
_ASKED = (
    "recordsize",
    "quota",
    "mountpoint",
    "mounted",
    "homelab:lab",
    "org.debian:periodic-scrub",
)


@dataclass(frozen=True)
class Group:
    """A vdev.

    Parameters
    ----------
    role, layout
        What it is for, and how it is made: ``data``, ``raidz2``.
    members
        What the kernel calls its partitions: ``sda1``.
    """

    role: str
    layout: str
    members: tuple[str, ...]


@dataclass
class Dataset:
    """A file system.

    Parameters
    ----------
    own
        Properties that were set on it.
    mounted
        Whether it is.
    made_s, scrubbed_s
        Of a pool's own: when it was made, and when it was read through last while the
        distribution's job was still there [s since 1970].
    state
        Of a pool's own: ``ONLINE``, or what is wrong with the pool.
    vdevs, usable_bytes
        Of a pool's own: what it is made of, and what it holds [bytes].
    """

    own: dict[str, str] = field(default_factory=dict)
    mounted: bool = True
    made_s: float = field(default=0.0, compare=False)  # two are the same whenever they were made
    scrubbed_s: float | None = field(default=None, compare=False)
    state: str = "ONLINE"
    vdevs: tuple[Group, ...] = ()
    usable_bytes: int = 0


def has_zfs(machine: Machine) -> None:
    """Have a machine know ZFS, and scrub its pools once a month."""
    machine.packages.setdefault(PACKAGE, "2.3.2-2")
    datasets(machine)
    machine.files.mkdir("/etc/cron.d", parents=True)
    machine.files.put(SCRUBS, _MONTHLY)


def stand_up_datasets(machine: Machine, before_phase: int) -> None:
    """The datasets that earlier phases have made, of pools that are there."""
    lab = machine.world.lab
    for dataset in sorted(lab.datasets.get(machine.name, {}).values(), key=lambda d: d.name):
        there = dataset.phase is None or dataset.phase < before_phase
        if there and dataset.pool in datasets(machine):
            own = {"recordsize": dataset.recordsize_bytes, "quota": dataset.quota_bytes}
            given = {key: str(value) for key, value in own.items() if value}
            mark = {} if dataset.exists else {"homelab:lab": lab.name}
            add(machine, dataset.name, given | mark)


def datasets(machine: Machine) -> dict[str, Dataset]:
    """A machine's datasets by name; of a seeded one, as the real one says."""
    if "zfs" not in machine.kept:
        machine.kept["zfs"] = dict(_seeded(machine))
    found: dict[str, Dataset] = machine.kept["zfs"]
    return found


def _seeded(machine: Machine) -> Iterator[tuple[str, Dataset]]:
    words = ("zfs", "get", "-H", "-p", "-t", "filesystem", "-o", "name,property,value,source")
    said = machine.said(*words, ",".join(_ASKED))
    rows = [line.split("\t") for line in said.out.decode().splitlines()] if said else []
    found: dict[str, Dataset] = {}
    for name, key, value, source in (row for row in rows if len(row) == 4):
        dataset = found.setdefault(name, Dataset())
        if key == "mounted":
            dataset.mounted = value == "yes"
        elif source == "local" or (key == "mountpoint" and source != "-"):
            dataset.own[key] = value
    yield from found.items()


def add(
    machine: Machine,
    name: str,
    own: dict[str, str] | None = None,
    vdevs: tuple[Group, ...] = (),
    usable_bytes: int = 0,
) -> None:
    """Have a dataset there, and mounted; with vdevs, a pool."""
    datasets(machine)[name] = Dataset(
        dict(own or {}), made_s=machine.now_s(), vdevs=vdevs, usable_bytes=usable_bytes
    )
    place = _effective(machine, name, "mountpoint")[0]
    if not place.startswith("/"):
        datasets(machine)[name].mounted = False
        return
    machine.files.mkdir(place, parents=True)
    machine.files.mount(Mount(place, FileSystem(), "/", name, "zfs", "rw,xattr,noacl"))


def is_mounted(machine: Machine, place: str) -> bool:
    """Whether a file system is mounted at a place."""
    return place in machine.files.mounts or any(
        each.mounted and _effective(machine, name, "mountpoint")[0] == place
        for name, each in datasets(machine).items()
    )


def _effective(machine: Machine, name: str, key: str) -> tuple[str, str]:
    """Value and source of a property."""
    found = datasets(machine)
    own = found[name].own
    if key == "mounted":
        return ("yes" if found[name].mounted else "no"), "-"
    if key in _READ_ONLY:
        return str(_room(found, name)[key]), "-"
    if key in own:
        return own[key], "local"
    above, _, last = name.rpartition("/")
    if key == "mountpoint":
        if not above:
            return f"/{name}", "default"
        place, source = _effective(machine, above, key)
        told = source if source.startswith(("inherited", "default")) else f"inherited from {above}"
        return (f"{place.rstrip('/')}/{last}" if place.startswith("/") else place), told
    if above and (key in _INHERITED or ":" in key):
        value, source = _effective(machine, above, key)
        return value, f"inherited from {above}" if source == "local" else source
    return (_DEFAULTS[key], "default") if key in _DEFAULTS else ("-", "-")


def _room(found: dict[str, Dataset], name: str) -> dict[str, int]:
    """What a dataset takes, and what its pool still has [bytes]: its data are not counted."""
    whole = found[name.partition("/")[0]].usable_bytes
    used = _ROOT_USED_BYTES if "/" not in name else 0
    return {"used": min(used, whole), "available": max(whole - _ROOT_USED_BYTES, 0)}


@zfs_programs("zfs")
def zfs(machine: Machine, call: Call) -> Reply:
    """Make, set up, mount and look at datasets."""
    if PACKAGE not in machine.packages:
        return Reply(127, stderr=f"sh: 1: {call.argv[0]}: not found\n")
    verb, own = (call.argv[1:2] or ("",))[0], call.other("zfs", *call.argv[2:])
    if verb in ("get", "list"):
        return _get(machine, own) if verb == "get" else _list(machine, own)
    if call.user != "root" and verb in ("create", "set", "mount"):
        return Reply(1, stderr=f"cannot {verb} dataset: permission denied\n")
    match verb:
        case "create":
            return _create(machine, own)
        case "set":
            return _set(machine, own)
        case "mount":
            return _mount(machine, own)
    return Reply(2, stderr=f"unrecognized command '{verb}'\n")


def _missing(name: str) -> Reply:
    return Reply(1, stderr=f"cannot open '{name}': dataset does not exist\n")


def _get(machine: Machine, call: Call) -> Reply:
    given = _GET.of(call)
    keys, names = given.words[0].split(","), given.words[1:] or list(datasets(machine))
    columns = (given.get("o") or "name,property,value,source").split(",")
    out = "" if "H" in given else "NAME  PROPERTY  VALUE  SOURCE\n"
    for name in names:
        if name not in datasets(machine):
            return _missing(name)
        for key in keys:
            if key not in _DEFAULTS and key not in _READ_ONLY and ":" not in key:
                return Reply(2, stderr=f"bad property list: invalid property '{key}'\n")
            value, source = _effective(machine, name, key)
            row = {"name": name, "property": key, "value": value, "source": source}
            out += "\t".join(row[column] for column in columns) + "\n"
    return Reply(0, out)


def _list(machine: Machine, call: Call) -> Reply:
    given = _LIST.of(call)
    columns = (given.get("o") or "name,mountpoint").split(",")
    out = "" if "H" in given else "\t".join(columns).upper() + "\n"
    for name in given.words or sorted(datasets(machine)):
        if name not in datasets(machine):
            return _missing(name)
        cells = [name if c == "name" else _effective(machine, name, c)[0] for c in columns]
        out += "\t".join(cells) + "\n"
    return Reply(0, out)


def _create(machine: Machine, call: Call) -> Reply:
    given = _CREATE.of(call)
    name, own = given.words[0], {}
    for _, option in given.all:
        key, equals, value = option.partition("=")
        if equals:
            own[key], why = _sound(key, value)
            if why:
                return Reply(1, stderr=f"cannot create '{name}': {why}\n")
    found = datasets(machine)
    above = name.rpartition("/")[0]
    if name in found:
        return Reply(1, stderr=f"cannot create '{name}': dataset already exists\n")
    if name.partition("/")[0] not in found:
        return Reply(1, stderr=f"cannot create '{name}': no such pool '{name.partition('/')[0]}'\n")
    if above not in found:
        return Reply(1, stderr=f"cannot create '{name}': parent does not exist\n")
    add(machine, name, own)
    return Reply()


def _set(machine: Machine, call: Call) -> Reply:
    *pairs, name = call.argv[1:]
    if name not in datasets(machine):
        return _missing(name)
    for pair in pairs:
        key, _, value = pair.partition("=")
        sound, why = _sound(key, value)
        if why:
            return Reply(1, stderr=f"cannot set property for '{name}': {why}\n")
        datasets(machine)[name].own[key] = sound
    return Reply()


def _mount(machine: Machine, call: Call) -> Reply:
    name = call.argv[-1]
    if name not in datasets(machine):
        return _missing(name)
    if datasets(machine)[name].mounted:
        return Reply(1, stderr=f"cannot mount '{name}': filesystem already mounted\n")
    datasets(machine)[name].mounted = True
    place = _effective(machine, name, "mountpoint")[0]
    machine.files.mkdir(place, parents=True)
    machine.files.mount(Mount(place, FileSystem(), "/", name, "zfs", "rw,xattr,noacl"))
    return Reply()


def _sound(key: str, value: str) -> tuple[str, str]:
    """A property's value in exact numbers, and why it can't be set."""
    if ":" in key or key == "mountpoint":
        return value, ""
    if key in _READ_ONLY:
        return value, f"'{key}' is readonly"
    if key not in _DEFAULTS:
        return value, f"invalid property '{key}'"
    unit = _UNITS.get(value[-1:].upper(), 1)
    digits = value[:-1] if unit > 1 else value
    if value == "none":
        return "0", ""
    if not digits.isdecimal():
        return value, f"bad numeric value '{value}'"
    number = int(digits) * unit
    if key == "recordsize" and (
        number & (number - 1) or not 512 <= number <= _LARGEST_RECORD_BYTES
    ):
        return value, f"'{key}' must be power of 2 from 512B to 16M"
    return str(number), ""
