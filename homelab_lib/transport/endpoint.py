"""Where a host is reached and as whom, as the SSH configuration says."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from homelab_lib.errors import BadParameter
from homelab_lib.transport import openssh, ssh_config, ssh_values
from homelab_lib.transport.ssh_said import Asked, Said, local_user
from homelab_lib.transport.ssh_tokens import hops

SSH = "ssh"  # the program that is asked what a configuration means
DEFAULT_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
ALGORITHMS = (
    "casignaturealgorithms",
    "ciphers",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
)


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
        Keys to come with: private ones, or public ones whose other half the agent has.
    certificate_files
        Certificates for these keys. Without any, ``FILE-cert.pub`` beside each identity file.
    identities_only
        From the agent, offer only the keys of identity files.
    use_agent
        Whether the agent is asked at all.
    agent
        The agent's socket; empty for the one that ``SSH_AUTH_SOCK`` names.
    known_hosts_files
        Where the host's key may be written down; the first one is named in advice.
    revoked_keys_files
        Lists of host keys that are never taken.
    host_key_alias
        The name under which the host's key is filed, if not its address.
    algorithms
        By ssh_config's keyword, the lists of algorithms that are not to be ours.
    required_rsa_bits
        How long an RSA key has to be.
    proxy_jump
        The host to go through.
    proxy_command
        The program to go through, for a shell.
    address_family
        ``inet`` or ``inet6`` where it may be only one.
    bind_address
        Our own address, where it may be only one.
    connect_timeout_s
        How long each part of connecting may take: TCP, banner and keys, login [s].
    settled_by
        Who says all that, for a person.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    use_agent: bool = True
    agent: str = ""
    known_hosts_files: tuple[str, ...] = ()
    revoked_keys_files: tuple[str, ...] = ()
    host_key_alias: str = ""
    algorithms: tuple[tuple[str, str], ...] = ()
    required_rsa_bits: int = 0
    proxy_jump: "Endpoint | None" = None
    proxy_command: str = ""
    address_family: str = "any"
    bind_address: str = ""
    connect_timeout_s: float = 10.0
    settled_by: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """``10.0.30.10:22``, as errors name it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    @property
    def key_name(self) -> str:
        """The name that known_hosts has for it: ``10.0.30.10``, or ``[127.0.0.1]:2201``."""
        address = self.principal
        plain = self.host_key_alias or self.port == 22
        return address if plain else f"[{address}]:{self.port}"

    @property
    def principal(self) -> str:
        """The name without a port, which a host's certificate has to have."""
        return (self.host_key_alias or self.address).lower()

    @classmethod
    def resolve(
        cls,
        name: str,
        *,
        address: str | None = None,
        port: int = 22,
        user: str = "root",
        config: Path | None = None,
        ssh: str = SSH,
    ) -> "Endpoint":
        """What `ssh name` would do; what the configuration leaves open, the arguments say.

        An OpenSSH client is asked where there is one (`ssh -G`). Else the configuration is read by
        ourselves, and what we don't understand of it is refused by name.

        Parameters
        ----------
        name
            The host's name, in the lab and in the configuration.
        address, port, user
            What the lab says. Without an address, the name is looked up.
        config
            An ``ssh_config``; None for ``~/.ssh/config`` and ``/etc/ssh/ssh_config``.
        ssh
            The program to ask; empty to read the configuration ourselves.

        Raises
        ------
        BadParameter
            The configuration can't be read, or asks for what we can't do.
        """
        asked = Asked(name, config)
        fallback = {
            "hostname": (address or "").replace("%", "%%"),
            "port": str(port),
            "user": user or local_user(),
        }
        asks = openssh.version(ssh) is not None
        said = openssh.settle(ssh, asked, fallback) if asks else ssh_config.settle(asked, fallback)
        found = _endpoint(said, ssh if asks else "", ())
        kept = address is None and found.address == name.lower()
        return replace(found, address=name if kept else found.address)


def _endpoint(said: Said, ssh: str, on_the_way: tuple[Asked, ...]) -> Endpoint:
    """What was said, as a login; `ssh` is the program that has said it, if any."""
    ssh_values.see_keys_allowed(said)
    agent = ssh_values.agent(said)
    return Endpoint(
        name=said.asked.host,
        address=said.one("hostname"),
        port=ssh_values.whole(said, "port", "22"),
        user=said.one("user", local_user()),
        identity_files=ssh_values.files(said, "identityfile"),
        certificate_files=ssh_values.files(said, "certificatefile"),
        identities_only=ssh_values.yes(said, "identitiesonly", "no"),
        use_agent=agent is not None,
        agent=agent or "",
        known_hosts_files=(
            *ssh_values.files(said, "userknownhostsfile", DEFAULT_KNOWN_HOSTS),
            *ssh_values.plain_files(said, "globalknownhostsfile", GLOBAL_KNOWN_HOSTS),
        ),
        revoked_keys_files=ssh_values.files(said, "revokedhostkeys"),
        host_key_alias=said.one("hostkeyalias"),
        algorithms=tuple((key, said.one(key)) for key in ALGORITHMS if key in said.values),
        required_rsa_bits=ssh_values.whole(said, "requiredrsasize", "0"),
        proxy_jump=_jump(said, ssh, on_the_way),
        proxy_command=ssh_values.proxy_command(said),
        address_family=ssh_values.one_of(said, "addressfamily", ("any", "inet", "inet6")),
        bind_address=said.one("bindaddress"),
        connect_timeout_s=ssh_values.seconds(said, "connecttimeout", Endpoint.connect_timeout_s),
        settled_by=said.by,
    )


def _jump(said: Said, ssh: str, on_the_way: tuple[Asked, ...]) -> Endpoint | None:
    """The last host of ``ProxyJump a,b``, which is itself reached through those before it."""
    found = hops(said)
    if not found:
        return None
    user, host, port = found[-1]
    given = {"user": user, "port": port, "proxyjump": said.one("proxyjump").rpartition(",")[0]}
    hop = Asked(host, said.asked.config).with_({k: v for k, v in given.items() if v})
    if hop == said.asked or hop in on_the_way:
        raise BadParameter(
            f"{said.asked.host}: the way by ProxyJump {said.one('proxyjump')} leads back to {host}",
            where=said.where("proxyjump"),
            fix=f"write `ProxyJump none` into a block `Host {host}` above",
        )
    told = openssh.ask(ssh, hop) if ssh else ssh_config.ask(hop)
    return _endpoint(told, ssh, (*on_the_way, said.asked))
