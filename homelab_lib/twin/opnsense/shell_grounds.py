"""What each program of an OPNsense's shell rests on.

What any Unix has rests on what `twin.machine.grounds` says of it; here is what FreeBSD and the
appliance have of their own, or do in another way.
"""

from homelab_lib.twin.fidelity import Fidelity, Grounds

_MANUALS = {
    **dict.fromkeys(("ifconfig", "netstat", "sockstat"), "ifconfig(8), netstat(1), sockstat(1)"),
    **dict.fromkeys(("daemon", "kill", "pgrep", "pkill", "ps"), "daemon(8), pgrep(1), ps(1)"),
    **dict.fromkeys(
        ("date", "stat", "pwd", "hostname", "nproc", "printenv"), "date(1), stat(1) of FreeBSD"
    ),
    **dict.fromkeys(("md5", "sha1", "sha224", "sha256", "sha384", "sha512"), "md5(1) of FreeBSD"),
    **dict.fromkeys(("pfctl", "ping"), "pfctl(8), ping(8)"),
    **dict.fromkeys(("pkg", "service"), "pkg(8), service(8)"),
    **dict.fromkeys(("reboot", "shutdown", "sysctl", "uname"), "sysctl(8), uname(1), shutdown(8)"),
}
_READ = {
    "configctl": "opnsense/core, src/opnsense/service",
    "opnsense-version": "opnsense/core, src/sbin/opnsense-version",
    "pluginctl": "opnsense/core, src/sbin/pluginctl",
    "rc.reload_all": "opnsense/core, src/etc/rc.reload_all",
    "/usr/local/etc/rc.reload_all": "opnsense/core, src/etc/rc.reload_all",
    "configctl interface reconfigure": "opnsense/core, src/etc/inc/interfaces.inc",
    "configctl filter reload": "opnsense/core, src/etc/inc/filter.lib.inc",
}
_PHP = "PHP 8.2 prints the same to the parts of the language; opnsense/core, Config.php, User.php"

SHELL_GROUNDS: tuple[Grounds, ...] = (
    *(Grounds(name, Fidelity.DOCUMENTATION, source) for name, source in _MANUALS.items()),
    *(Grounds(name, Fidelity.SOURCE, source) for name, source in _READ.items()),
    *(
        Grounds(f"{folder}/{name}", Fidelity.SOURCE, _READ[name])
        for folder, name in (
            ("/usr/local/sbin", "configctl"),
            ("/usr/local/sbin", "opnsense-version"),
            ("/usr/local/sbin", "pluginctl"),
        )
    ),
    Grounds("/usr/sbin/daemon", Fidelity.DOCUMENTATION, _MANUALS["daemon"]),
    Grounds("/usr/local/bin/php", Fidelity.SOURCE, _PHP),
    Grounds("php", Fidelity.SOURCE, _PHP),
)
