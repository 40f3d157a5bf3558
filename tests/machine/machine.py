"""A machine under qemu, its disks known by their serials; its power can be cut, a disk pulled."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine.image import PROGRAMS, image

_FIRMWARE = Path("/usr/share/OVMF")
_BOOT_S = 600.0  # where the processor is only emulated, systemd takes minutes
_SSH = ("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")


def missing(**others: str) -> list[str]:
    """Packages that are not there, by a program of each.

    Parameters
    ----------
    others
        What a test needs besides: a program, and its package.
    """
    needed = PROGRAMS | {"qemu-system-x86_64": "qemu-system-x86"} | others
    return [package for program, package in needed.items() if shutil.which(program) is None]


class Machine:
    """Made by `machine`.

    Parameters
    ----------
    folder
        Where its disks lie.
    disks
        Serial numbers of its data disks, with their sizes [bytes].
    """

    def __init__(self, folder: Path, disks: Mapping[str, int]) -> None:
        self.folder, self.disks = folder, dict(disks)
        self.base = image()
        self.port = _free_port()
        self._qemu: subprocess.Popen[bytes] | None = None
        root = folder / "root.qcow2"
        _quiet("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.base, "-F", "qcow2", root)
        shutil.copy(_FIRMWARE / "OVMF_VARS_4M.fd", folder / "vars.fd")
        for serial, size_bytes in disks.items():
            (folder / serial).touch()
            os.truncate(folder / serial, size_bytes)
        (folder / "ssh_config").write_text(self.ssh_config)

    @property
    def ssh_config(self) -> str:
        """How to log in, for OpenSSH and for the runbooks."""
        return (
            "Host nas\n HostName 127.0.0.1\n"
            f" Port {self.port}\n User root\n IdentitiesOnly yes\n"
            f" IdentityFile {self.base.parent / 'id_ed25519'}\n"
            f" UserKnownHostsFile {self.folder / 'known_hosts'}\n"
        )

    def start(self) -> None:
        """Switch it on, and wait until somebody can log in."""
        code = f"if=pflash,format=raw,readonly=on,file={_FIRMWARE / 'OVMF_CODE_4M.fd'}"
        words = [
            *(
                "qemu-system-x86_64",
                "-machine",
                "q35",
                "-accel",
                os.environ.get("HOMELAB_ACCEL", "tcg"),
            ),
            *("-cpu", "max", "-m", "2048", "-smp", "2", "-display", "none"),
            *("-drive", code, "-drive", f"if=pflash,format=raw,file={self.folder / 'vars.fd'}"),
            *("-drive", f"file={self.folder / 'root.qcow2'},if=virtio"),
            *("-netdev", f"user,id=lan,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22"),
            *("-device", "virtio-net-pci,netdev=lan", "-device", "virtio-scsi-pci,id=scsi"),
            *("-qmp", f"unix:{self.folder / 'qmp'},server=on,wait=off"),
            *("-serial", f"file:{self.folder / 'serial.log'}"),
        ]
        for serial in self.disks:
            words += [
                "-blockdev",
                f"driver=file,node-name={serial},filename={self.folder / serial}",
            ]
            words += ["-device", ",".join(f"{k}={v}" for k, v in _disk(serial).items())]
        self._qemu = subprocess.Popen(words)
        self._until_up()

    def _until_up(self) -> None:
        known = self.folder / "known_hosts"
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            assert self._qemu is not None
            assert self._qemu.poll() is None, "qemu has ended"
            if not known.exists() or not known.stat().st_size:
                _learn(known, self.port)
            elif self.ssh("true", check=False).returncode == 0:
                return
            time.sleep(2)
        said = (self.folder / "serial.log").read_text(errors="replace")[-2000:]
        raise TimeoutError(f"nobody can log in after {_BOOT_S:g} s; the console says:\n{said}")

    def ssh(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there, as root."""
        words = ["ssh", "-F", str(self.folder / "ssh_config"), *_SSH, "nas", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.stderr or done.stdout}")
        return done

    def says(self, command: str) -> str:
        """What a command prints there."""
        return self.ssh(command).stdout.strip()

    def cut_power(self) -> None:
        """No goodbye: what was not on its disks is gone."""
        assert self._qemu is not None
        self._qemu.kill()
        self._qemu.wait()

    def pull(self, serial: str) -> None:
        """Take a disk out while it runs."""
        self._tell("device_del", {"id": f"disk-{serial}"})

    def plug(self, serial: str) -> None:
        """Put a disk back that was pulled."""
        self._tell("device_add", _disk(serial))

    def _tell(self, what: str, arguments: Mapping[str, str]) -> None:
        """Something by QMP."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(30)
            line.connect(str(self.folder / "qmp"))
            talk = line.makefile("rw")
            talk.readline()
            for asked in (
                {"execute": "qmp_capabilities"},
                {"execute": what, "arguments": dict(arguments)},
            ):
                talk.write(json.dumps(asked) + "\n")
                talk.flush()
                answer: dict[str, Any] = {}
                while not answer.keys() & {"return", "error"}:
                    answer = json.loads(talk.readline())
                assert "return" in answer, answer


def _disk(serial: str) -> dict[str, str]:
    return {"driver": "scsi-hd", "drive": serial, "serial": serial, "id": f"disk-{serial}"}


@contextmanager
def machine(folder: Path, disks: Mapping[str, int]) -> Iterator[Machine]:
    """A machine that is switched on; nothing of it remains."""
    made = Machine(folder, disks)
    try:
        made.start()
        yield made
    finally:
        if made._qemu is not None and made._qemu.poll() is None:
            made.cut_power()


def _learn(known: Path, port: int) -> None:
    """Pin its key, as a person does who sees it on the console."""
    words = ["ssh-keyscan", "-T", "5", "-t", "ed25519", "-p", str(port), "127.0.0.1"]
    said = subprocess.run(words, capture_output=True, text=True).stdout
    known.write_text(said)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _quiet(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)
