"""Programs about accounts: who one is, and who else there is."""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply

accounts = Commands()


@accounts("sudo")
def sudo(machine: Machine, call: Call) -> Reply:
    """Run a program as root."""
    words = list(call.argv[1:])
    while words and words[0] in ("-n", "-E", "-H", "--"):
        words.pop(0)
    if not words:
        return Reply(1, stderr="usage: sudo command\n")
    return machine.call(Call(tuple(words), call.stdin, "root", call.env))


@accounts("runuser")
def runuser(machine: Machine, call: Call) -> Reply:
    """Run a program as a user."""
    match call.argv[1:]:
        case ["-u", user, "--", *words] if words and call.user == "root":
            if user not in machine.accounts:
                return Reply(1, stderr=f"runuser: user {user} does not exist\n")
            return machine.call(Call(tuple(words), call.stdin, user, call.env))
    return Reply(1, stderr="runuser: may not be used by non-root users\n")


@accounts("env")
def env(machine: Machine, call: Call) -> Reply:
    """Run a program with more environment."""
    words, more = list(call.argv[1:]), dict(call.env)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        more[name] = value
    if not words:
        return Reply(0, "".join(f"{name}={value}\n" for name, value in sorted(more.items())))
    return machine.call(Call(tuple(words), call.stdin, call.user, more))


@accounts("whoami", "id")
def whoami(machine: Machine, call: Call) -> Reply:
    """Who one is."""
    number = 0 if call.user == "root" else 1000
    if call.argv[0] == "whoami" or "-un" in call.argv:
        return Reply(0, f"{call.user}\n")
    if "-gn" in call.argv:
        name = next((word for word in call.argv[1:] if not word.startswith("-")), call.user)
        return Reply(0, f"{machine.groups.get(name, name)}\n")
    if "-u" in call.argv:
        return Reply(0, f"{number}\n")
    return Reply(0, f"uid={number}({call.user}) gid={number}({call.user})\n")


@accounts("getent")
def getent(machine: Machine, call: Call) -> Reply:
    """Accounts and host names."""
    out = ""
    for name in call.argv[2:]:
        if call.argv[1] == "passwd" and name in machine.accounts:
            number = 0 if name == "root" else 1000
            out += f"{name}:x:{number}:{number}::{machine.home_of(name)}:/bin/bash\n"
        if call.argv[1] in ("hosts", "ahosts") and (found := machine.world.resolve(machine, name)):
            out += f"{found}      {name}\n"
    return Reply(0 if out else 2, out)
