"""What each program of a Linux machine rests on."""

from homelab_lib.twin.fidelity import Fidelity, Grounds

_BESIDE = (
    "[ : basename base64 break cat cd chgrp chmod chown command continue cp cut date dd dirname "
    "dpkg-query echo env eval exec exit export false find findmnt getent grep head id install ip "
    "lsblk ls lscpu ln mkdir mv nproc printf pwd read readlink realpath return rm rmdir runuser "
    "sed set sh sha256sum shift sleep stat tail tee test timeout touch tr trap true truncate umask "
    "uname unset wc which whoami sync"
)
_DOCUMENTED = {
    "apt": "apt(8)",
    "apt-get": "apt-get(8)",
    "apt-mark": "apt-mark(8)",
    "bash": "bash(1), as far as dash goes",
    "cloud-init": "its documentation",
    "cloudflared": "its sources: cmd/cloudflared/tunnel, ingress, metrics",
    "curl": "curl(1)",
    "dash": "dash(1)",
    "dmidecode": "dmidecode(8), outputs of real machines",
    "df": "df(1), its columns as recorded",
    "ethtool": "ethtool(8), its lines as recorded",
    "free": "free(1)",
    "git": "git-fast-import(1), git-ls-tree(1), git-log(1)",
    "haproxy": "its configuration manual; words and columns of a 2.6 that ran",
    "hostname": "hostname(1)",
    "iperf3": "iperf3(1), its --json; iperf_error.c",
    "journalctl": "journalctl(1), systemd.journal-fields(7)",
    "local": "dash(1)",
    "logger": "logger(1)",
    "lsmod": "lsmod(8)",
    "lspci": "lspci(8), outputs in issue trackers",
    "md5sum": "md5sum(1)",
    "modinfo": "modinfo(8)",
    "modprobe": "modprobe(8)",
    "mount": "mount(8), mount.nfs(8)",
    "nvidia-smi": "nvidia-smi(1), lines of real ones",
    "ollama": "its sources: server, llm, discover",
    "ping": "ping(8)",
    "prometheus-node-exporter": "its sources: collector, exporter-toolkit; 1.5 ran (tests/real)",
    "ps": "ps(1)",
    "readonly": "POSIX.1-2024",
    "sha1sum": "sha1sum(1)",
    "sha512sum": "sha512sum(1)",
    "restic": "its documentation and cmd/restic; 0.14 ran beside it (tests/real)",
    "showmount": "showmount(8)",
    "sort": "POSIX.1-2024",
    "ss": "ss(8)",
    "sudo": "sudo(8)",
    "tailscale": "its sources: cmd/tailscale/cli, ipn",
    "tar": "GNU tar's manual",
    "swapon": "swapon(8)",
    "sysctl": "sysctl(8)",
    "systemctl": "systemctl(1)",
    "systemd-run": "systemd-run(1)",
    "timedatectl": "timedatectl(1)",
    "ulimit": "POSIX.1-2024",
    "umount": "umount(8)",
    "uptime": "uptime(1)",
    "wait": "POSIX.1-2024",
    "zstd": "zstd(1)",
    "xmllint": "xmllint(1)",
    "update-ca-certificates": "update-ca-certificates(8)",
    "wg": "wg(8)",
    "wg-quick": "wg-quick(8)",
    "wget": "wget(1)",
    "wipefs": "wipefs(8), as a real one answered",
    "zfs": "zfs(8), zfsprops(7)",
    "zpool": "zpool-status(8), zpool-create(8), as a real one answered",
}

GROUNDS: tuple[Grounds, ...] = (
    *(
        Grounds(name, Fidelity.RECORDED, "the real one ran beside it (tests/contract)")
        for name in _BESIDE.split()
    ),
    Grounds("exportfs", Fidelity.RECORDED, "nfs-utils 2.6.2 ran beside it (tests/real)"),
    *(
        Grounds(name, Fidelity.RECORDED, "Samba 4.17 ran beside it (tests/real)")
        for name in ("pdbedit", "smbclient", "smbpasswd", "testparm")
    ),
    *(
        Grounds(name, Fidelity.RECORDED, "shadow 4.13 ran beside it (tests/real)")
        for name in ("groupadd", "useradd", "usermod")
    ),
    *(
        Grounds(name, Fidelity.SOURCE, "its sources, and outputs of a build that ran over loopback")
        for name in ("ggml-rpc-server", "llama-server")
    ),
    *(Grounds(name, Fidelity.DOCUMENTATION, source) for name, source in _DOCUMENTED.items()),
)

FREEBSD: tuple[Grounds, ...] = (
    Grounds("arp", Fidelity.DOCUMENTATION, "arp(8)"),
    Grounds("geom", Fidelity.DOCUMENTATION, "geom(8)"),
    Grounds("ifconfig", Fidelity.DOCUMENTATION, "ifconfig(8), ifmedia(4)"),
    Grounds("pciconf", Fidelity.DOCUMENTATION, "pciconf(8), outputs of OPNsense machines"),
    Grounds("sockstat", Fidelity.DOCUMENTATION, "sockstat(1)"),
)
"""What each program rests on that a FreeBSD has beside these."""
