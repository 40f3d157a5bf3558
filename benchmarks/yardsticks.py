"""The tools that we measure ourselves by, where they are installed: pyinfra and ansible-core.

Each gets the same hosts and files as the engine, strict host keys, and what its own manual gives
for speed: pyinfra works on all hosts at once, ansible with as many forks as there are hosts, with
pipelining, and without gathering facts.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Places = dict[str, dict[str, str]]
"""Each host's ``port``, ``identity`` and ``known_hosts``."""


@dataclass(frozen=True)
class Tool:
    """A program that brings the files about.

    Parameters
    ----------
    name
        As the table has it.
    line
        How it is called.
    folder
        Below it, a folder for each host gets the files.
    environment
        What is set for it.
    """

    name: str
    line: list[str]
    folder: Path
    environment: dict[str, str]


Maker = Callable[[str, Path, Places, dict[str, str], str], Tool]


def _pyinfra(program: str, folder: Path, places: Places, texts: dict[str, str], owner: str) -> Tool:
    user, group = owner.split(":")
    hosts = [
        (name, {"ssh_hostname": "127.0.0.1", "ssh_port": int(p["port"]), "ssh_user": user,
                "ssh_key": p["identity"], "ssh_known_hosts_file": p["known_hosts"],
                "ssh_strict_host_key_checking": "yes", "folder": f"{folder}/{name}/etc"})
        for name, p in places.items()
    ]  # fmt: skip
    (folder / "inventory.py").write_text(f"hosts = {hosts!r}\n")
    (folder / "deploy.py").write_text(
        "from io import StringIO\nfrom pyinfra import host\nfrom pyinfra.operations import files\n"
        f"for name, text in {texts!r}.items():\n"
        "    files.put(src=StringIO(text), dest=f'{host.data.folder}/{name}', mode='644', "
        f"user={user!r}, group={group!r}, create_remote_dir=True)\n"
    )
    line = [program, "-y", str(folder / "inventory.py"), str(folder / "deploy.py")]
    return Tool("pyinfra", line, folder, {})


def _ansible(program: str, folder: Path, places: Places, texts: dict[str, str], owner: str) -> Tool:
    user, group = owner.split(":")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    hosts = {
        name: {"ansible_host": "127.0.0.1", "ansible_port": int(p["port"]), "ansible_user": user,
               "ansible_ssh_private_key_file": p["identity"],
               "ansible_ssh_common_args": f"-o UserKnownHostsFile={p['known_hosts']}",
               "ansible_python_interpreter": python, "folder": f"{folder}/{name}/etc"}
        for name, p in places.items()
    }  # fmt: skip
    owned = {"owner": user, "group": group}
    tasks = [
        {"ansible.builtin.file": {"path": "{{ folder }}", "state": "directory", **owned}},
        {
            "ansible.builtin.copy": {
                "dest": "{{ folder }}/{{ item.name }}", "content": "{{ item.text }}",
                "mode": "0644", **owned,
            },
            "loop": [{"name": name, "text": text} for name, text in texts.items()],
        },
    ]  # fmt: skip
    play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    (folder / "play.json").write_text(json.dumps(play))  # JSON is YAML, too
    line = [program, "-i", str(folder / "inventory.json"), "-f", str(len(places))]
    environment = {"ANSIBLE_PIPELINING": "True", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")}
    return Tool("ansible-core", [*line, str(folder / "play.json")], folder, environment)


_KNOWN: dict[str, tuple[str, Maker]] = {
    "PYINFRA": ("pyinfra", _pyinfra),
    "ANSIBLE_PLAYBOOK": ("ansible-playbook", _ansible),
}


def installed(folder: Path, places: Places, texts: dict[str, str], owner: str) -> list[Tool]:
    """The tools that are here: on the PATH, or where ``PYINFRA`` and ``ANSIBLE_PLAYBOOK`` say."""
    found = []
    for variable, (name, make) in _KNOWN.items():
        program = os.environ.get(variable) or shutil.which(name)
        if program is None:
            print(f"{name} is not installed, and not compared with; {variable}=PATH names it")
            continue
        own = folder / name
        own.mkdir()
        found.append(make(program, own, places, texts, owner))
    return found
