"""What a pool holds, before OpenZFS's own code: its library makes random pools without a kernel."""

import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from homelab_lib.models.zfs import Vdev, capacity

pytestmark = pytest.mark.real
SOURCE = Path(__file__).with_name("pools.c")
POOLS = 500
WORDS = {"text": True, "capture_output": True, "check": False}
SIZES = (10**9, 16 * 10**12)  # ext4 has no file of 16 TiB
REFUSED = "error"


def _flags():
    """How to link with the library, and its version; none where it isn't there."""
    if shutil.which("cc") is None or shutil.which("pkg-config") is None:
        return None, "this machine has no cc and pkg-config (packages gcc, pkg-config)"
    version = subprocess.run(["pkg-config", "--modversion", "libzfs"], **WORDS)
    if version.returncode:
        return None, "this machine has no libzpool (package libzfslinux-dev, of contrib)"
    return tuple(int(part) for part in version.stdout.split("-")[0].split(".")), ""


@pytest.fixture(scope="module")
def openzfs(tmp_path_factory):
    """Asks OpenZFS what pools hold: its version, and a function from pools to its answers."""
    version, why = _flags()
    if version is None:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("openzfs")
    found = ["pkg-config", "--cflags", "--libs", "libzfs"]
    flags = subprocess.run(found, **WORDS).stdout.split()
    allocates = f"-DSPA_PROP_GET_ALLOCATES={int(version < (2, 3))}"
    program = folder / "pools"
    built = subprocess.run(
        ["cc", "-O1", "-Wall", allocates, SOURCE, "-o", program, *flags, "-lzpool", "-lnvpair"],
        **WORDS,
    )
    assert built.returncode == 0, built.stderr
    disks = folder / "disks"
    disks.mkdir()

    def ask(pools):
        told = "\n".join("".join(map(_line, vdevs)) for vdevs in pools) + "\n"
        done = subprocess.run([program, disks], input=told, **WORDS)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return version, ask


def _line(vdev):
    sizes = " ".join(map(str, vdev.disk_bytes))
    return f"{vdev.role} {vdev.layout} {vdev.ashift} {sizes}\n"


def _vdev(random, role="data"):
    kind = "stripe" if role in ("cache", "spare") else random.choice(
        ("stripe", "mirror") if role != "data" else ("stripe", "mirror", "raidz", "raidz", "draid")
    )  # fmt: skip
    width = 1
    layout = kind
    if kind == "mirror":
        width = random.randint(2, 4)
    elif kind == "raidz":
        parity = random.randint(1, 3)
        layout, width = f"raidz{parity}", random.randint(parity + 1, 12)
    elif kind == "draid":
        parity, data, spares = random.randint(1, 3), random.randint(1, 8), random.randint(0, 2)
        layout = f"draid{parity}:{data}d:{spares}s"
        width = parity + data + spares + random.randint(0, 6)
    usual = random.randint(*SIZES) if random.random() < 0.7 else random.randint(10**8, 10**11)
    spread = random.choice((0, 0, 10**6, usual // 2))
    sizes = tuple(usual - random.randint(0, spread) for _ in range(width))
    ashift = random.choice((9, 12, 12, 12, 13, 14, 16))
    return Vdev(layout, sizes, role=role, ashift=ashift, whole_disk=False)


def _pool(random):
    pool = [_vdev(random) for _ in range(random.choice((1, 1, 1, 2, 3, 6)))]
    for role in ("special", "dedup", "log", "cache", "spare"):
        if random.random() < 0.15:
            pool.append(_vdev(random, role))
    return pool


def _reckoned(pool, version):
    found = capacity(pool, openzfs=version)
    return f"{found.size_bytes} {found.usable_bytes}"


def test_random_pools_agree_to_the_byte(openzfs):
    version, ask = openzfs
    random = Random(20260826)
    pools = [_pool(random) for _ in range(POOLS * 11 // 10)]  # it refuses some
    answers = ask(pools)
    assert len(answers) == len(pools)
    taken = [(p, a) for p, a in zip(pools, answers, strict=True) if not a.startswith(REFUSED)]
    assert len(taken) >= POOLS
    wrong = [(p, a, r) for p, a in taken if (r := _reckoned(p, version)) != a]
    assert wrong == []


def test_it_would_see_a_slip(openzfs):
    version, ask = openzfs
    raidz = Vdev("raidz2", (4 * 10**12,) * 4, whole_disk=False)
    smaller = Vdev("raidz2", (4 * 10**12 - 2**34,) * 4, whole_disk=False)
    (answer,) = ask([[raidz]])
    assert answer == _reckoned([raidz], version)
    assert answer != _reckoned([smaller], version)
