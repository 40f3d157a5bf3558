"""How a machine gets at a restic repository: its files, and nothing secret anywhere else."""

from collections.abc import Iterator, Mapping

from homelab_lib.control.linux import File, Packages
from homelab_lib.control.linux import restic as control
from homelab_lib.control.linux.restic import Access
from homelab_lib.lab import Lab
from homelab_lib.lab.backups import Login, Repository, sftp_parts
from homelab_lib.runbook.step import Context, Wanted
from homelab_lib.secret import Secret


def reached(lab: Lab, machine: str, repository: Repository, ctx: Context) -> Iterator[Wanted]:
    """restic on a machine, and a repository that is ours.

    Parameters
    ----------
    lab, machine, repository
        The lab, the machine, and what it is to get at.
    ctx
        Of the step that wants it.
    """
    access = Access(repository.name)
    yield Packages(machine, ("restic",))  # whoever has an SSH server has its client, too
    secrets = {name: ctx.secret(ref) for name, ref in repository.secrets.items()}
    yield File(machine, access.place, _place(repository, secrets), mode="600",
               what=f"where {repository.name} is", lab=lab.name)  # fmt: skip
    yield File(machine, access.password, _line(ctx.secret(repository.password)), mode="600",
               what=f"the key to {repository.name}", lab=lab.name)  # fmt: skip
    if repository.kind == "s3":
        yield File(machine, access.credentials, _login(secrets), mode="600",
                   what=f"the login at {repository.name}", lab=lab.name)  # fmt: skip
    if repository.kind == "sftp":
        yield from _by_ssh(lab, machine, repository, secrets["login_key"])
    yield control.Repository(machine, access, lab.name, shared=repository.exists)


def _line(secret: Secret) -> Secret:
    return Secret(secret.name, lambda: secret.reveal().strip() + "\n")


def _place(repository: Repository, secrets: Mapping[Login, Secret]) -> str | Secret:
    """Its address as restic is given it; with a login in it, a secret."""
    if repository.kind == "sftp":
        _, _, folder = sftp_parts(repository.url)
        return f"sftp:{_alias(repository)}:{folder}\n"
    if repository.kind == "rest" and secrets:
        scheme, _, rest = repository.url.removeprefix("rest:").partition("://")
        user, password = secrets["user"], secrets["password"]
        return Secret(
            password.name,
            lambda: f"rest:{scheme}://{user.reveal().strip()}:{password.reveal().strip()}@{rest}\n",
        )
    return f"{repository.url}\n"


def _login(secrets: Mapping[Login, Secret]) -> Secret:
    """As the S3 client reads it."""
    id_, key = secrets["access_key_id"], secrets["secret_access_key"]
    return Secret(
        key.name,
        lambda: (
            f"[default]\naws_access_key_id = {id_.reveal().strip()}\n"
            f"aws_secret_access_key = {key.reveal().strip()}\n"
        ),
    )


def _alias(repository: Repository) -> str:
    return f"homelab-{repository.name}"


def _by_ssh(lab: Lab, machine: str, repository: Repository, key: Secret) -> Iterator[Wanted]:
    """A login of its own, at a host that is known by its keys alone."""
    user, host, _ = sftp_parts(repository.url)
    base, port = f"{control.FOLDER}/{repository.name}", repository.ssh_port
    name = host if port == 22 else f"[{host}]:{port}"
    known = "".join(f"{name} {each}\n" for each in repository.host_keys)
    config = (
        f"Host {_alias(repository)}\n  HostName {host}\n  User {user}\n  Port {port}\n"
        f"  IdentityFile {base}.key\n  IdentitiesOnly yes\n  BatchMode yes\n"
        f"  UserKnownHostsFile {base}.known_hosts\n  StrictHostKeyChecking yes\n"
        "  ServerAliveInterval 60\n"
    )
    yield File(machine, f"{base}.key", _line(key), mode="600",
               what=f"the login key at {repository.name}", lab=lab.name)  # fmt: skip
    yield File(machine, f"{base}.known_hosts", known, lab=lab.name,
               what=f"the keys by which {host} is known")  # fmt: skip
    yield File(machine, f"/etc/ssh/ssh_config.d/{_alias(repository)}.conf", config, lab=lab.name,
               what=f"how ssh gets to {repository.name}")  # fmt: skip
