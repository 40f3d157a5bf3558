"""Proxmox's API of interfaces on a machine's own files, as the twin has it; what is applied, the
real ifupdown2 makes. Run as ``pvesh`` in a namespace of its own."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from homelab_lib.twin.proxmox.interfaces import FILE, STAGED
from homelab_lib.twin.proxmox.network_calls import calls
from homelab_lib.twin.proxmox.schema import PveError

VERBS = {"get": "GET", "create": "POST", "set": "PUT", "delete": "DELETE"}


class Files:
    """What the API needs of a file system."""

    exists = staticmethod(lambda path: Path(path).exists())
    text = staticmethod(lambda path: Path(path).read_text())
    put = staticmethod(lambda path, text: Path(path).write_text(text))
    remove = staticmethod(lambda path: Path(path).unlink())


def machine():
    """The machine that this runs on, as far as the API asks."""
    shown = subprocess.run(["ip", "-j", "-d", "link"], capture_output=True, text=True, check=True)
    rows = [row for row in json.loads(shown.stdout) if row["ifname"] != "lo"]
    kinds = {row["ifname"]: row.get("linkinfo", {}).get("info_kind", "") for row in rows}
    return SimpleNamespace(
        files=Files,
        cards=[SimpleNamespace(name=n, driver="veth") for n, k in kinds.items() if k == "veth"],
        interfaces=[SimpleNamespace(name=r["ifname"], up="UP" in r["flags"]) for r in rows],
    )


def apply():
    """What is staged becomes the file, and ifupdown2 makes it so; it ends well all the same."""
    if Path(STAGED).exists():
        Path(STAGED).rename(FILE)
    made = subprocess.run(["ifreload", "-a"], capture_output=True, text=True, check=False)
    print(made.stdout, made.stderr)
    if made.returncode:
        print(f"TASK ERROR: command 'ifreload -a' failed: exit code {made.returncode}")
    print("UPID:pve:000003E8:00001B58:6B041C2E:srvreload:networking:root@pam:")


def main(verb, path, *words):
    options = dict(zip((word.lstrip("-") for word in words[::2]), words[1::2], strict=True))
    options.pop("output-format", None)
    if verb == "set" and path.endswith("/network"):
        return apply()
    method, of_path = calls.find(VERBS[verb], path)
    print(json.dumps(method.body(machine(), options | of_path)))
    return None


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except PveError as error:
        sys.exit(error.text)
