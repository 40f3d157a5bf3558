"""Which calls of the Proxmox VE tools only read."""

from collections.abc import Sequence

from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare, reads_only

_AGENT_ASKED = ("network-get-interfaces", "ping", "get-osinfo", "get-host-name", "info")
_QM = Allowed(
    "config,list,status,listsnapshot,pending,showcmd,cloudinit dump,cloudinit pending,"
    "guest exec-status",
    "--full --pretty --verbose",
    "--current --snapshot",
)
_GUEST_EXEC = Allowed("guest exec", "", "--timeout --synchronous")


def _qm(words: Sequence[str]) -> bool:
    match words:
        case ["guest", "cmd", _, command]:
            return command in _AGENT_ASKED
        case ["guest", "exec", *_] if "--" in words:
            ours, inside = words[: words.index("--")], words[words.index("--") + 1 :]
            return len(ours) > 2 and _GUEST_EXEC(ours) and bool(inside) and reads_only(inside)
    return _QM(words)


declare("qm", _qm)
# GET has no effect in the API; these are its parameters that we have a use for.
declare(
    "pvesh",
    Allowed(
        "get,ls,usage",
        "--noborder --noheader --verbose",
        "--output-format --check-node --content --current --enabled --errors --full --limit --pid "
        "--pci-class-blacklist --skipsmart --snapshot --since --source --start --storage --type "
        "--typefilter --until --vmid",
    ),
)
declare("pvesm", Allowed("status,list,path", "", "--content --enabled --format --storage --vmid"))
declare("pveversion", Allowed("", "-v --verbose"))
declare("ifreload", Allowed("", "-V --version"))
# Its status mounts boot partitions in a namespace of its own, and unmounts them.
declare("proxmox-boot-tool", Allowed("status,kernel list"))
declare("dkms", Allowed("status"))
declare("mokutil", Allowed("", "--sb-state"))
