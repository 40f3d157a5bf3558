"""A disk with Debian on it: systemd, GRUB, sshd, NFS, Samba, and OpenZFS built for its kernel.

It is built once, by mmdebstrap as root, and kept in the user's cache under a name that says what
it was built of. The module of ZFS is built in the chroot; the machine that boots has it.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "sfdisk": "fdisk",
    "qemu-img": "qemu-utils",
}
"""What building needs, with the package of each."""

SUITE = "trixie"
_PACKAGES = (
    *("linux-image-amd64", "linux-headers-amd64", "zfs-dkms", "zfsutils-linux"),
    *("systemd-sysv", "udev", "dbus", "grub-efi-amd64-bin", "grub2-common"),
    *("openssh-server", "sudo", "iproute2", "python3-minimal", "smartmontools", "parted"),
    *("nfs-kernel-server", "nfs-common", "samba", "smbclient", "ca-certificates", "curl"),
)
_ROOT_BYTES = 6 * 2**30
_ESP_SECTORS = 128 * 2048  # of 512 bytes: 128 MiB
_FIRST = 2048
_GRUB = """\
insmod part_gpt
insmod ext2
search --no-floppy --label root --set=root
configfile ($root)/boot/grub/grub.cfg
"""
_MENU = """\
set timeout=0
menuentry Debian {
    linux /vmlinuz root=LABEL=root ro console=ttyS0
    initrd /initrd.img
}
"""
_FILES = {
    "etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    "etc/hostname": "machine\n",
    "etc/hosts": "127.0.0.1 localhost machine\n",
    "etc/default/grub": 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="console=ttyS0"\n'
    "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n",
    "etc/systemd/network/lan.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
    "etc/ssh/sshd_config.d/test.conf": "PasswordAuthentication no\nUseDNS no\n",
    "boot/grub/grub.cfg": _MENU,
}


def _key() -> str:
    """What the image is built of; another recipe is another image."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def cache() -> Path:
    """Where images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "homelab-machine"


def image() -> Path:
    """The disk, built if it is not there yet, and the key that logs in as root beside it.

    Returns
    -------
    Path
        A qcow2 file that nobody writes to; the key is the file ``id_ed25519`` in its folder.
    """
    folder = cache() / _key()
    disk = folder / "root.qcow2"
    if disk.exists():
        return disk
    work = folder.with_suffix(".new")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", work / "id_ed25519")
    root = work / "root"
    try:
        _debian(root)
        _settle(root, (work / "id_ed25519.pub").read_text())
        _disk(work, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    work.rename(folder)
    return disk


def _debian(root: Path) -> None:
    """Debian in a folder, from the mirror of this machine's own sources."""
    _run(
        *("mmdebstrap", "--mode=root", "--variant=important", "--components=main,contrib"),
        f"--include={','.join(_PACKAGES)}",
        *(SUITE, root, f"deb {_mirror()} {SUITE} main contrib"),
    )


def _mirror() -> str:
    words = ("apt-get", "indextargets", "--format", "$(COMPONENT) $(REPO_URI)")
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = [line.split()[1] for line in said.splitlines() if line.startswith("main ")]
    return next(uri for uri in found if "security" not in uri)


def _settle(root: Path, key: str) -> None:
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    ssh = root / "root/.ssh"
    ssh.mkdir(mode=0o700, exist_ok=True)
    (ssh / "authorized_keys").write_text(key)
    enable = ("systemctl", "--root", root, "enable", "systemd-networkd", "ssh")
    _run(*enable)
    stub = root / "tmp/stub.cfg"
    stub.write_text(_GRUB)
    made = ("grub-mkstandalone", "-O", "x86_64-efi", "-o", "/tmp/BOOTX64.EFI")
    _run("chroot", root, *made, "boot/grub/grub.cfg=/tmp/stub.cfg")


def _disk(work: Path, root: Path) -> None:
    """GPT, an EFI system partition with GRUB, and ext4: no loop device is needed for it."""
    esp, system, disk = work / "esp", work / "system", work / "disk"
    esp.touch()
    os.truncate(esp, _ESP_SECTORS * 512)
    _run("mkfs.vfat", "-F", "32", esp)
    _run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
    _run("mcopy", "-i", esp, root / "tmp/BOOTX64.EFI", "::/EFI/BOOT/")
    (root / "tmp/BOOTX64.EFI").unlink()
    system.touch()
    os.truncate(system, _ROOT_BYTES)
    # Not what GRUB can't read yet.
    plain = ("-O", "^metadata_csum_seed,^orphan_file")
    _run("mke2fs", "-q", "-t", "ext4", *plain, "-L", "root", "-d", root, system)
    disk.touch()
    begins = _FIRST + _ESP_SECTORS
    os.truncate(disk, begins * 512 + _ROOT_BYTES + 2**20)
    table = f"label: gpt\nstart={_FIRST}, size={_ESP_SECTORS}, type=U\n"
    table += f"start={begins}, size={_ROOT_BYTES // 512}, type=L\n"
    subprocess.run(["sfdisk", "-q", disk], input=table, text=True, check=True)
    for part, sector in ((esp, _FIRST), (system, begins)):
        _run("dd", f"if={part}", f"of={disk}", "bs=1M", "conv=notrunc,sparse",
             f"seek={sector * 512 // 2**20}", "status=none")  # fmt: skip
        part.unlink()
    _run("qemu-img", "convert", "-O", "qcow2", disk, work / "root.qcow2")
    disk.unlink()


def _run(*words: object) -> None:
    subprocess.run([str(word) for word in words], check=True)
