"""Kubernetes' own control plane, built from Debian's source package.

It is built once, takes a quarter of an hour on two cores, and is kept in the user's cache under
its version. Sources come from the mirror of this machine's own apt, whose state isn't touched.

Debian has carried no more of Kubernetes than its client since 1.20: the source packages of later
suites (1.32 in trixie, 1.36 in sid) have neither ``cmd/kube-apiserver`` nor ``pkg``.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

TOOLS = {
    "dpkg-source": "dpkg-dev",
    "make": "make",
    "patch": "patch",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "openssl": "openssl",
}
"""What building and running needs, with the package of each."""

VERSION = "1.20.2"
SUITE = "bookworm"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
_WITH = (
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-modern-go-reflect2-dev",
    "rsync",
)
_GO = "usr/lib/go-1.19"
_REFLECT = "github.com/modern-go/reflect2"
_KNOWN_AS = f"""\
KUBE_GIT_COMMIT=''
KUBE_GIT_TREE_STATE='archive'
KUBE_GIT_VERSION='v{VERSION}'
KUBE_GIT_MAJOR='1'
KUBE_GIT_MINOR='20'
"""
_APT = """\
Dir::State "{0}/state";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Acquire::Languages "none";
APT::Sandbox::User "root";
"""


def programs() -> Path:
    """The folder with the programs, built if they are not there yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "homelab-kube" / VERSION
    if all((folder / name).exists() for name in PROGRAMS):
        return folder
    work = folder.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    source, tools = _fetched(work)
    _reflect(source, tools)
    built = _built(source, tools)
    folder.mkdir(exist_ok=True)
    for name in PROGRAMS:
        os.replace(built / name, folder / name)
    shutil.rmtree(work)
    return folder


def _fetched(work: Path) -> tuple[Path, Path]:
    """The source with Debian's patches, and a root with what builds it: nothing is installed."""
    apt = work / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    kinds = (f"{kind} {_mirror()} {SUITE} main\n" for kind in ("deb", "deb-src"))
    (apt / "sources.list").write_text("".join(kinds))
    (apt / "apt.conf").write_text(_APT.format(apt))
    conf = {"APT_CONFIG": str(apt / "apt.conf")}
    _run(["apt-get", "update", "-qq"], work, conf)
    _run(["apt-get", "source", "-qq", "kubernetes"], work, conf)
    _run(["apt-get", "download", "-qq", *_WITH], work, conf)
    tools = work / "tools"
    for package in work.glob("*.deb"):
        _run(["dpkg", "-x", package.name, tools.name], work)
    (source,) = work.glob("kubernetes-*/")
    return source, tools


def _mirror() -> str:
    """Where this machine's own Debian comes from."""
    words = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return next(
        line.split()[-1] for line in said.splitlines() if line.startswith("Debian Debian http")
    )


def _reflect(source: Path, tools: Path) -> None:
    """A library as vendored there dies under this Go; Debian's own is one that doesn't."""
    vendored = source / "vendor" / _REFLECT
    for old in (*vendored.glob("*.go"), *vendored.glob("*.s")):
        old.unlink()
    for new in (tools / "usr/share/gocode/src" / _REFLECT).glob("*.go"):
        shutil.copy(new, vendored)
    (vendored / "reflect2_amd64.s").touch()  # without it the compiler wants whole functions


def _built(source: Path, tools: Path) -> Path:
    """All programs, by Kubernetes' own makefile, beside whatever else this machine does."""
    (source / "version").write_text(_KNOWN_AS)
    home = source / ".go/src/k8s.io"
    home.mkdir(parents=True)
    (home / "kubernetes").symlink_to("../../..")
    env = {
        "GOROOT": str(tools / _GO),
        "GOPATH": str(source / ".go"),
        "GOCACHE": str(source / ".cache"),
        "GO111MODULE": "off",
        "GOFLAGS": "-p=2",
        "CGO_ENABLED": "0",
        "KUBE_GIT_VERSION_FILE": str(source / "version"),
        "PATH": f"{tools / _GO / 'bin'}:{tools / 'usr/bin'}:{os.environ['PATH']}",
    }
    what = " ".join(f"cmd/{name}" for name in PROGRAMS)
    _run(["nice", "-n", "10", "make", f"WHAT={what}"], source, env)
    return source / "_output/local/bin/linux/amd64"


def _run(words: Sequence[str], folder: Path, more: dict[str, str] | None = None) -> None:
    subprocess.run(words, cwd=folder, check=True, env={**os.environ, **(more or {})})


if __name__ == "__main__":
    print(programs())
