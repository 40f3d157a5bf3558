"""A login on a twin: a prompt, lines, and what comes of them."""

from contextlib import suppress
from typing import TYPE_CHECKING

from homelab_lib.twin.machine.machine import Machine

if TYPE_CHECKING:
    import paramiko

_END_OF_FILE, _INTERRUPT, _ERASE = b"\x04", b"\x03", (b"\x7f", b"\b")


def talk(machine: Machine, channel: "paramiko.Channel") -> None:
    """Read lines, run them, print what they print, until the person leaves."""
    with suppress(EOFError, OSError):
        text = f"This is a twin of {machine.name}: nothing here is real.\n"
        _write(channel, text.encode())
        while (line := _line(machine, channel)) is not None:
            if line.strip() in ("exit", "logout"):
                break
            clock = machine.world.clock
            with clock.lock:
                clock.catch_up()
                begun = machine.run(line)
            clock.sleep(begun.takes_s)
            with clock.lock:
                reply = begun.finished()
            _write(channel, reply.out + reply.err)
        channel.send_exit_status(0)
        channel.close()


def _write(channel: "paramiko.Channel", data: bytes) -> None:
    channel.sendall(data.replace(b"\n", b"\r\n"))


def _line(machine: Machine, channel: "paramiko.Channel") -> str | None:
    """One line as it is typed, echoed; None at the end."""
    mark = "#" if machine.user == "root" else "$"
    channel.sendall(f"{machine.user}@{machine.name}:~{mark} ".encode())
    typed = b""
    while key := channel.recv(1):
        if key == _END_OF_FILE and not typed:
            return None
        if key == _INTERRUPT:
            channel.sendall(b"^C\r\n")
            return ""
        if key in (b"\r", b"\n"):
            channel.sendall(b"\r\n")
            return typed.decode(errors="replace")
        if key in _ERASE:
            if typed:
                typed = typed[:-1]
                channel.sendall(b"\b \b")
        else:
            typed += key
            channel.sendall(key)
    return None
