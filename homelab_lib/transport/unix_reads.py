"""Which calls of the programs that any Unix has only read, by their manual pages.

Options that write, run something, never end or start a pager are left out, and so is what nobody
needs.
"""

from collections.abc import Sequence

from homelab_lib.transport.options import Allowed, Judge, Words


def _few(words: Words) -> bool:
    """It ends by itself, after no more than ten."""
    count = words.values("-c")
    return (
        len(words.operands) == 1 and bool(count) and count[-1].isdecimal() and int(count[-1]) < 11
    )


def _asks_a_server(words: Words) -> bool:
    """It asks one server, for no more than ten seconds."""
    seconds = words.values("--time")
    ends = bool(seconds) and seconds[-1].isdecimal() and 0 < int(seconds[-1]) < 11
    return not words.operands and len(words.values("--client")) == 1 and ends


def _fetches(words: Words) -> bool:
    """A GET or HEAD over HTTP whose answer goes to standard output."""
    given = words.values("-w", "--write-out", "-H", "--header")
    return (
        bool(words.operands)
        and all(url.startswith(("http://", "https://")) for url in words.operands)
        # `-w %output{file}` writes one, and `@file` takes what it says from one
        and not any("%output" in text or text.startswith("@") for text in given)
    )


def _shows(words: Words) -> bool:
    """``ip OBJECT [show …]``"""
    match words.operands:
        case ["addr" | "address" | "link" | "route" | "rule" | "neigh", *rest]:
            return not rest or rest[0] in ("show", "list", "get")
    return False


_ASKED_OF_A_FILE = [f"-{letter}" for letter in "bcdefghkLprsSuwxOGnz"]


def _tests(words: Sequence[str]) -> bool:
    """Of a file or a text; bash's ``test -v 'a[$(…)]'`` runs what stands in it."""
    match words:
        case [operator, _]:
            return operator in _ASKED_OF_A_FILE
        case [_, operator, _]:
            return operator in ("=", "!=")
    return False


PROGRAMS: dict[str, Judge] = {
    "apt-cache": Allowed("policy,show,madison", "-q --quiet --no-all-versions"),
    "apt-mark": Allowed("showhold"),
    "basename": Allowed("", "-a -z", "-s"),
    "cat": Allowed("", "-A -b -e -E -n -s -t -T -u -v"),
    "cloud-init": Allowed("status", "--wait -w --long -l", "--format"),
    "curl": Allowed(
        "",
        "-s -S -f -L -k -v -I -i -g -4 -6 --silent --show-error --fail --location --head "
        "--insecure",
        "-H -m -w --header --max-time --max-filesize --connect-timeout --retry --cacert --resolve "
        "--write-out",
        also=_fetches,
    ),
    # An operand without a plus sets the clock.
    "date": Allowed(
        "", "-u --utc -R", "-d --date", also=lambda w: all(o.startswith("+") for o in w.operands)
    ),
    "df": Allowed("", "-a -h -H -i -k -l -P -T", "-B -t -x --block-size --output --type"),
    "dirname": Allowed("", "-z"),
    "dmesg": Allowed(
        "", "-k -r -t -T -u -x --ctime --decode --kernel --notime --raw", "-f -l --facility --level"
    ),
    "dmidecode": Allowed("", "-q --quiet", "-t -s --type --string"),
    "dpkg-query": Allowed("", "-W -l -s -L -S --show --list --status", "-f --showformat"),
    # Small letters look and capitals set, but for these: -s sets, -p blinks, -r and -t disturb.
    "ethtool": Allowed("", "-i -S -k -g -m -a -c -l", also=lambda w: len(w.operands) == 1),
    "find": Allowed(
        "",
        "-L -H -P -xdev -mount -print -print0 -o -a -not -empty",
        "-name -iname -path -type -maxdepth -mindepth -size -mtime -newer -user -group -perm "
        "-printf",
    ),
    "findmnt": Allowed(
        "",
        "-n --noheadings -r --raw -J --json -l --list -f --first-only -b --bytes -A --all "
        "-k --kernel -P --pairs -D --df -a --ascii -e --evaluate -s --fstab -m --mtab -u -v",
        "-o --output -t --types -T --target -S --source -M --mountpoint -O --options",
    ),
    "free": Allowed("", "-b -k -m -g -h -l -t -w --bytes --human --wide"),
    "getent": Allowed(),
    "grep": Allowed(
        "",
        "-a -c -E -F -G -h -H -i -l -L -n -o -P -q -r -R -s -v -w -x -z --count --quiet",
        "-A -B -C -e -f -m",
    ),
    "head": Allowed("", "-q -v -z", "-c -n --bytes --lines"),
    "hostname": Allowed(
        "", "-f -s -d -i -I -A --fqdn --short", also=lambda words: not words.operands
    ),
    "id": Allowed("", "-a -g -G -n -r -u -z --group --groups --name --user"),
    "ip": Allowed(
        "",
        "-j -json -p -pretty -d -details -s -stats -4 -6 -o -oneline -br -brief",
        also=_shows,
    ),
    "journalctl": Allowed(
        "",
        "-q --quiet --no-pager -a --all -b -k -r --utc",
        "-o --output -u --unit -n --lines -p --priority -t --since --until --output-fields",
    ),
    "ls": Allowed("", "-1 -a -A -d -F -h -i -l -L -n -p -r -R -s -S -t -U -Z", "--time-style"),
    "lsblk": Allowed(
        "",
        "-a -b -d -f -J -l -m -n -O -p -P -r -s -S -t --all --bytes --fs --json --list --nodeps "
        "--noheadings --output-all --pairs --paths --raw",
        "-e -I -o -x --exclude --include --output --sort",
    ),
    "lscpu": Allowed("", "-a -b -c -e -J -p --all --json"),
    "lsmod": Allowed(),
    "lspci": Allowed("", "-n -v -k -m -D -t", "-s -d"),
    "lsusb": Allowed("", "-t -v", "-d -s"),
    # A client only, and one that ends: it sends what a server throws away.
    "iperf3": Allowed(
        "", "--json", "--client --time --parallel --connect-timeout", also=_asks_a_server
    ),
    "modinfo": Allowed("", "-0", "-F -k --field"),
    "nproc": Allowed("", "--all", "--ignore"),
    # Without a count it never ends.
    "ping": Allowed("", "-n -q -4 -6", "-c -W -w -M -s -I -t", also=_few),
    # Of the processes that are named by their numbers, and of each what stands in the list.
    "ps": Allowed("", "", "-o -p"),
    "readlink": Allowed("", "-e -f -m -n -q -s -v -z"),
    "sha256sum": Allowed("", "-b -c -t -w -z --check --quiet --status --tag --zero"),
    "showmount": Allowed("", "-a -d -e --all --directories --exports --no-headers"),
    "ss": Allowed("", "-t -u -x -w -l -n -p -a -e -i -m -o -s -4 -6 -H"),
    "smartctl": Allowed("", "-a -A -H -i -x --all --health --info --json --xall", "-d --device"),
    "stat": Allowed("", "-f -L -t --dereference --file-system --terse", "-c --format --printf"),
    "swapon": Allowed(
        "",
        "--show --noheadings --raw --bytes",
        "",
        also=lambda words: ("--show", "") in words.options and not words.operands,
    ),
    "sysctl": Allowed(
        "", "-a -e -n -N", also=lambda words: not any("=" in name for name in words.operands)
    ),
    "systemctl": Allowed(
        "show,cat,status,is-active,is-enabled,is-failed,is-system-running,list-units,list-unit-files,list-timers",
        "-a --all --failed -l --full --no-legend --no-pager --plain -q --quiet --value --wait",
        "-n --lines -o --output -p --property -P --state -t --type",
    ),
    "tail": Allowed("", "-q -v -z", "-c -n --bytes --lines"),
    "test": _tests,
    "timedatectl": Allowed("show", "--value", "-p"),
    "true": Allowed(),
    "uname": Allowed("", "-a -i -m -n -o -p -r -s -v"),
    "uptime": Allowed("", "-p -s --pretty --since"),
    "wc": Allowed("", "-c -l -L -m -w --bytes --lines"),
    "which": Allowed("", "-a"),
    "whoami": Allowed(),
    # Without -n it lists, too; but what wipes is one letter away.
    "wipefs": Allowed("", "-n -J", also=lambda words: ("-n", "") in words.options),
    "zfs": Allowed("list,get,version", "-H -j -p -r", "-d -o -s -S -t"),
    "zpool": Allowed("list,status,get,history,version", "-H -p -v -x -P -L -g -j", "-o"),
}
