"""Tunnels to Cloudflare: a service reached by a name in the world, without an open port."""

import json
from collections.abc import Iterator

from homelab_lib.control.linux import File, cloudflared
from homelab_lib.control.linux.unit_file import FOLDER, OwnService, unit_text
from homelab_lib.errors import BadParameter, HomelabError
from homelab_lib.lab import Lab
from homelab_lib.lab.remote import CloudflareTunnel
from homelab_lib.recipes.ways_in.package_source import installed
from homelab_lib.runbook.step import Check, Context, Manual, Step, Wanted
from homelab_lib.secret import Secret

_LINUX = ("proxmox", "debian", "ubuntu", "linux")
_METRICS_PORT = 20241
_READY_S = 60.0


def steps(lab: Lab, phase: int) -> Iterator[Step]:
    """The tunnels of a phase.

    Parameters
    ----------
    lab, phase
        The lab, and the number of its phase.

    Raises
    ------
    BadParameter
        One is to run where we can't set it up.
    """
    found = [each for each in lab.cloudflare_tunnels.values() if each.phase == phase]
    for number, each in enumerate(found):
        end = f"-{each.name}" if len(found) > 1 else ""
        tunnel = Tunnel(lab, each, _METRICS_PORT + number)
        name = f"cloudflare{end}"
        yield Step(
            name,
            f"Run the Cloudflare tunnel {each.name} on {each.runs_on}",
            why="The daemon calls out to Cloudflare, so no port of the firewall is opened. Its "
            "token lies in a file that only root reads, and whoever is let in by each name is "
            "written down: nobody says that everybody may, unless somebody does.",
            ensure=tunnel.ensure,
            check=tunnel.check,
        )
        if each.ingress:
            yield Step(
                f"hostnames{end}",
                f"Publish the names of {each.name}, each behind its policy",
                why="Names and policies are kept with Cloudflare. A name that asks strangers who "
                "they are sends them to Cloudflare Access first, which is seen from anywhere.",
                needs=(name,),
                manual=Manual(tunnel.ask(), verify=tunnel.guarded, or_confirmed=True),
            )


class Tunnel:
    """One tunnel; see `steps`."""

    def __init__(self, lab: Lab, tunnel: CloudflareTunnel, port: int) -> None:
        self.lab = lab
        self.tunnel = tunnel
        self.port = port
        self.unit = f"cloudflared-{tunnel.name}"
        host = lab.hosts.get(tunnel.runs_on)
        system = lab.system(tunnel.runs_on)
        kind = system.kind if system else "a cluster"
        if kind not in _LINUX or tunnel.runs_on not in lab.machines() or (host and host.standalone):
            raise BadParameter(
                f"tunnel {tunnel.name} is to run on {tunnel.runs_on}, which is {kind}, or where no "
                "runbook logs in",
                where=f"cloudflare_tunnels.{tunnel.name}.runs_on",
                fix=f"put it on a machine with {', '.join(_LINUX)}; or make it there by hand and "
                "say exists: true",
            )

    @property
    def _token(self) -> str:
        return f"/etc/cloudflared/{self.tunnel.name}.token"

    @property
    def _config(self) -> str:
        return f"/etc/cloudflared/{self.tunnel.name}.yml"

    def ensure(self, ctx: Context) -> Iterator[Wanted]:
        """The package, the token, what it leads to, and the service."""
        host, lab = self.tunnel.runs_on, self.lab.name
        yield from installed(self.lab, host, "cloudflared", self.tunnel.source)
        given = ctx.secret(self.tunnel.token)
        token = Secret(given.name, lambda: given.reveal().strip() + "\n")
        yield File(host, self._token, token, mode="600", what="the tunnel's token", lab=lab)
        yield File(host, self._config, self._rules(), what="what the tunnel leads to", lab=lab)
        files = (self._token, self._config)
        command = (
            f"/usr/bin/cloudflared --no-autoupdate --config {self._config} tunnel "
            f"--metrics 127.0.0.1:{self.port} run --token-file {self._token}"
        )
        text = unit_text(f"Cloudflare tunnel {self.tunnel.name}", command, self.unit, files)
        yield File(host, f"{FOLDER}/{self.unit}.service", text, what="its unit file", lab=lab)
        yield OwnService(host, self.unit, files)

    def _rules(self) -> str:
        """Its ingress rules; whatever name none of them has is answered by 404. A document in JSON
        is one in YAML, too."""
        rules = [{"hostname": e.hostname, "service": e.service} for e in self.tunnel.ingress]
        return json.dumps({"ingress": [*rules, {"service": "http_status:404"}]}, indent=2) + "\n"

    def check(self, ctx: Context) -> Iterator[Check]:
        """Its rules are right, everybody is let in nowhere, and it is connected."""
        host = ctx.host(self.tunnel.runs_on)
        said = cloudflared.validate(host, self._config)
        lines = (said.stdout + said.stderr).strip().splitlines()
        yield Check(
            f"the rules of {self.tunnel.name} are right",
            not said.exit_status,
            lines[-1] if lines else "",
        )
        for each in self.tunnel.ingress:
            says = f"{each.who}" if each.who else (
                f"{each.service} would be open to everybody in the world: say who, by a policy of "
                "Cloudflare Access"
            )  # fmt: skip
            yield Check(f"{each.hostname} is for somebody", bool(each.who), says)
        ready = 0
        for _ in ctx.looks(_READY_S):
            ready = cloudflared.ready_connections(host, self.port)
            if ready:
                break
        yield Check(f"{self.tunnel.name} is connected", ready > 0, f"{ready} connections")

    def ask(self) -> str:
        """What is set up in Cloudflare's dashboard."""
        lines = [f"in the Zero Trust dashboard, tunnel {self.tunnel.name}, publish:"]
        lines += [f"      {e.hostname} → {e.service}" for e in self.tunnel.ingress]
        lines.append("    and an Access application for each:")
        lines += [f"      {e.hostname}: {e.who}" for e in self.tunnel.ingress if e.who]
        return "\n".join(lines)

    def guarded(self, ctx: Context) -> Check:
        """Whether every name asks strangers who they are."""
        title = f"every name of {self.tunnel.name} asks who one is"
        try:
            host = ctx.host(self.tunnel.runs_on)
            names = [each.hostname for each in self.tunnel.ingress]
            open_ = [name for name in names if not cloudflared.asks_who(host, name)]
        except HomelabError as error:
            return Check(title, False, error.what)
        says = f"does not, or does not answer yet: {', '.join(open_)}"
        return Check(title, not open_, says if open_ else ", ".join(names))
