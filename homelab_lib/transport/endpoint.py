"""Where a host is reached and as whom, as the SSH configuration says."""

import getpass
import glob
import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from homelab_lib.errors import BadParameter
from homelab_lib.transport.library import enable_match_exec, paramiko

USER_CONFIG = Path("~/.ssh/config")
DEFAULT_IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"

_INCLUDES_DEEP = 16  # as deep as OpenSSH follows them


@dataclass(frozen=True)
class Endpoint:
    """A host's SSH login.

    Parameters
    ----------
    name
        What the lab calls the host.
    address, port, user
        Where, and as whom.
    identity_files
        Private keys to come with.
    identities_only
        From the agent, offer only keys whose public half lies beside an identity file.
    use_agent
        Whether the agent is asked at all.
    known_hosts_files
        Where the host's key may be written down; the first one is named in advice.
    host_key_alias
        The name under which the host's key is filed, if not its address.
    proxy_jump
        The host to go through.
    shell
        What parses a command line there: ``sh``, or ``csh`` (OPNsense's root).
    connect_timeout_s
        How long each part of connecting may take: TCP, banner and keys, login [s].
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity_files: tuple[str, ...] = ()
    identities_only: bool = False
    use_agent: bool = True
    known_hosts_files: tuple[str, ...] = ()
    host_key_alias: str = ""
    proxy_jump: "Endpoint | None" = None
    shell: Literal["sh", "csh"] = "sh"
    connect_timeout_s: float = 10.0

    @property
    def place(self) -> str:
        """``10.0.30.10:22``, as errors name it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    @property
    def key_name(self) -> str:
        """The name that known_hosts has for it: ``10.0.30.10``, or ``[127.0.0.1]:2201``."""
        if self.host_key_alias:
            return self.host_key_alias.lower()
        address = self.address.lower()
        return address if self.port == 22 else f"[{address}]:{self.port}"

    @classmethod
    def resolve(
        cls,
        name: str,
        *,
        address: str | None = None,
        port: int = 22,
        user: str = "root",
        shell: Literal["sh", "csh"] = "sh",
        config: Path | None = None,
    ) -> "Endpoint":
        """What `ssh name` would do; what the configuration leaves open, the arguments say.

        Parameters
        ----------
        name
            The host's name, in the lab and in the configuration.
        address, port, user, shell
            What the lab says. Without an address, the name is looked up.
        config
            An ``ssh_config``; None for ``~/.ssh/config``.

        Raises
        ------
        BadParameter
            The configuration can't be read, or asks for what we can't do.
        """
        parsed, source = _load(config)
        fallback = cls(name, address or name, port, user, shell=shell)
        return _resolve(fallback, parsed, source, ())


def _resolve(
    fallback: Endpoint, config: paramiko.SSHConfig, source: Path, on_the_way: tuple[str, ...]
) -> Endpoint:
    name = fallback.name
    try:
        options = config.lookup(name)
    except (paramiko.ssh_exception.CouldNotCanonicalize, ImportError, ValueError) as error:
        raise BadParameter(f"{name}: {error}", where=str(source)) from None
    if options.get("proxycommand", "none").lower() != "none":
        raise BadParameter(
            f"{name} has a ProxyCommand, which we can't use", where=str(source), fix="use ProxyJump"
        )
    files = [
        *shlex.split(options.get("userknownhostsfile", DEFAULT_KNOWN_HOSTS)),
        *shlex.split(options.get("globalknownhostsfile", GLOBAL_KNOWN_HOSTS)),
    ]
    return replace(
        fallback,
        address=options["hostname"] if options["hostname"] != name else fallback.address,
        port=int(_number("Port", options.get("port", str(fallback.port)), source)),
        user=options.get("user", fallback.user),
        identity_files=_identities(options.get("identityfile", [])),
        identities_only=options.get("identitiesonly", "no").lower() == "yes",
        use_agent=options.get("identityagent", "").lower() != "none",
        known_hosts_files=tuple(_home(file) for file in files if file.lower() != "none"),
        host_key_alias=options.get("hostkeyalias", ""),
        proxy_jump=_jumps(options.get("proxyjump", "none"), config, source, (*on_the_way, name)),
        connect_timeout_s=_number(
            "ConnectTimeout", options.get("connecttimeout", str(fallback.connect_timeout_s)), source
        ),
    )


def _number(option: str, value: str, source: Path) -> float:
    """The value of an option that has to be a number."""
    try:
        return float(value)
    except ValueError:
        raise BadParameter(f"{option} {value!r} is not a number", where=str(source)) from None


def _jumps(
    hops: str, config: paramiko.SSHConfig, source: Path, on_the_way: tuple[str, ...]
) -> Endpoint | None:
    """``ProxyJump a,b``: through `a` to `b`, and from there on."""
    via: Endpoint | None = None
    for hop in hops.split(",") if hops.lower() != "none" else ():
        parts = re.fullmatch(
            r"(?:ssh://)?(?:(?P<user>.+)@)?(?P<host>\[[^]]+\]|[^:\[\]]+)(?::(?P<port>\d+))?/?",
            hop.strip(),
        )
        if parts is None:
            raise BadParameter(f"ProxyJump {hop!r} is not [user@]host[:port]", where=str(source))
        host = parts["host"].strip("[]")
        if host in on_the_way:
            continue  # `Host *` with a ProxyJump means the jump host too; it is not its own way
        jump = _resolve(Endpoint(host, host, user=getpass.getuser()), config, source, on_the_way)
        via = replace(
            jump,
            user=parts["user"] or jump.user,
            port=int(parts["port"] or jump.port),
            proxy_jump=via or jump.proxy_jump,
        )
    return via


def _identities(configured: list[str]) -> tuple[str, ...]:
    if configured:
        return tuple(_home(file) for file in configured if file.lower() != "none")
    return tuple(_home(file) for file in DEFAULT_IDENTITIES if Path(_home(file)).exists())


def _home(file: str) -> str:
    return str(Path(file).expanduser())


def _load(config: Path | None) -> tuple[paramiko.SSHConfig, Path]:
    source = (config or USER_CONFIG).expanduser()
    if config is None and not source.exists():
        return paramiko.SSHConfig(), source
    try:
        lines = _lines(source, source.parent)
        if any(re.match(r"\s*match\b.*\bexec\b", line, re.IGNORECASE) for line in lines):
            enable_match_exec()
        return paramiko.SSHConfig.from_text("\n".join(lines)), source
    except (OSError, UnicodeDecodeError, paramiko.ConfigParseError) as error:
        raise BadParameter(
            f"the SSH configuration can't be read: {error}", where=str(source)
        ) from None


def _lines(file: Path, base: Path, depth: int = 0) -> list[str]:
    """The file's lines with those of its ``Include`` files in place: paramiko knows none."""
    block, lines = "Host *", []
    for line in file.read_text().splitlines():
        keyword, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if keyword.lower() in ("host", "match"):
            block = line
        if keyword.lower() != "include":
            lines.append(line)
        elif depth < _INCLUDES_DEEP:
            for pattern in shlex.split(rest):
                for included in sorted(glob.glob(str(base / Path(pattern).expanduser()))):
                    lines += _lines(Path(included), base, depth + 1)
            lines.append(block)  # what follows belongs where it stood, not to an included block
    return lines
