"""What stands on paper, as a drill that is held as after a fire takes it from there."""

from homelab_lib.control.proxmox.backup_key import from_paper
from homelab_lib.errors import SecretUnresolved
from homelab_lib.lab.backups import Repository
from homelab_lib.lab.storage import VmStorage
from homelab_lib.runbook.step import Context
from homelab_lib.secret import Secret


def of_repository(repository: Repository, key: str, ctx: Context) -> Secret:
    """What stands on the paper of a repository at an S3, a line each: the key, and the login.

    Parameters
    ----------
    repository, key
        The repository, and where its key is taken from.
    ctx
        Of the step that wants it.
    """
    login = (repository.secrets["access_key_id"], repository.secrets["secret_access_key"])
    parts = [ctx.secret(each) for each in (key, *login)]
    return Secret(parts[0].name, lambda: "".join(each.reveal().strip() + "\n" for each in parts))


def of_server(store: VmStorage, key: str, ctx: Context) -> Secret:
    """What stands on the paper of a backup server's datastore, a line each: the token's secret, and
    the key. A key in which a character is another one is told before anything is sent.

    Parameters
    ----------
    store, key
        The storage that names the datastore, and where its key is taken from.
    ctx
        Of the step that wants it.
    """
    token, typed = ctx.secret(str(store.password)), ctx.secret(key)

    def reveal() -> str:
        try:
            text = typed.reveal()
        except SecretUnresolved as error:
            raise SecretUnresolved(
                f"the key to {store.name} that stands on paper is not there: {error.what}",
                where=key,
                fix=f"{error.fix}. It is drawn when {store.name} is entered, and printed by step "
                f"key-{store.name}: until then leave the drill out, by skip",
            ) from None
        return f"{token.reveal().strip()}\n{from_paper(text, key)}\n"

    return Secret(typed.name, reveal)
