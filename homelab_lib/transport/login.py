"""Getting in: a TCP connection, the host's key checked, a key of ours accepted."""

import re
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

from homelab_lib.errors import AuthenticationRefused, BadParameter, HostKeyRefused, Unreachable
from homelab_lib.transport.algorithms import chosen
from homelab_lib.transport.channel import Transport
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.host_certificates import CERTIFIED
from homelab_lib.transport.hostkeys import HostKey, check, keys_for
from homelab_lib.transport.identities import ACCEPTED, KINDS, agent_of
from homelab_lib.transport.identities import keys as _keys
from homelab_lib.transport.library import paramiko
from homelab_lib.transport.proxy import Piped

KEEPALIVE_S = 15
_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}
_NO_GREETING = "Error reading SSH protocol banner"  # paramiko's, and the system's word behind it
_LINES = 10  # of what a host says; some greet with a page of law


def dial(endpoint: Endpoint) -> socket.socket:
    """Connect to the endpoint's port, or start the program that does.

    Nagle's algorithm is off: with it each command waits about 40 ms for a delayed ACK.

    Raises
    ------
    Unreachable
        Nobody is there, or nobody answers in time.
    """
    try:
        if endpoint.proxy_command:
            return Piped.through(endpoint.proxy_command)
        link = _connect(endpoint)
    except OSError as error:
        raise _unreachable(endpoint, error) from None
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _connect(endpoint: Endpoint) -> socket.socket:
    """Try each of the host's addresses that may be used, until one answers."""
    family = _FAMILIES[endpoint.address_family]
    places = socket.getaddrinfo(
        endpoint.address, endpoint.port, family=family, type=socket.SOCK_STREAM
    )
    failed = OSError("it has no address")
    for kind, sort, protocol, _, place in places:
        link = socket.socket(kind, sort, protocol)
        try:
            link.settimeout(endpoint.connect_timeout_s)
            if endpoint.bind_address:
                link.bind((endpoint.bind_address, 0))
            link.connect(place)
        except OSError as error:
            link.close()
            failed = error
        else:
            return link
    raise failed


def _unreachable(endpoint: Endpoint, error: OSError) -> Unreachable:
    if isinstance(error, socket.gaierror):
        why = f"the name {endpoint.address} is unknown"
        fix = "give its address in the lab, or a HostName in ~/.ssh/config"
    elif isinstance(error, ConnectionRefusedError):
        why = "nothing listens there"
        fix = "is SSH switched on, and is the port right?"
    elif isinstance(error, TimeoutError):
        why = f"no answer within {endpoint.connect_timeout_s:.0f} s"
        fix = "is it on, is its cable in, may your VLAN reach it through the firewall?"
    else:
        why = error.strerror or str(error) or type(error).__name__
        fix = "is it on, and is there a route to it?"
    return Unreachable(f"{endpoint.name} can't be reached: {why}", where=endpoint.place, fix=fix)


def log_in(
    endpoint: Endpoint, link: socket.socket | paramiko.Channel, known_hosts: Sequence[Path]
) -> Transport:
    """Speak SSH over `link` until we are in.

    Raises
    ------
    Unreachable
        Whoever answers does not speak SSH, or none that we speak, or not in time.
    HostKeyRefused
        The host is unknown, or not who it was.
    AuthenticationRefused
        It does not let us in.
    """
    try:
        transport = Transport(link)
    except BaseException:
        link.close()
        raise
    try:
        _negotiate(transport, endpoint, known_hosts)
        _authenticate(transport, endpoint)
    except BaseException:
        transport.close()
        link.close()  # a transport that is no longer active leaves its socket open
        raise
    transport.set_keepalive(KEEPALIVE_S)
    return transport


def _negotiate(transport: Transport, endpoint: Endpoint, known_hosts: Sequence[Path]) -> None:
    """Agree on keys, and see that the host is who we take it for."""
    _choose_algorithms(transport, endpoint, known_hosts)
    transport.banner_timeout = endpoint.connect_timeout_s
    transport.auth_timeout = endpoint.connect_timeout_s
    transport.channel_timeout = endpoint.connect_timeout_s
    agreed = threading.Event()
    transport.start_client(event=agreed)
    if not agreed.wait(2 * endpoint.connect_timeout_s) or not transport.is_active():
        raise _no_server(transport, endpoint)
    shown = transport.get_remote_server_key()
    certificate = getattr(shown, "public_blob", None)
    check(
        endpoint,
        HostKey(shown.get_name(), shown.get_base64()),
        known_hosts,
        certificate.key_blob if certificate else None,
    )
    if shown.get_name() == "ssh-rsa" and shown.get_bits() < endpoint.required_rsa_bits:
        raise HostKeyRefused(
            f"{endpoint.name} has a host key of {shown.get_bits()} bits, and RequiredRSASize asks "
            f"for {endpoint.required_rsa_bits}",
            where=endpoint.place,
            fix="give the host a new key: ssh-keygen -t ed25519",
        )


def _choose_algorithms(
    transport: Transport, endpoint: Endpoint, known_hosts: Sequence[Path]
) -> None:
    """What we offer: what the configuration leaves, and first what we can check, as OpenSSH
    does."""
    options = transport.get_security_options()
    said = dict(endpoint.algorithms)
    known = keys_for(endpoint, known_hosts)
    kinds = {key.kind for key in known if not key.authority}
    keys = options.key_types
    if any(key.authority for key in known):
        keys = (*(f"{kind}{CERTIFIED}" for kind in keys), *keys)
    every = transport.known_algorithms()
    for keyword, option, ours, others in (
        ("kexalgorithms", "kex", options.kex, every["kex"]),
        ("ciphers", "ciphers", options.ciphers, every["ciphers"]),
        ("macs", "digests", options.digests, every["digests"]),
        ("hostkeyalgorithms", "key_types", keys, ()),
    ):
        left = chosen(said.get(keyword, ""), ours, others)
        if not left:
            raise BadParameter(
                f"{endpoint.name}: {keyword} {said[keyword]} leaves nothing that can be done here",
                where=endpoint.settled_by,
                fix=f"add one of {', '.join(ours)}",
            )
        setattr(options, option, left)
    options.key_types = sorted(
        options.key_types,
        key=lambda kind: not kind.endswith(CERTIFIED) and _kind(kind) not in kinds,
    )
    accepted = chosen(said.get(ACCEPTED, ""), KINDS)
    transport.disabled_algorithms = {"pubkeys": [kind for kind in KINDS if kind not in accepted]}


def _no_server(transport: Transport, endpoint: Endpoint) -> Unreachable:
    """Whoever is at the other end does not speak SSH as we do."""
    error = transport.get_exception()
    if isinstance(transport.sock, Piped) and (said := transport.sock.complaint()):
        return Unreachable(
            f"{endpoint.name} can't be reached through its ProxyCommand: {_plain(said)}",
            where=endpoint.place,
            fix=f"does this print a line that begins with SSH-? {endpoint.proxy_command}",
        )
    return Unreachable(
        f"{endpoint.name} answers, but not as an SSH server should: {_why(error)}",
        where=endpoint.place,
        fix="its SSH offers only what is no longer thought safe; update it"
        if isinstance(error, paramiko.ssh_exception.IncompatiblePeer)
        else "is this port its SSH? is it overloaded, or still starting?",
    )


def _why(error: Exception | None) -> str:
    """Why keys were not agreed on; the library has no words for a connection that was closed."""
    if error is None:
        return "it fell silent while keys were agreed on"
    said = _plain(str(error))
    if said.startswith(_NO_GREETING):
        said = re.sub(r"^\[Errno \d+\] ", "", said.removeprefix(_NO_GREETING))
        return f"it did not greet{said and f' ({said})'}"
    return said or "it closed the connection while keys were agreed on"


def _plain(said: str) -> str:
    """What a stranger has said, fit for a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said[:200])


def _kind(signature: str) -> str:
    """The kind of key that makes a kind of signature: an RSA key has several."""
    return "ssh-rsa" if signature.startswith("rsa-sha2-") else signature


def _authenticate(transport: Transport, endpoint: Endpoint) -> None:
    tried: list[str] = []
    says: list[str] = []
    why = "it refused every key"
    agent = agent_of(endpoint, tried)
    try:
        for label, key in _keys(endpoint, agent, tried):
            tried.append(label)
            try:
                still_wanted = transport.auth_publickey(endpoint.user, key)
            except paramiko.BadAuthenticationType as error:
                why = f"it takes no keys, only {', '.join(error.allowed_types)}"
                break
            except (paramiko.SSHException, EOFError, OSError) as error:
                if str(error) == "Authentication timeout.":
                    why = f"no answer within {endpoint.connect_timeout_s:g} s"
                    break
                if transport.is_active():
                    continue
                why = f"it closed the connection ({str(error) or 'too many keys?'})"
                break
            finally:
                says += _words(transport, says)
            if not still_wanted:
                return
            why = f"after the key it wants {', '.join(still_wanted)}, too"
            break
    finally:
        if agent is not None:
            agent.close()
    told = [f"    it says: {line}" for line in says]
    told += [f"    tried: {label}" for label in tried or ["nothing: there is no key"]]
    told += [f"    settled by: {endpoint.settled_by}"] if endpoint.settled_by else []
    raise AuthenticationRefused(
        "\n".join([f"{endpoint.name} does not let {endpoint.user} in: {why}", *told]),
        says="\n".join(says),
        where=f"{endpoint.user}@{endpoint.place}",
        fix=f"put your public key there: ssh-copy-id -p {endpoint.port} "
        f"{endpoint.user}@{endpoint.address}; or set User and IdentityFile in ~/.ssh/config",
    )


def _words(transport: Transport, heard: Sequence[str]) -> list[str]:
    """What the host says for a person to read, as far as it is news: why a login is refused while
    it boots, say."""
    handler = transport.auth_handler  # `get_banner` forgets it with the connection
    banner = (handler.banner if handler else None) or b""
    told = banner.decode(errors="replace"), transport.goodbye
    lines = [_plain(line.strip()) for text in told for line in text.splitlines()]
    return [line for line in dict.fromkeys(lines) if line and line not in heard][-_LINES:]
