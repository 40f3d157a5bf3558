"""Ollama on a machine without Kubernetes: its archive, unpacked, and a service of systemd."""

from collections.abc import Iterator

from homelab_lib.control.linux import Download, File, Packages
from homelab_lib.control.linux.unit_file import FOLDER, OwnService, unit_text
from homelab_lib.control.linux.unpacked import Unpacked
from homelab_lib.lab import Lab
from homelab_lib.recipes.inference.servers import PORT, ModelServer
from homelab_lib.runbook.step import Wanted

UNIT = "ollama"
PREFIX = "/usr/local"
_STATE = f"/var/lib/{UNIT}"


def installed(lab: Lab, server: ModelServer) -> Iterator[Wanted]:
    """The programs, and the service that runs them with a user of its own.

    Parameters
    ----------
    lab, server
        The lab, and the server.
    """
    machine = server.card.machine
    yield Packages(machine, ("curl", "zstd"))
    for name in server.ollama.archives:
        download = lab.downloads[name]
        archive = f"/var/lib/homelab/{download.url.rpartition('/')[2]}"
        yield Download(
            machine,
            archive,
            download.url,
            download.sha256,
            what=f"{name} {download.version}",
            size_bytes=download.size_bytes,
            lab=lab.name,
            timeout_s=3600.0,
        )
        yield Unpacked(
            machine, archive, download.sha256, PREFIX, f"{PREFIX}/bin/ollama", lab=lab.name
        )
    path = f"{FOLDER}/{UNIT}.service"
    told = server.environment() | {
        "OLLAMA_HOST": f"127.0.0.1:{PORT}",
        "OLLAMA_MODELS": f"{_STATE}/models",
        "HOME": _STATE,
    }
    text = unit_text(
        "Ollama, a server of language models",
        f"{PREFIX}/bin/ollama serve",
        UNIT,
        (path, f"{PREFIX}/bin/ollama"),
        (
            "DynamicUser=yes",
            f"StateDirectory={UNIT}",
            "SupplementaryGroups=render video",
            *(f"Environment={key}={value}" for key, value in sorted(told.items())),
            *_loaded(server),
        ),
    )
    yield File(machine, path, text, what="Ollama's service", lab=lab.name)
    yield OwnService(machine, UNIT, (path, f"{PREFIX}/bin/ollama"))


def _loaded(server: ModelServer) -> Iterator[str]:
    """Its models are in memory before it counts as started; where that fails it runs all the
    same."""
    if server.loading:
        text = server.loading.replace("$", "$$").replace("''", '""')
        yield f"ExecStartPost=-/bin/sh -c '{text}'"
        yield "TimeoutStartSec=900"
