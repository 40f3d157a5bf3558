"""What OPNsense says that means "not yet"."""

from homelab_lib.control.opnsense.api import BOOTS, SILENT
from homelab_lib.control.opnsense.reads import SERVICE
from homelab_lib.runbook.busy import NotNow, declare

declare(
    f"pgrep -f {BOOTS}",
    NotNow(
        r"\d",
        "it boots still, and passes over whatever it is told to put in force",
        source="opnsense/core, src/etc/rc; exit_on_bootup in src/etc/inc/util.inc",
        succeeds=True,
    ),
)
declare(
    "configctl",
    NotNow(
        r"configd socket missing|unable to connect to configd socket",
        "its daemon configd is starting",
        source="opnsense/core, src/opnsense/service/configd_ctl.py",
        undone=True,
    ),
)
declare(
    SERVICE,
    NotNow(
        r"^503 ",
        "what is behind its web server is starting",
        source="lighttpd, mod_fastcgi: no backend to hand the request to",
        undone=True,
    ),
    NotNow(
        r'"status":\s*"busy"',
        "somebody is at work on its packages",
        source="opnsense/core, FirmwareController.php (running); scripts/firmware/running.sh",
        succeeds=True,
    ),
    NotNow(
        rf"{SILENT}|Template generation failed for internal service",
        "its daemon configd does not answer",
        source="opnsense/core, Core/Backend.php; ApiMutableServiceControllerBase.php",
    ),
)
