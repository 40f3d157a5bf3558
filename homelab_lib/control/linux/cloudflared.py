"""cloudflared: whether a tunnel is connected, and whether its ingress rules are right.

Sources: cloudflared's metrics/readiness.go (``/ready``: 200 with ``readyConnections``, 503 for
none) and cmd/cloudflared/tunnel/ingress_subcommands.go.
"""

from homelab_lib import answers
from homelab_lib.runbook.resource import Host
from homelab_lib.transport.command import Result
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import declare

declare("cloudflared", Allowed("tunnel ingress validate,version", "", "--config"))


def ready_connections(host: Host, port: int) -> int:
    """Connections to Cloudflare that a tunnel's daemon has; 0 where it does not answer."""
    words = ("curl", "-s", "-m", "5", f"http://127.0.0.1:{port}/ready")
    shown = host.read(*words, ok=None)
    if shown.exit_status or not shown.stdout.strip():
        return 0
    shape = {"readyConnections": int}
    found = answers.understood(shown.stdout, shape, host=host.name, line=" ".join(words))
    return int(found["readyConnections"])


def validate(host: Host, config: str) -> Result:
    """What `cloudflared` says of the ingress rules in a configuration file."""
    words = ("cloudflared", "tunnel", "--config", config, "ingress", "validate")
    return host.read(*words, ok=None, sudo=True)


def asks_who(host: Host, name: str) -> bool:
    """Whether a name in the world sends strangers to Cloudflare Access first."""
    shown = host.read("curl", "-s", "-I", "-m", "10", f"https://{name}/", ok=None).stdout
    where = [line for line in shown.lower().splitlines() if line.startswith("location:")]
    return any(".cloudflareaccess.com/" in line for line in where)
