"""What a drill of a whole VM sends: one script, which restores, looks, compares and takes away.

Restored it is from the newest backup on one of the node's storages, from a backup server that is
entered for this alone and left again, or from a copy by restic that carries such backups: its
archive is then piped through, unpacked, and never lies anywhere.

Sources: `create_vm` with ``archive``, `restore_merge_config`, `restore_vma_archive` (qemu-server
9.2): options that are given go before those of the backup, so that it never stands there with
``onboot``; an archive called ``-`` is read from standard input as it comes, not unpacked; a
`pvesh` keeps its own for its task (`fork_worker` of pve-common), and ends with 0 when that failed,
so the task is asked. losetup(8), mount(8): ``noload`` for ext4, ``norecovery`` for XFS, since a
backup of a running VM has a journal that was not closed.
"""

from homelab_lib.control.linux.drills import COPY, FROM_PAPER, LOGIN, NOTE

# $1 folder of its own, $2 the note, $3 number of the restored one.
BEGIN = (
    'set -eu; umask 077; d="$1" r="$2" n="$3"; loop= ours= paper= entered=; '
    'unseen() { ! findmnt "$d/disk" > /dev/null 2>&1 || umount "$d/disk"; '
    '[ -z "$loop" ] || losetup -d "$loop"; loop=; }; '
    'away() { unseen || true; if [ -n "$ours" ]; then qm stop "$n" > /dev/null 2>&1 || true; '
    'qm set "$n" --protection 0 > /dev/null 2>&1 || true; '
    'qm destroy "$n" --purge 1 --destroy-unreferenced-disks 1 > /dev/null || '
    'echo "VM $n is still there: qm destroy $n" >&2; fi; '
    'rm -f -- "$d/said" "$d/config" "$d/nets" "$d/task" "$d/list" "$d/now" "$d/why" "$d/broke" '
    '"$r.why"; '
    'rmdir -- "$d/disk" "$d" 2> /dev/null || true; '
    '[ -z "$paper" ] || rm -f -- "$paper" "$paper.key"; '
    '[ -z "$entered" ] || pvesm remove "$entered" || '
    'echo "storage $entered is still there: pvesm remove $entered" >&2; }; '
)
CLEAR = BEGIN + (
    'shift 3; for v in "$@"; do for loop in $(losetup -n -O NAME -j "$(pvesm path "$v")"); do '
    'unseen; done; done; loop=; qm unlock "$n" || true; ours=1; away; ! qm config "$n" > /dev/null '
    "2>&1"
)
# $4 seed, $5 how many, $6 where backups are, or what their copies are tagged with, $7 whose, $8
# where to, $9 node; name, the lab's tag, where the paper's lines are; restic, or what `pvesm` is
# told of a server.
_BEGUN = (
    'seed="$4" want="$5" from="$6" orig="$7" onto="$8" node="$9"; shift 9; name="$1" mark="$2" '
    'paper="$3"; shift 3; trap away EXIT; mkdir -p -- "$d/disk" "${r%/*}"; '
    ': > "$d/said"; : > "$d/why"; rm -f -- "$d/broke"; '
)
# One of a single byte, or none, is being made, or was broken off.
_ON_STORAGE = (
    'snap=$(pvesm list "$from" --content backup --vmid "$orig" | '
    'sed -n "/ backup  *[01] /d; s/^\\([^ ]*:backup\\/[^ ]*\\) .*/\\1/p" | sort | tail -n 1); '
    '[ -n "$snap" ] || { echo "there is no backup of VM $orig on $from" >&2; exit 1; }; '
)
# It is read once, and gone.
_PAPER = "{ " + FROM_PAPER + LOGIN + '} < "$paper"; rm -f -- "$paper"; '
# A server: the token's secret in the paper's first line, and then the key, which has to be a file.
# To read a backup's options takes the key that it was encrypted by: with another one nothing is
# restored, and the client says whose it is.
_ENTER = (
    'sed 1d "$paper" > "$paper.key"; pvesm add pbs "$from" "$@" --password < "$paper" > /dev/null; '
    'entered="$from"; rm -f -- "$paper" "$paper.key"; '
)
_OPENS = 'pvesm extractconfig "$snap" > "$d/config"; '
_IN_COPY = (
    'tag="$from"; ' + COPY + 'copy="$snap"; "$@" ls "$copy" > "$d/list"; '
    # Beside an archive lie its log and its notes.
    'snap=$(sed -n "/^\\/.*\\/vzdump-qemu-$orig-[0-9_-]*\\.vma'
    '\\(\\.zst\\|\\.gz\\|\\.lzo\\)\\{0,1\\}\\$/p" "$d/list" | '
    "sort | tail -n 1); "
    '[ -n "$snap" ] || { echo "copy $copy holds no backup of VM $orig" >&2; exit 1; }; '
    'case "$snap" in *.zst) un="zstd -q -d -c";; *.gz) un="gzip -d -c";; *.lzo) un="lzop -d -c";; '
    "*) un=cat;; esac; "
)
# Without a lock: it may take hours, and a night's copies would not be tidied up meanwhile. At worst
# a weekly prune takes from under it what it reads, and the drill fails.
_PIPED = (
    '{ "$@" dump --no-lock "$copy" "$snap" 2>> "$d/why" || : > "$d/broke"; } | '
    '{ $un 2>> "$d/why" || : > "$d/broke"; } | '
)
_RESTORE = (
    'pvesh create "/nodes/$node/qemu" --vmid "$n" --archive "$archive" --storage "$onto" '
    '--unique 1 --onboot 0 --protection 0 --name "$name" --tags "$mark" --output-format json '
    '2>> "$d/why" | '
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
_JUDGED = (
    'if [ ! -e "$d/broke" ] && '
    'grep -q -e \'"exitstatus":"OK"\' -e \'"exitstatus":"WARNINGS\' "$d/task"; then '
    + _LOOK
    + 'else cat "$d/why" "$d/task" >&2; echo "lost the whole VM" >> "$d/said"; fi; '
    + NOTE
)
_FROM_STORAGE = 'archive="$snap"; upid=$(' + _RESTORE + _JUDGED
FROM_STORAGE = BEGIN + _BEGUN + _ON_STORAGE + _FROM_STORAGE
FROM_SERVER_BY_PAPER = BEGIN + _BEGUN + _ENTER + _ON_STORAGE + _OPENS + _FROM_STORAGE
_FROM_COPY = _IN_COPY + "archive=-; upid=$(" + _PIPED + _RESTORE + _JUDGED
FROM_COPY = BEGIN + _BEGUN + _FROM_COPY
FROM_COPY_BY_PAPER = BEGIN + _BEGUN + _PAPER + _FROM_COPY
STAYS = "; ours="
JUDGE = BEGIN + (
    'ours=1; trap away EXIT; if qm guest cmd "$n" ping > /dev/null 2>> "$r.why"; then '
    'echo "same start of the restored VM" >> "$r.part"; mv -fT -- "$r.part" "$r"; else '
    'cat "$r.why" >&2; echo "lost start of the restored VM" >> "$r.part"; '
    'mv -fT -- "$r.part" "$r"; exit 1; fi'
)
