"""A drill of a whole VM: its newest backup is restored beside it, looked at, and removed.

What is restored has a number of its own, new network addresses with their links down, none of the
cards, does not start with its node, and is not protected from being removed, as ours are. Its
system disk is looked at from the node, by a loop device and a mount that only read; files are
picked by a seed, and their checksums compared with those that the guest agent of the running VM
tells. All of it is one command, which takes away what it made however it ends: a restore that fails
leaves a torso behind.

Sources: `create_vm` with ``archive``, `restore_merge_config` (qemu-server 9.2): options that are
given go before those of the backup, so that it never stands there with ``onboot``; `pvesh` ends
with 0 when its task failed, so the task is asked. losetup(8), mount(8): ``noload`` for ext4,
``norecovery`` for XFS, since a backup of a running VM has a journal that was not closed.
"""

from dataclasses import dataclass
from typing import Any

from homelab_lib.answers import Shape, whole
from homelab_lib.control import mark
from homelab_lib.control.linux.drills import FOLDER, NOTE, is_held, last_held
from homelab_lib.control.proxmox import options as opts
from homelab_lib.control.proxmox.api import CONFIG, GUESTS, api
from homelab_lib.control.proxmox.guest import guest_addresses
from homelab_lib.runbook.resource import NOT_UNDONE, NOTHING_TO_UNDO, Change, Diff, Host, Progress
from homelab_lib.transport.command import Result, change

_STORES: Shape = [{"storage": str}]
_VOLUMES: Shape = [{"volid": str}]
_UPTIME: Shape = {"status": str, "uptime?": whole}

# $1 folder of its own, $2 the note, $3 number of the restored one.
_BEGIN = (
    'set -eu; umask 077; d="$1" r="$2" n="$3"; loop= ours=; '
    'unseen() { ! findmnt "$d/disk" > /dev/null 2>&1 || umount "$d/disk"; '
    '[ -z "$loop" ] || losetup -d "$loop"; loop=; }; '
    'away() { unseen || true; if [ -n "$ours" ]; then qm stop "$n" > /dev/null 2>&1 || true; '
    'qm set "$n" --protection 0 > /dev/null 2>&1 || true; '
    'qm destroy "$n" --purge 1 --destroy-unreferenced-disks 1 > /dev/null || '
    'echo "VM $n is still there: qm destroy $n" >&2; fi; '
    'rm -f -- "$d/said" "$d/config" "$d/nets" "$d/task" "$d/list" "$d/now" "$d/why" "$r.why"; '
    'rmdir -- "$d/disk" "$d" 2> /dev/null || true; }; '
)
_CLEAR = _BEGIN + (
    'shift 3; for v in "$@"; do for loop in $(losetup -n -O NAME -j "$(pvesm path "$v")"); do '
    'unseen; done; done; loop=; qm unlock "$n" || true; ours=1; away; ! qm config "$n" > /dev/null '
    "2>&1"
)
# $4 seed, $5 how many, $6 where backups are, $7 whose, $8 where to, $9 node; name, tag.
_RESTORE = (
    'seed="$4" want="$5" from="$6" orig="$7" onto="$8" node="$9"; shift 9; name="$1" tag="$2"; '
    'trap away EXIT; mkdir -p -- "$d/disk" "${r%/*}"; : > "$d/said"; : > "$d/why"; '
    'snap=$(pvesm list "$from" --content backup --vmid "$orig" | '
    'sed -n "s/^\\([^ ]*:backup\\/[^ ]*\\) .*/\\1/p" | sort | tail -n 1); '
    '[ -n "$snap" ] || { echo "there is no backup of VM $orig on $from" >&2; exit 1; }; '
    'upid=$(pvesh create "/nodes/$node/qemu" --vmid "$n" --archive "$snap" --storage "$onto" '
    '--unique 1 --onboot 0 --protection 0 --name "$name" --tags "$tag" --output-format json '
    '2> "$d/why" | '
    "tail -n 1 | tr -d '\"'); "
    # Without a task nothing was made, and whatever has the number is somebody else's.
    'case "$upid" in UPID:*) ours=1;; *) cat "$d/why" >&2; exit 1;; esac; '
    'pvesh get "/nodes/$node/tasks/$upid/status" --output-format json > "$d/task"; '
)
_LOOK = (
    'qm config "$n" > "$d/config"; '
    'sed -n "s/,link_down=[01]//; s/^\\(net[0-9]*\\): /\\1 /p" "$d/config" > "$d/nets"; '
    'while read -r k v; do qm set "$n" "--$k" "$v,link_down=1" > /dev/null; done < "$d/nets"; '
    'for k in $(sed -n "s/^\\(hostpci[0-9]*\\):.*/\\1/p; s/^\\(usb[0-9]*\\):.*/\\1/p" '
    '"$d/config"); do qm set "$n" --delete "$k" > /dev/null; done; disk=; '
    'for k in scsi0 virtio0 sata0; do [ -n "$disk" ] || '
    'disk=$(sed -n "s/^$k: \\([^,]*\\).*/\\1/p" "$d/config"); done; '
    'loop=$(losetup -r -P -f --show "$(pvesm path "$disk")"); '
    "udevadm settle > /dev/null 2>&1 || true; found=; "
    'for p in "$loop"p*; do for o in ro,noload ro,norecovery ro; do '
    '[ -z "$found" ] || break; '
    'if mount -o "nodev,nosuid,noexec,$o" "$p" "$d/disk" 2>> "$d/why"; then '
    'if [ -d "$d/disk/etc" ]; then found=1; else umount "$d/disk"; fi; break; fi; done; done; '
    '[ -n "$found" ] || { cat "$d/why" >&2; echo "no system is on its disk $disk" >&2; exit 1; }; '
    '(cd "$d/disk"; find etc home root opt srv usr/local var/lib -xdev -type f -size -65537k '
    '2> /dev/null || true) | sort > "$d/list"; '
    'c=$(wc -l < "$d/list"); [ "$c" -gt 0 ] || { echo "$snap holds no file" >&2; exit 1; }; '
    '[ "$want" -le "$c" ] || want=$c; i=0; while [ "$i" -lt "$want" ]; do '
    'k=$(( (seed + i * c / want) % c + 1 )); i=$((i + 1)); line=$(sed -n "${k}p" "$d/list"); '
    'f="$d/disk/$line"; then=$(stat -c "%s %Y" -- "$f"); sum=$(sha256sum < "$f" || echo lost); '
    'case "$sum" in lost*) echo "lost /$line" >> "$d/said"; continue;; esac; '
    'qm guest exec "$orig" --timeout 120 -- stat -c "%s %Y" -- "/$line" > "$d/now"; '
    'case "$(cat "$d/now")" in *"\\"$then\\\\n\\""*) ;; *) '
    'echo "changed /$line" >> "$d/said"; continue;; esac; '
    'qm guest exec "$orig" --timeout 120 -- sha256sum -- "/$line" > "$d/now"; '
    'case "$(cat "$d/now")" in *"${sum%% *}"*) echo "same /$line" >> "$d/said";; *) '
    'echo "differs /$line" >> "$d/said";; esac; done; '
)
_DRILL = (
    _BEGIN
    + _RESTORE
    + 'if grep -q -e \'"exitstatus":"OK"\' -e \'"exitstatus":"WARNINGS\' "$d/task"; then '
    + _LOOK
    + 'else cat "$d/task" >&2; echo "lost the whole VM" >> "$d/said"; fi; '
    + NOTE
)
_STAYS = "; ours="
_JUDGE = _BEGIN + (
    'ours=1; trap away EXIT; if qm guest cmd "$n" ping > /dev/null 2>> "$r.why"; then '
    'echo "same start of the restored VM" >> "$r.part"; mv -fT -- "$r.part" "$r"; else '
    'cat "$r.why" >&2; echo "lost start of the restored VM" >> "$r.part"; '
    'mv -fT -- "$r.part" "$r"; exit 1; fi'
)
_START = 'qm start "$1" 2> "$2" || true'
_UP_S = 600  # how long a restored VM is given until its guest agent answers


@dataclass(frozen=True)
class GuestDrill:
    """A VM that was restored beside itself and found whole, not longer ago than was promised.

    Parameters
    ----------
    host, node
        The machine, and its node name.
    drill
        The drill's name.
    source, vmid, vm_name
        The storage with the backups, and whose.
    as_vmid, storage
        The number under which it is restored, and onto what.
    files, seed
        How many files are compared, and by which number they are picked.
    within_s
        How long ago the last one may be [s].
    start
        Whether it is started, too.
    lab
        The lab whose drill it is.
    """

    host: str
    node: str
    drill: str
    source: str
    vmid: int
    vm_name: str
    as_vmid: int
    storage: str
    files: int
    seed: int
    within_s: float
    start: bool
    lab: str
    timeout_s: float = 14_400.0

    @property
    def name(self) -> str:
        return f"drill {self.drill}"

    @property
    def restored(self) -> str:
        """What the restored one is called in plans."""
        return f"VM {self.as_vmid} (drill of {self.vm_name})"

    @property
    def _called(self) -> str:
        return f"drill-{self.drill}"

    def observe(self, host: Host) -> dict[str, Any]:
        """What came of the last one and how long ago it was, and what has the number."""
        return last_held(host, self.drill) | self._has_the_number(host)

    def _has_the_number(self, host: Host) -> dict[str, Any]:
        rows = api(host, "/cluster/resources", "--type", "vm", shape=GUESTS)
        row = next((row for row in rows if row.get("vmid") == self.as_vmid), None)
        volumes = self._volumes(host)
        if row is None:
            return {"taken": "", "left": False, "volumes": volumes}
        if row.get("type", "qemu") != "qemu" or row.get("node") != self.node:
            return {"taken": "a guest elsewhere", "left": False, "volumes": volumes}
        config = api(host, f"/nodes/{self.node}/qemu/{self.as_vmid}/config", shape=CONFIG)
        called = str(config.get("name", ""))
        marked = mark.tag(self.lab) in opts.tags(str(config.get("tags", "")))
        left = (called == self._called and marked) or (not called and host.begun(self.name))
        return {"taken": called or "a VM without a name", "left": left, "volumes": volumes}

    def _volumes(self, host: Host) -> list[str]:
        """What lies on the node's storages under the number."""
        found = []
        options = ("--content", "images", "--enabled", "1")
        for store in api(host, f"/nodes/{self.node}/storage", *options, shape=_STORES):
            if not store.get("active"):
                continue
            path = f"/nodes/{self.node}/storage/{store['storage']}/content"
            rows = api(host, path, "--vmid", str(self.as_vmid), shape=_VOLUMES)
            found += [r["volid"] for r in rows if r.get("content", "images") == "images"]
        return sorted(found)

    def diff(self, observed: dict[str, Any]) -> Diff:
        due = not is_held(observed, self.within_s)
        if observed["left"]:
            call = self._sent(_CLEAR, *observed["volumes"])
            clear = Change(
                f"remove what a drill that was broken off has left of {self.restored}",
                call,
                destroys=(self.restored,),
                replaces=f"{observed['taken']}, with {', '.join(observed['volumes']) or 'no disk'}",
                undo=f"{NOT_UNDONE}: it was a copy, and the backup that it came from stays",
            )
            return Diff((clear, *(self._drilling() if due else ())))
        if not due:
            return Diff()
        if observed["taken"] or observed["volumes"]:
            what = observed["taken"] or ", ".join(observed["volumes"])
            return Diff(
                conflict=f"the drill is to restore {self.vm_name} under the number {self.as_vmid}, "
                f"and that has {what}: give the drill another vmid"
            )
        return Diff(self._drilling())

    def _drilling(self) -> tuple[Change, ...]:
        words = (
            *(str(self.seed), str(self.files), self.source, str(self.vmid), self.storage),
            *(self.node, self._called, mark.tag(self.lab)),
        )
        what = (
            f"restore the newest backup of {self.vm_name} as VM {self.as_vmid} on {self.storage}, "
            f"with new addresses, links down and no cards; compare {self.files} of its files with "
            f"those of the running {self.vm_name}"
        )
        gone = (self.restored,)
        if not self.start:
            call = self._sent(_DRILL, *words)
            undo = f"{NOTHING_TO_UNDO}: what it restores it takes away again"
            whole = Change(f"{what}; and remove it", call, destroys=gone, detached=True, undo=undo)
            return (whole,)
        number = str(self.as_vmid)
        why = f"{FOLDER}/{self.drill}.why"
        on = change("sh", "-c", _START, "sh", number, why, sudo=True, timeout_s=300)
        end = "see whether its guest agent answers, and remove it"
        return (
            Change(what, self._sent(_DRILL + _STAYS, *words, note=".part"), destroys=gone,
                   detached=True, undo=f"{NOTHING_TO_UNDO}: what it restores is removed below"),
            Change(f"start {self.restored}, without a network", on, detached=True,
                   follow=self._answers, undo=f"qm stop {number}"),
            Change(end, self._sent(_JUDGE), destroys=gone,
                   undo=f"{NOT_UNDONE}: it was a copy, and the backup that it came from stays"),
        )  # fmt: skip

    def _answers(self, host: Host, result: Result) -> Progress:
        """Done once its agent answers, it is off, or it was given its time; that is judged after,
        by what removes it in any case."""
        path = f"/nodes/{self.node}/qemu/{self.as_vmid}/status/current"
        now = api(host, path, shape=_UPTIME)
        if now["status"] != "running" or now.get("uptime", 0) > _UP_S:
            return Progress(True)
        if guest_addresses(host, self.as_vmid) is not None:
            return Progress(True)
        return Progress(False, note=f"the guest agent of {self.restored} does not answer yet")

    def _sent(self, script: str, *words: str, note: str = "") -> Any:
        place = f"{FOLDER}/{self.drill}"
        numbered = (f"{place}.d", f"{place}{note}", str(self.as_vmid), *words)
        return change("sh", "-c", script, "sh", *numbered, sudo=True, timeout_s=self.timeout_s)
