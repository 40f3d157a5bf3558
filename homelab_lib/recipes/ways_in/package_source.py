"""Packages that the distribution does not have: their key, their source, and then they."""

from collections.abc import Iterator

from homelab_lib.control.linux import Download, File, Packages
from homelab_lib.lab import Lab
from homelab_lib.lab.remote import PackageSource
from homelab_lib.runbook.step import Wanted


def installed(lab: Lab, host: str, package: str, source: PackageSource | None) -> Iterator[Wanted]:
    """A package on a Debian, from a source of its own where one is given.

    Parameters
    ----------
    lab, host, package
        The lab, the machine, and what it gets.
    source
        Where it is from; None: the distribution has it.
    """
    if source is not None:
        keyring = f"/usr/share/keyrings/{package}-archive-keyring.gpg"
        download = lab.downloads[source.keyring]
        yield Download(
            host,
            keyring,
            download.url,
            download.sha256,
            what=f"the key that signs {package}",
            size_bytes=download.size_bytes,
            lab=lab.name,
        )
        where = f"{source.url.rstrip('/')} {source.suite} {source.component}"
        yield File(
            host,
            f"/etc/apt/sources.list.d/{package}.list",
            f"deb [signed-by={keyring}] {where}\n",
            what=f"the package source of {package}",
            lab=lab.name,
        )
    yield Packages(host, (package,), anew=source is not None)
