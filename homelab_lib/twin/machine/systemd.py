"""Programs of systemd: they look at units, start them, and run commands as transient ones."""

from homelab_lib.twin.machine import unit_files
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.processes import pid
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands
from homelab_lib.twin.machine.unit import Unit

systemd = Commands()


def _named(word: str) -> str:
    return word.removesuffix(".service")


def _properties(unit: Unit | None, name: str) -> dict[str, str]:
    if unit is None:
        return {
            "Id": unit_files.whole(name),
            "LoadState": "not-found",
            "ActiveState": "inactive",
            "SubState": "dead",
            "UnitFileState": "",
            "ExecMainStatus": "0",
            "MainPID": "0",
            "InvocationID": "",
            "InactiveExitTimestampMonotonic": "0",
            "ConditionResult": "no",
            "ConditionTimestampMonotonic": "0",
        }
    return {
        "Id": unit_files.whole(name),
        "LoadState": "loaded",
        "ActiveState": unit.active,
        "SubState": unit.sub,
        "UnitFileState": "transient"
        if unit.transient
        else ("enabled" if unit.enabled else "disabled"),
        "ExecMainStatus": str(unit.status),
        "MainPID": str(pid(unit)),
        "InvocationID": unit.invocation,
        "Type": "exec",
        "InactiveExitTimestampMonotonic": str(int(unit.ran or unit.active == "active")),
        "ConditionResult": "yes" if unit.ran else "no",
        "ConditionTimestampMonotonic": str(int(unit.ran)),
    }


@systemd("systemctl")
def systemctl(machine: Machine, call: Call) -> Reply:
    """Look at units, start and stop them."""
    words = [w for w in call.argv[1:] if w not in ("--no-pager", "--quiet", "-q", "--no-block")]
    verb, *rest = words or ["list-units"]
    if verb == "show":
        return _show(machine, rest)
    if verb == "daemon-reload":
        unit_files.reload(machine)
        return Reply()
    if verb == "reboot":
        machine.world.after(1.0, machine.reboot, label="reboot")
        return Reply()
    now = "--now" in rest
    names = [_named(word) for word in rest if not word.startswith("-")]
    if verb in ("is-active", "is-enabled"):
        said, good = [], True
        for name in names:
            found = _properties(unit_files.found(machine, name), name)
            word = found["ActiveState" if verb == "is-active" else "UnitFileState"] or "not-found"
            said.append(word)
            good = good and word in ("active", "enabled")
        return Reply(0 if good else 3, "".join(f"{word}\n" for word in said))
    if verb == "list-units":
        return Reply(0, _listed(machine))
    if verb == "list-unit-files":
        return Reply(0, _files(machine, rest))
    if verb == "is-system-running":
        failed = any(unit.active == "failed" for unit in machine.units.values())
        state = "starting" if machine.nologin() else "degraded" if failed else "running"
        return Reply(0 if state == "running" else 1, f"{state}\n")
    if verb not in ("start", "stop", "restart", "enable", "disable", "reset-failed"):
        return Reply(1, stderr=f"Unknown command verb {verb}.\n")
    return _each(machine, verb, names, now)


def _each(machine: Machine, verb: str, names: list[str], now: bool) -> Reply:
    said, missing = "", ""
    for name in names:
        unit = unit_files.found(machine, name)
        if unit is None:
            what = f"Unit {unit_files.whole(name)} not found.\n"
            if verb == "stop":  # of one that is not there
                what = f"Unit {unit_files.whole(name)} not loaded.\n"
            if verb in ("start", "stop", "restart"):
                what = f"Failed to {verb} {unit_files.whole(name)}: {what}"
            missing += what
            continue
        if verb in ("enable", "disable"):
            unit.enabled = verb == "enable"
        if verb in ("stop", "restart") or (verb == "disable" and now):
            unit.stop(machine)
        if verb in ("start", "restart") or (verb == "enable" and now):
            why = unit.start(machine)
            if why:
                said += (
                    f"Job for {name}.service failed because the control process exited with error "
                    f'code.\nSee "systemctl status {name}.service" and '
                    f'"journalctl -xeu {name}.service" for details.\n'
                )
        if verb == "reset-failed" and unit.active == "failed":
            unit.active, unit.sub = "inactive", "dead"
        if unit.transient and unit.active == "inactive":
            del machine.units[name]
    if missing and verb != "reset-failed":
        return Reply(5, stderr=said + missing)
    return Reply(1 if said or missing else 0, stderr=said + missing)


def _show(machine: Machine, words: list[str]) -> Reply:
    names, wanted, rest, bare = [], [], iter(words), False
    for word in rest:
        if word in ("-p", "--property"):
            wanted += next(rest, "").split(",")
        elif word == "-P":
            wanted, bare = [*wanted, *next(rest, "").split(",")], True
        elif word.startswith("--property="):
            wanted += word.partition("=")[2].split(",")
        elif word == "--value":
            bare = True
        else:
            names.append(_named(word))
    blocks = []
    for name in names:
        found = _properties(unit_files.found(machine, name), name)
        found["NeedDaemonReload"] = _unread(machine, name)
        kept = {key: value for key, value in found.items() if not wanted or key in wanted}
        lines = list(kept.values()) if bare else [f"{key}={value}" for key, value in kept.items()]
        blocks.append("\n".join(lines))
    return Reply(0, "\n\n".join(blocks) + "\n")


def _unread(machine: Machine, name: str) -> str:
    unit = machine.units.get(name)
    return "yes" if unit is not None and unit_files.unread(machine, unit) else "no"


def _listed(machine: Machine) -> str:
    return "".join(
        f"{name}.service loaded {unit.active} {unit.sub} {name}\n"
        for name, unit in sorted(machine.units.items())
    )


def _files(machine: Machine, words: list[str]) -> str:
    """Unit files, of one state where one is asked for."""
    _, options = operands(Call(("systemctl", *words)), "--type --state -t")
    wanted = options.get("--state", "")
    rows = [
        (f"{name}.service", "enabled" if unit.enabled else "disabled")
        for name, unit in sorted(machine.units.items())
        if not unit.transient
    ]
    return "".join(f"{name} {state} enabled\n" for name, state in rows if wanted in ("", state))


@systemd("systemd-run")
def systemd_run(machine: Machine, call: Call) -> Reply:
    """Start a command as a unit of its own, that nobody has to watch; now, or after a while."""
    name, env, words, given = "", dict(call.env), list(call.argv[1:]), dict[str, str]()
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        option, _, value = word.partition("=")
        if option == "--unit":
            name = _named(value)
        elif option == "--setenv":
            key, _, text = value.partition("=")
            env[key] = text
        elif option in _RUN_OPTIONS:
            given[option] = value
        else:
            return Reply(1, stderr=f"systemd-run: unrecognized option '{word}'\n")
    found = next((each for each in (name, f"{name}.timer") if each in machine.units), "")
    if found:
        kind = "timer" if "--on-active" in given else "service"
        return Reply(
            1,
            stderr=f"Failed to start transient {kind} unit: Unit {unit_files.whole(found)} was "
            "already loaded or has a fragment file.\n",
        )
    if "--on-active" in given:
        return _timer(machine, name, tuple(words), env, given)
    return _run_unit(machine, name, tuple(words), env, given)


_RUN_OPTIONS = (
    *("--remain-after-exit", "--quiet", "--collect", "--no-block", "--wait", "--on-active"),
)


def _timer(
    machine: Machine, name: str, words: tuple[str, ...], env: dict[str, str], given: dict[str, str]
) -> Reply:
    """A unit that waits, and then starts another one; a reboot forgets it."""
    timer = Unit(f"{name}.timer", "active", "waiting", transient=True)
    machine.units[timer.name] = timer

    def elapses() -> None:
        if machine.units.get(timer.name) is timer:
            del machine.units[timer.name]
            _run_unit(machine, name, words, env, given)

    delay_s = given["--on-active"].removesuffix("s")
    if not delay_s.isdigit():
        return Reply(1, stderr=f"Failed to parse timer value: {given['--on-active']}\n")
    machine.world.after(float(delay_s), elapses, label=timer.name)
    return Reply()


def _run_unit(
    machine: Machine, name: str, words: tuple[str, ...], env: dict[str, str], given: dict[str, str]
) -> Reply:
    unit = Unit(name, "active", "running", transient=True)
    unit.new_invocation(machine)
    machine.units[name] = unit
    boots = machine.boots
    begun = machine.call(Call(words, env=env))

    def ends() -> None:
        there = machine.units.get(name) is unit and machine.boots == boots
        if not there or unit.sub != "running":
            return
        reply = begun.finished()
        machine.log(unit.invocation, (reply.out + reply.err).decode(errors="replace"))
        unit.status = reply.status
        unit.active, unit.sub = ("failed", "failed") if reply.status else ("active", "exited")
        good = not reply.status and "--remain-after-exit" not in given
        if good or "--collect" in given:
            del machine.units[name]  # nobody asks for it any more

    machine.world.after(begun.takes_s, ends, label=name)

    def waited() -> Reply:
        ends()
        return Reply(unit.status)

    if "--wait" in given:  # who waits is told; whoever is cut off meanwhile ends nothing
        return Reply(takes_s=begun.takes_s, finish=waited)
    return Reply()
