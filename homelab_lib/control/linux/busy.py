"""What Linux says that means "not yet"."""

from homelab_lib.runbook.busy import LOGIN, NotNow, declare

declare(
    LOGIN,
    NotNow(
        r"System is booting up|System is going down|pam_nologin",
        "the system is not up yet, and lets in nobody but root",
        source="pam_nologin(8); systemd-user-sessions.service(8)",
        undone=True,
    ),
)
declare(
    "apt-get, apt, dpkg",
    NotNow(
        r"Could not get lock |Unable to acquire the dpkg frontend lock|"
        r"dpkg frontend lock was locked by another process|"
        r"dpkg status database is locked by another process",
        "another program is installing packages",
        source="apt-pkg/contrib/fileutl.cc GetLock, apt-pkg/deb/debsystem.cc; dpkg dbmodify.c",
        undone=True,
    ),
    NotNow(
        r"Temporary failure resolving '",
        "no name server answers yet",
        source="apt methods/connect.cc, EAI_AGAIN",
    ),
)
declare(
    "systemctl, systemd-run",
    NotNow(
        r"Transaction for \S+ is destructive",
        "the machine is going down",
        source="systemd src/core/transaction.c",
        undone=True,
    ),
    NotNow(
        r"Failed to connect to (system scope )?bus|"
        r"(Connection timed out|Transport endpoint is not connected|Connection reset by peer)\s*$",
        "systemd does not answer yet",
        source="systemd src/libsystemd/sd-bus",
    ),
)
declare(
    "upsc",
    NotNow(
        r"Driver not connected",
        "the driver of the UPS has not found it yet",
        source="NUT 2.8 upsd; networkupstools/nut#2742",
    ),
    NotNow(
        r"Data stale",
        "the UPS has said nothing new for a while",
        source="NUT 2.8 upsd; networkupstools/nut#2925",
    ),
)
