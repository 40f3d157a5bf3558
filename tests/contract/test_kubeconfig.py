"""Kubeconfigs: `kubectl config` on the twin as the real one does it, and ours judged by it."""

import json

import pytest
import yaml

from contract.clusters import standing
from contract.programs import MINORS, carried
from homelab_lib import yaml_safe
from homelab_lib.control.kubeconfig import merged

pytestmark = pytest.mark.contract

WHOLE = """\
apiVersion: v1
kind: Config
clusters:
- cluster: {certificate-authority-data: YWJj, server: "https://10.0.0.1:6443"}
  name: default
- cluster:
    server: "https://10.0.0.2:6443"
    extensions: [{name: minikube, extension: {provider: minikube.sigs.k8s.io}}]
  name: two
contexts:
- context: {cluster: default, user: default, namespace: there}
  name: default
- context: {cluster: two, user: second}
  name: two
current-context: default
users:
- name: default
  user: {client-certificate-data: YWJj, client-key-data: YWJj}
- name: second
  user: {token: secret}
- name: third
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args: [login]
      command: sso
      env: [{name: A, value: b}]
      installHint: get it
      interactiveMode: Never
      provideClusterInfo: true
"""
OURS = {
    "clusters": {
        "name": "homelab",
        "cluster": {
            "certificate-authority-data": "YWJj",
            "server": "https://10.0.30.21:6443",
            "extensions": [{"name": "homelab", "extension": {"lab": "homelab"}}],
        },
    },
    "users": {
        "name": "homelab",
        "user": {
            "client-certificate-data": "YWJj",
            "client-key-data": "YWJj",
            "extensions": [{"name": "homelab", "extension": {"lab": "homelab"}}],
        },
    },
    "contexts": {
        "name": "homelab",
        "context": {
            "cluster": "homelab",
            "user": "homelab",
            "extensions": [{"name": "homelab", "extension": {"lab": "homelab"}}],
        },
    },
}
PLACE = "/root/.kube/config"


@pytest.fixture(params=MINORS)
def real(request):
    return carried("kubectl", request.param)


def both(real, folder, line, text):
    """What the two leave of a call: its status, what it printed, and the file after it."""
    file = folder / "config"
    if text is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(text)
    there = real(*line.split(), KUBECONFIG=str(file))
    machine = standing().server
    if text is None and machine.files.exists(PLACE):
        machine.files.remove(PLACE)
    elif text is not None:
        machine.files.put(PLACE, text, mode=0o600)
    here = machine.run(f"sudo -n -- k3s kubectl --kubeconfig={PLACE} {line}").finished()
    left = file.read_text() if file.exists() else "{}"
    kept = machine.files.text(PLACE) if machine.files.exists(PLACE) else "{}"
    return (
        (there.status, there.out.replace(str(file), PLACE), there.err.replace(str(file), PLACE),
         yaml.safe_load(left)),
        (here.status, here.out.decode(), here.err.decode(), yaml.safe_load(kept)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "current-context",
        "get-contexts",
        "get-contexts -o name",
        "get-contexts two",
        "get-contexts nope",
        "get-clusters",
        "get-users",
        "use-context two",
        "use-context nope",
        "rename-context two three",
        "rename-context default three",
        "rename-context two default",
        "rename-context nope x",
        "set-context two --namespace=bar",
        "set-context new --cluster=default --user=second",
        "set-context --current --namespace=q",
        "set-context",
        "delete-context two",
        "delete-context default",
        "delete-context nope",
        "set-cluster third --server=https://10.0.0.9",
        "set-cluster two --server=https://10.0.0.9",
        "set-credentials fourth --token=abc",
        "delete-cluster two",
        "delete-cluster nope",
        "delete-user second",
        "delete-user nope",
    ],
)
def test_config(real, tmp_path, line):
    there, here = both(real, tmp_path, f"config {line}", WHOLE)
    if line in ("get-clusters", "get-users"):  # older ones list them in no order
        there, here = ((s, sorted(out.split()), *more) for s, out, *more in (there, here))
    assert here == there


@pytest.mark.parametrize(
    "line",
    [
        "view",
        "view -o json",
        "view --raw",
        "view --minify",
        "view --minify --raw -o json",
        "view --context=two --minify",
        "view --minify --context=nope",
        "view --flatten --minify",
    ],
)
@pytest.mark.parametrize("text", [WHOLE, None])
def test_view(real, tmp_path, line, text):
    there, here = both(real, tmp_path, f"config {line}", text)
    assert (here[0], here[2] == "") == (there[0], there[2] == "")
    assert _bare(yaml.safe_load(here[1])) == _bare(yaml.safe_load(there[1]))


def _bare(config):
    """Without what kubectl fills in for programs that give logins."""
    for each in (config or {}).get("users") or ():
        each["user"].pop("exec", None)
    return config


@pytest.mark.parametrize("line", ["current-context", "get-contexts", "use-context x",
                                  "set-context new --cluster=a --user=b"])  # fmt: skip
def test_config_where_there_is_no_file(real, tmp_path, line):
    there, here = both(real, tmp_path, f"config {line}", None)
    assert here == there


@pytest.mark.parametrize(
    "text",
    [
        "",
        WHOLE,
        json.dumps(yaml.safe_load(WHOLE)),
        "clusters: null\nusers: []\n",
        "x: &c {server: 'https://10.0.0.3'}\nclusters: [{name: a, cluster: *c}]\n",
        'users: [{name: "yes", user: {username: "017", password: "1:30"}}]\n',
        "apiVersion: v1\nkind: Config\ncontexts: [{name: =, context: {cluster: a, user: b}}]\n",
    ],
)
def test_what_we_merge_is_a_kubeconfig_to_kubectl(real, tmp_path, text):
    """What was there is there, ours is there, and kubectl may write it anew without loss."""
    file = tmp_path / "config"
    file.write_text(text)
    before = json.loads(real("config", "view", "--raw", "-o", "json", KUBECONFIG=str(file)).out)
    file.write_text(merged(text, OURS))
    shown = real("config", "view", "--raw", "-o", "json", KUBECONFIG=str(file))
    assert shown.status == 0, shown.err
    after = json.loads(shown.out)
    for room, kind in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
        entries = {each["name"]: each[kind] for each in after[room]}
        assert entries.pop("homelab") == OURS[room][kind]
        assert entries == {each["name"]: each[kind] for each in before[room] or ()}
    assert after["current-context"] == (before["current-context"] or "homelab")
    moved = real("config", "set-context", "homelab", "--namespace=x", KUBECONFIG=str(file))
    assert moved.status == 0
    again = merged(file.read_text(), OURS)
    contexts = {each["name"]: each["context"] for each in yaml_safe.load(again)["contexts"]}
    assert contexts["homelab"] == OURS["contexts"]["context"], "ours is known again, and as it was"
