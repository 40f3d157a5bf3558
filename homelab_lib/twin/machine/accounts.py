"""Programs about accounts: who one is, who else there is, and running as somebody else."""

from dataclasses import replace

from homelab_lib.twin.machine import login
from homelab_lib.twin.machine.entry import ACCESS, NOTHING
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, fails
from homelab_lib.twin.machine.usage import Usage, quoted

accounts = Commands()

_ENV = Usage("i,ignore-environment u,unset: C,chdir: 0,null v,debug", status=125, in_order=True)
_ID = Usage("u,user g,group G,groups n,name r,real a z,zero", most=1)


@accounts("sudo")
def sudo(machine: Machine, call: Call) -> Reply:
    """Run a program as root or as another user, in an environment of his own."""
    words, target = list(call.argv[1:]), "root"
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if option == "-u":
            target = words.pop(0)
        elif option not in ("-n", "-E", "-H"):
            return Reply(1, stderr=f"sudo: unrecognized option '{option}'\n")
    if call.user not in ("root", machine.user):
        return Reply(1, stderr="sudo: a password is required\n")
    if target not in machine.accounts.users:
        return Reply(1, stderr=f"sudo: unknown user {target}\n")
    env = login.environment(target, machine.home_of(target)) | {"SUDO_USER": call.user}
    while words and "=" in words[0]:
        name, _, env[name] = words.pop(0).partition("=")
    if not words:
        return Reply(1, stderr="usage: sudo command\n")
    umask = call.umask | 0o022
    return machine.call(replace(call, argv=tuple(words), user=target, env=env, umask=umask))


@accounts("runuser")
def runuser(machine: Machine, call: Call) -> Reply:
    """Run a program as another user, in the same environment."""
    match call.argv[1:]:
        case ["-u", user, "--", *words] | ["-u", user, *words] if words:
            if call.user != "root":
                return Reply(1, stderr="runuser: may not be used by non-root users\n")
            if user not in machine.accounts.users:
                return Reply(1, stderr=f"runuser: user {user} does not exist\n")
            return machine.call(replace(call, argv=tuple(words), user=user))
    return Reply(1, stderr="runuser: no command was specified\n")


@accounts("env")
def env(machine: Machine, call: Call) -> Reply:
    """Run a program with more environment."""
    given = _ENV.of(call)
    words, more = given.words, dict(call.env)
    if "i" in given or words[:1] == ["-"]:
        words, more = words[words[:1] == ["-"] :], {}
    for name, value in given.all:
        if name == "u":
            more.pop(value, None)
    while words and "=" in words[0]:
        name, _, value = words.pop(0).partition("=")
        more |= {name: value}
    if not words:
        return Reply(0, "".join(f"{name}={value}\n" for name, value in more.items()))
    begun = machine.call(replace(call, argv=tuple(words), env=more))
    # What a shell that it runs says of another program is that shell's.
    itself = f"sh: 1: {words[0]}: ".encode()
    if begun.status in (126, 127) and begun.err.startswith(itself):
        why = NOTHING if begun.status == 127 else ACCESS
        return Reply(begun.status, stderr=f"env: {quoted(words[0], call)}: {why}\n")
    return begun


@accounts("whoami")
def whoami(machine: Machine, call: Call) -> Reply:
    """Who one is."""
    return Reply(0, f"{call.user}\n")


@accounts("id")
def id_(machine: Machine, call: Call) -> Reply:
    """Numbers and names of a user and his groups."""
    known, given = machine.accounts, _ID.of(call)
    words, letters = given.words, "".join(given.options)
    if "n" in letters and not set("ugG") & set(letters):
        return fails(call, "cannot print only names or real IDs in default format")
    name = known.user_called(words[0]) if words else call.user
    if name not in known.users:
        return Reply(1, stderr=f"id: '{words[0] if words else name}': no such user\n")
    user, groups = known.users[name], known.groups_of(name)
    numbers = {group: known.groups[group].gid for group in groups if group in known.groups}
    if "u" in letters:
        return Reply(0, f"{name if 'n' in letters else user.uid}\n")
    if "g" in letters:
        return Reply(0, f"{groups[0] if 'n' in letters else user.gid}\n")
    if "G" in letters:
        shown = groups if "n" in letters else [str(number) for number in numbers.values()]
        return Reply(0, " ".join(shown) + "\n")
    listed = ",".join(f"{number}({group})" for group, number in numbers.items())
    return Reply(0, f"uid={user.uid}({name}) gid={user.gid}({groups[0]}) groups={listed}\n")


@accounts("getent")
def getent(machine: Machine, call: Call) -> Reply:
    """Accounts and host names; status 2 where one of the keys is not known."""
    base, keys = call.argv[1] if len(call.argv) > 1 else "", call.argv[2:]
    help_ = "Try `getent --help' or `getent --usage' for more information.\n"
    if not base:
        return Reply(1, help_, "getent: wrong number of arguments\n")
    if base in ("hosts", "ahosts"):
        found = {key: machine.world.resolve(machine, key) for key in keys}
        out = "".join(f"{address}      {key}\n" for key, address in found.items() if address)
        return Reply(0 if all(found.values()) else 2, out)
    if base == "passwd":
        lines = {name: user.line for name, user in machine.accounts.users.items()}
        names = [machine.accounts.user_called(key) for key in keys]
    elif base == "group":
        lines = {name: group.line for name, group in machine.accounts.groups.items()}
        names = [machine.accounts.group_called(key) for key in keys]
    else:
        return Reply(1, help_, f"Unknown database: {base}\n")
    shown = [lines[name] for name in (names if keys else lines) if name]
    return Reply(0 if all(names) else 2, "".join(f"{line}\n" for line in shown))
