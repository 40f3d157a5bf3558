"""Getting in: a TCP connection, the host's key checked, a key of ours accepted."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from homelab_lib.errors import AuthenticationRefused, HomelabError, Unreachable
from homelab_lib.transport.channel import Transport
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.hostkeys import HostKey, check, known_keys
from homelab_lib.transport.library import paramiko

KEEPALIVE_S = 15
_LINES = 10  # of what a host says; some greet with a page of law


def dial(endpoint: Endpoint) -> socket.socket:
    """Connect to the endpoint's port.

    Nagle's algorithm is off: with it each command waits about 40 ms for a delayed ACK.

    Raises
    ------
    Unreachable
        Nobody is there, or nobody answers in time.
    """
    try:
        link = socket.create_connection(
            (endpoint.address, endpoint.port), timeout=endpoint.connect_timeout_s
        )
    except OSError as error:
        raise _unreachable(endpoint, error) from None
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


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


def _negotiate(
    transport: paramiko.Transport, endpoint: Endpoint, known_hosts: Sequence[Path]
) -> None:
    """Agree on keys, and see that the host is who we take it for."""
    options = transport.get_security_options()
    known = {key.kind for key in known_keys(endpoint.key_name, known_hosts)}
    # Ask first for a kind of key that we can check, as OpenSSH does.
    options.key_types = sorted(options.key_types, key=lambda name: _kind(name) not in known)
    transport.banner_timeout = endpoint.connect_timeout_s
    transport.auth_timeout = endpoint.connect_timeout_s
    transport.channel_timeout = endpoint.connect_timeout_s
    agreed = threading.Event()
    transport.start_client(event=agreed)
    if not agreed.wait(2 * endpoint.connect_timeout_s) or not transport.is_active():
        error = transport.get_exception()
        raise Unreachable(
            f"{endpoint.name} answers, but not as an SSH server should: "
            f"{_plain(str(error)) if error else 'it fell silent while keys were agreed on'}",
            where=endpoint.place,
            fix="its SSH offers only what is no longer thought safe; update it"
            if isinstance(error, paramiko.ssh_exception.IncompatiblePeer)
            else "is this port its SSH? is it overloaded, or still starting?",
        )
    shown = transport.get_remote_server_key()
    check(endpoint, HostKey(shown.get_name(), shown.get_base64()), known_hosts)


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
    agent = paramiko.Agent() if endpoint.use_agent else None
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
                why = f"it closed the connection ({error or 'too many keys?'})"
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


def _keys(
    endpoint: Endpoint, agent: paramiko.Agent | None, tried: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    """The keys to offer: identity files first, then the agent's.

    A file that can't be used is put into `tried` with the reason; a key in the agent stands for
    a file with a passphrase.
    """
    held = list(agent.get_keys()) if agent else []
    wanted = set()
    for file in endpoint.identity_files:
        with suppress(OSError, HomelabError, UnicodeDecodeError):  # it need not be there
            wanted.add(HostKey.parse(Path(f"{file}.pub").read_text()).data)
        try:
            key = paramiko.PKey.from_path(file)
        except FileNotFoundError:
            tried.append(f"{file}: there is no such file")
        except (TypeError, paramiko.PasswordRequiredException):
            tried.append(f"{file}: it has a passphrase; `ssh-add {file}` first")
        except (OSError, ValueError, paramiko.SSHException, paramiko.UnknownKeyType) as error:
            tried.append(f"{file}: {error}")
        else:
            yield file, key
    for key in held:
        if not endpoint.identities_only or key.get_base64() in wanted:
            yield f"the agent's {key.comment or key.get_name()}", key
