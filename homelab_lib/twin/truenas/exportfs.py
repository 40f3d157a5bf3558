"""`exportfs`: what the NFS server exports."""

from homelab_lib.twin.machine.program import Call, Commands, Reply
from homelab_lib.twin.truenas.nas import TrueNas
from homelab_lib.twin.truenas.tables import Row

server = Commands()


@server("exportfs")
def exportfs(nas: TrueNas, call: Call) -> Reply:
    """What the NFS server exports."""
    rows = nas.exports() if nas.services["nfs"].running else []
    lines = [
        f"{row['path']} \t{network}({_options(row, nas.config['nfs']['allow_nonroot'])})\n"
        for row in rows
        for network in (row["networks"] or ["<world>"])
    ]
    return Reply(0, "".join(lines))


def _options(row: Row, allow_nonroot: bool) -> str:
    """Options as `exportfs -v` prints them."""
    squash = "all_squash" if row["mapall_user"] else "no_root_squash"
    if not row["mapall_user"] and row["maproot_user"] != "root":
        squash = "root_squash"
    access = "ro" if row["ro"] else "rw"
    secure = "insecure" if allow_nonroot else "secure"
    root = "no_all_squash" if squash != "all_squash" else "all_squash"
    words = ["sync", "wdelay", "hide", "no_subtree_check", "sec=sys", access, secure]
    return ",".join(words + ([squash, root] if squash != root else [root]))
