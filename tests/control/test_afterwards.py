"""After a start: what runs, compared with what is written, on what appliances print."""

import json

from homelab_lib.control.linux import afterwards as linux
from homelab_lib.control.opnsense import afterwards as opnsense
from homelab_lib.control.proxmox import afterwards as proxmox
from homelab_lib.control.truenas import afterwards as truenas
from homelab_lib.transport.command import Result


class Host:
    """Answers commands by what they begin with."""

    name = "machine"

    def __init__(self, answers):
        self.answers = answers

    def read(self, *argv, ok=(0,), **options):
        line = " ".join(argv)
        key = max((k for k in self.answers if line.startswith(k)), key=len)
        said = self.answers[key]
        return said if isinstance(said, Result) else Result(0, said, "")

    def json(self, *argv, **options):
        return json.loads(self.read(*argv).stdout)


def wrong(checks) -> list[str]:
    return [check.says for check in checks if not check.holds]


def unit(name, active, *, kind="simple", left="0", asked="0", met="no"):
    return (
        f"Id={name}.service\nType={kind}\nActiveState={active}\n"
        f"InactiveExitTimestampMonotonic={left}\nConditionResult={met}\n"
        f"ConditionTimestampMonotonic={asked}\n"
    )


UNITS = [
    unit("ssh", "active", left="90", asked="80", met="yes"),
    unit("cron", "inactive"),  # enabled, and nobody has begun it
    unit("open-iscsi", "inactive", asked="80", met="no"),  # its condition is not met
    unit("e2scrub_reap", "inactive", kind="oneshot"),
    unit("dmesg", "inactive", left="95", asked="80", met="yes"),  # it ran, and came to its end
    unit("broken", "failed", left="95", asked="80", met="yes"),
]
FSTAB = [
    {"target": "/", "options": "defaults"},
    {"target": "none", "options": "sw"},
    {"target": "/srv", "options": "defaults"},
    {"target": "/backup", "options": "noauto"},
]


def linux_host(state="running", units=UNITS, mounted=("/",)):
    files = "".join(f"{u.splitlines()[0][3:]} enabled enabled\n" for u in units)
    rows = [{"target": target, "options": "rw"} for target in mounted]
    return Host(
        {
            "systemctl is-system-running": Result(state != "running", f"{state}\n", ""),
            "systemctl list-unit-files": f"{files}getty@.service enabled enabled\n",
            "systemctl show": "\n".join(units),
            "findmnt --fstab": json.dumps({"filesystems": FSTAB}),
            "findmnt --kernel": json.dumps({"filesystems": rows}),
        }
    )


def test_services_that_are_enabled_and_stopped_and_mounts_that_are_missing():
    assert wrong(linux.compare(linux_host("degraded"))) == [
        "enabled and stopped: broken.service, cron.service",
        "in /etc/fstab and not mounted: /srv",
    ]


def test_a_machine_that_came_up_whole():
    assert wrong(linux.compare(linux_host(units=[UNITS[0], UNITS[2]], mounted=("/", "/srv")))) == []


def test_a_boot_that_is_not_over():
    assert "starting" in wrong(linux.compare(linux_host("starting", units=[])))


def test_a_node_whose_pool_was_not_imported_and_whose_guest_is_down():
    host = Host(
        {
            "pvesh get /cluster/status": json.dumps(
                [{"type": "cluster", "name": "home"}, {"type": "node", "name": "pve", "local": 1}]
            ),
            "pvesh get /nodes/pve/storage": json.dumps(
                [{"storage": "local", "active": 1}, {"storage": "fast", "active": 0, "avail": 0}]
            ),
            "pvesh get /nodes/pve/qemu": json.dumps(
                [
                    {"vmid": 201, "status": "stopped", "name": "worker"},
                    {"vmid": 202, "status": "stopped", "name": "spare"},
                    {"vmid": 203, "status": "running", "name": "control"},
                    {"vmid": 900, "status": "stopped", "template": 1},
                ]
            ),
            "pvesh get /nodes/pve/qemu/201/config": json.dumps({"onboot": 1}),
            "pvesh get /nodes/pve/qemu/202/config": json.dumps({}),
        }
    )
    assert wrong(proxmox.compare(host)) == [
        "not active: fast",
        "to start with it, and down: 201 (worker)",
    ]


def test_a_nas_that_dropped_a_share_and_started_half_of_its_services():
    services = [
        {"service": "nfs", "enable": True, "state": "RUNNING"},
        {"service": "smartd", "enable": True, "state": "STOPPED"},
        {"service": "ftp", "enable": False, "state": "STOPPED"},
    ]
    rows = [{"path": "/mnt/tank/a", "enabled": True}, {"path": "/mnt/tank/b", "enabled": True}]
    answers = {
        "midclt call service.query": json.dumps(services),
        "midclt call sharing.nfs.query": json.dumps(rows),
        "showmount": "/mnt/tank/a 10.0.30.0/24\n",
    }
    assert wrong(truenas.compare(Host(answers))) == [
        "enabled and stopped: smartd",
        "shared and not exported: /mnt/tank/b",
    ]
    silent = {"showmount": Result(1, "", "clnt_create: RPC: Program not registered")}
    assert wrong(truenas.compare(Host(answers | silent))) == ["enabled and stopped: smartd"]


def test_a_firewall_s_services_that_are_switched_on_and_stopped():
    answers = {
        "pgrep -f": Result(1, "", ""),
        "pgrep -l .": "310 sshd\n412 syslog-ng\n600 Suricata-Main\n700 dnsmasq\n",
        "pluginctl -g": "",
        "pluginctl -g dnsmasq.enable": "1\n",
        "pluginctl -g OPNsense.unboundplus.general.enabled": "1\n",
        "pluginctl -g OPNsense.IDS.general.enabled": "1\n",
        "pluginctl -g OPNsense.monit.general.enabled": "0\n",
    }
    assert wrong(opnsense.compare(Host(answers))) == ["switched on and stopped: cron, unbound"]
