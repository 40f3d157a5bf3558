"""Getting at a restic repository: its place, its key, a login, and a way there.

Sources: restic's cmd/restic/global.go (OpenRepository, resolvePassword), internal/backend/s3 and
sftp; minio-go's credentials/file_aws_credentials.go.
"""

import configparser
import re
from typing import Any

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Reply
from homelab_lib.twin.machine.restic_store import Lock, Places, Repository, Snapshot, seconds
from homelab_lib.twin.machine.usage import Misused

NO_REPOSITORY, LOCKED, WRONG_KEY = 10, 11, 12
_NO_PROGRAM = 127
_NOT_YET = (
    b"repository does not exist",
    b"specified key does not exist",
    b"no such file or directory",
    b".repository does not exist",
    b".password does not exist",
)
_OLD = re.compile(r"0\.(\d|1[0-6])\.")  # before 0.17 each failure has status 1


def fatal(machine: Machine, what: str, status: int = 1) -> Misused:
    """restic's last words."""
    return Misused(Reply(1 if is_old(machine) else status, stderr=f"Fatal: {what}\n"))


def is_old(machine: Machine) -> bool:
    """Whether its restic is older than 0.17, which brought exit statuses, and a look for keys."""
    return _OLD.match(machine.packages.get("restic", "")) is not None


def places(machine: Machine) -> Places:
    """The world's repositories."""
    found: Places = machine.world.repositories
    return found


def place_of(machine: Machine, call: Call, options: dict[str, str]) -> str:
    """Where the repository is that a call means.

    Raises
    ------
    Misused
        It names none.
    """
    if "-r" in options or "--repo" in options:
        return options.get("-r") or options["--repo"]
    path = options.get("--repository-file", "")
    if not path:
        raise fatal(machine, "Please specify repository location (-r or --repository-file)")
    try:
        return machine.files.read(call.path(path), machine.who(call)).decode().strip()
    except FileError:
        raise fatal(machine, f"{path} does not exist") from None


def key_of(machine: Machine, call: Call, options: dict[str, str]) -> str:
    """The password that a call brings.

    Raises
    ------
    Misused
        It brings none.
    """
    if path := options.get("--password-file", ""):
        try:
            text = machine.files.read(call.path(path), machine.who(call)).decode()
        except FileError:
            raise fatal(machine, f"Resolving password failed: {path} does not exist") from None
        return text.strip()
    if password := call.env.get("RESTIC_PASSWORD", ""):
        return password
    raise fatal(machine, "an empty password is not allowed by default. Pass the flag "
                "`--insecure-no-password` to restic to disable this check")  # fmt: skip


def way_there(machine: Machine, call: Call, place: str) -> None:
    """A login at the place, and a way to it.

    Raises
    ------
    Misused
        There is none.
    """
    why = ""
    if place.startswith("s3:"):
        why = machine.world.internet(machine) or _no_login(machine, call)
    elif place.startswith("rest:"):
        why = machine.world.internet(machine)
    elif place.startswith("sftp:"):
        why = _no_ssh(machine, place)
    why = why or places(machine).why_not(place)
    if why:
        text = f"unable to open config file: {why}\nIs there a repository at the following"
        raise fatal(machine, f"{text} location?\n{place}")


def _no_login(machine: Machine, call: Call) -> str:
    """Why an S3 does not let it in; empty where it does."""
    if call.env.get("AWS_ACCESS_KEY_ID") and call.env.get("AWS_SECRET_ACCESS_KEY"):
        return ""
    path = call.env.get("AWS_SHARED_CREDENTIALS_FILE", "/root/.aws/credentials")
    told = configparser.ConfigParser(interpolation=None)
    try:
        told.read_string(machine.files.read(path, machine.who(call)).decode())
        keys = told["default"]
        if keys["aws_access_key_id"] and keys["aws_secret_access_key"]:
            return ""
    except (FileError, configparser.Error, KeyError):
        pass
    return "Stat: Access Denied."


def _no_ssh(machine: Machine, place: str) -> str:
    """Why its ssh does not come through; empty where it does."""
    host = place.removeprefix("sftp:").partition(":")[0].rpartition("@")[2]
    config = _ssh_config(machine, host)
    address = config.get("hostname", host)
    there = machine.world.find_ip(machine.world.resolve(machine, address))
    port = int(config.get("port", "22"))
    why = (
        machine.world.reach(machine, there.address, port)
        if there
        else machine.world.internet(machine)
    )
    if why:
        return f"ssh: connect to host {address} port {port}: {why}"
    if not machine.files.exists(config.get("identityfile", "")):
        return "user@: Permission denied (publickey)."
    known = machine.files.text(config.get("userknownhostsfile", ""))
    name = address if port == 22 else f"[{address}]:{port}"
    if name not in known.split():
        return "Host key verification failed."
    return ""


def _ssh_config(machine: Machine, host: str) -> dict[str, str]:
    """What its own pieces of ssh's configuration say of a host."""
    found: dict[str, str] = {}
    folder = "/etc/ssh/ssh_config.d"
    names = machine.files.listdir(folder) if machine.files.is_dir(folder) else []
    for name in names:
        mine = False
        for line in machine.files.text(f"{folder}/{name}").splitlines():
            key, _, value = line.strip().partition(" ")
            if key.lower() == "host":
                mine = host in value.split()
            elif mine and key:
                found.setdefault(key.lower(), value.strip())
    return found


def opened(machine: Machine, call: Call, options: dict[str, str]) -> Repository:
    """The repository that a call means, opened by its key.

    Raises
    ------
    Misused
        There is none, or it can't be come by, or the key is another one.
    """
    place = place_of(machine, call, options)
    key = key_of(machine, call, options)
    way_there(machine, call, place)
    _ask(machine, call, place, options, key)
    found = places(machine).repositories.get(local(machine, place))
    if found is None or not found.begun:
        missing = {"s3": "Stat: The specified key does not exist.", "sft": "file does not exist"}
        why = missing.get(place.partition(":")[0][:3], f"stat {place}/config: no such file or "
                          "directory")  # fmt: skip
        lead = "" if is_old(machine) else "repository does not exist: "
        raise fatal(machine, f"{lead}unable to open config file: {why}\nIs there a repository at "
                    f"the following location?\n{place}", NO_REPOSITORY)  # fmt: skip
    if found.damaged:
        why = f"config or key {found.id} is damaged: ciphertext verification failed"
        raise fatal(machine, why)
    if found.password != key:
        raise fatal(machine, "wrong password or no key found", WRONG_KEY)
    return found


def local(machine: Machine, place: str) -> str:
    """What tells a place from those of other machines."""
    return f"{machine.name}:{place}" if place.startswith("/") else place


def _ask(machine: Machine, call: Call, place: str, options: dict[str, str], key: str) -> None:
    """What the real host behind a seeded machine says of the repository."""
    name = local(machine, place)
    known = places(machine)
    if machine.ask is None or name in known.asked or name in known.repositories:
        return
    known.asked.add(name)
    files = [w for o in ("--repository-file", "--password-file") for w in (o, options.get(o, ""))]
    login = f"AWS_SHARED_CREDENTIALS_FILE={call.env.get('AWS_SHARED_CREDENTIALS_FILE', '')}"
    base = ("env", login, "restic", *files)
    ends = ("--no-lock", "--no-cache")
    said = machine.said(*base, "cat", "config", *ends)
    if said is None or said.status == _NO_PROGRAM or any(w in said.err for w in _NOT_YET):
        return  # there is none, or the host has not what it takes to look
    if b"wrong password or no key found" in said.err:
        known.repositories[name] = Repository("0" * 64, None)
        return
    if said.status:
        raise Misused(said)
    config: Any = machine.told(*base, "cat", "config", *ends)
    found = Repository(config["id"], key)
    for row in machine.told(*base, "snapshots", "--json", *ends) or ():
        where, tags = tuple(row["paths"]), tuple(row.get("tags") or ())
        time_s = seconds(row["time"])
        count = row.get("summary", {}).get("total_files_processed")
        one = Snapshot(row["id"], time_s, row["hostname"], where, tags, count=count)
        found.snapshots.append(one)
    listed = machine.said(*base, "list", "locks", *ends)
    for each in listed.out.decode().split() if listed and not listed.status else ():
        row = machine.told(*base, "cat", "lock", each, *ends)
        held = Lock(each, seconds(row["time"]), row["hostname"], row["pid"], row["exclusive"])
        found.locks.append(held)
    known.repositories[name] = found
