"""The word `read` has to be earned; each line here is one command."""

import shlex

import pytest

import homelab_lib.control  # noqa: F401  (its rooms say what of their appliances only reads)
from homelab_lib.transport.reads import reads_only

READS = r"""
cat /etc/rancher/k3s/config.yaml
stat -c '%a %U:%G %F' /etc/hosts
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
