"""A real kubectl beside the twin's: how it reads documents, and how it makes them."""

import json
import random
import shlex

import pytest
import yaml

from contract.clusters import kubectl, standing
from contract.programs import MINORS, carried
from homelab_lib.twin.kubernetes.documents import read
from homelab_lib.twin.kubernetes.objects import ApiError

pytestmark = pytest.mark.contract


@pytest.fixture(params=MINORS)
def real(request):
    """kubectl of the oldest and the newest minor release that we know."""
    return carried("kubectl", request.param)


# Reading documents ------------------------------------------------------------------------------

_PLAIN = (
    "yes y Y n no No on Off TRUE True tRue nope 017 0o17 0x1F 0b11 1_000 1e3 .5 5. +1 -0 ~ null "
    "NULL Null = 2024-01-01 2024-01-01T00:00:00Z 1:30 190:20:30 08 0.10 1.0 << 0o 1__0 -0x1 1e400 "
    "_1 1_ NaN 1E3 1.5e+3 0b 09 1.e3 0_1 0x_1 -1 -.5 +.5 0b2 0o8 1e-7 1e20 0.1e1 -0b11 +0x1F "
    "1_0.5 9223372036854775807 -9223372036854775808 4294967296 0755 10Gi 500m 1.2.3 v1.34"
)
SCALARS = _PLAIN.split()
TAGGED = [
    "!!str 12", '"a\u0085b"', "!foo bar", "!!binary aGk=", '!!int "3"', "!!bool yes", "", '"yes"',
    "'017'", "|\n    two\n    lines", "&x 1", "{a: y, 1: 017}", "[=, ~, on]",
]  # fmt: skip
HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x1}\n"


def told(real, text):
    """The objects that kubectl reads in a text; None where it refuses it."""
    ran = real("label", "--local", "--dry-run=client", "-f", "-", "seen=1", "-o", "json",
               stdin=text, KUBECONFIG="/nonexistent")  # fmt: skip
    if ran.status:
        return None
    found, at = [], 0
    while rest := ran.out[at:].lstrip():
        at = len(ran.out) - len(rest)
        document, at = json.JSONDecoder().raw_decode(ran.out, at)
        del document["metadata"]["labels"]
        found.append(document)
    return found


def ours(text):
    """The same of the twin."""
    try:
        return read(text)
    except ApiError:
        return None


def meant(value):
    """A value so that two are equal where JSON means the same by them: a number is a number."""
    if isinstance(value, dict):
        return {key: meant(each) for key, each in value.items()}
    if isinstance(value, list):
        return [meant(each) for each in value]
    return ("number", float(value)) if type(value) in (int, float) else (type(value), value)


def test_scalars(real):
    lines = [f"  k{at}: {scalar}" for at, scalar in enumerate([*SCALARS, *TAGGED])]
    text = HEAD + "data:\n" + "\n".join(lines) + "\n"
    (there,), (here,) = told(real, text), ours(text)
    differ = {
        line.strip(): (there["data"].get(key), here["data"].get(key))
        for line in lines
        if (key := line.partition(":")[0].strip())
        and meant(there["data"].get(key)) != meant(here["data"].get(key))
    }
    assert differ == {}


TEXTS = {
    "a key twice": HEAD + "data: {a: b}\ndata: {c: d}\n",
    "an anchor": HEAD + "data: &d {a: b}\nother: *d\n",
    "a merge": HEAD + "x: &d {a: b, c: e}\ndata: {<<: *d, c: d}\n",
    "a key that is null": HEAD + "data: {~: d}\n",
    "a key that is a list": HEAD + "data: {? [a] : b}\n",
    "several": f"---\n{HEAD}--- # another\n{HEAD}---\n---\n# nothing\n",
    "a list": "apiVersion: v1\nkind: List\nitems:\n- " + HEAD.strip().replace("\n", "\n  ") + "\n",
    "an empty list": "apiVersion: v1\nkind: List\nitems:\n",
    "a list of numbers": "apiVersion: v1\nkind: List\nitems: [1]\n",
    "a typed list": "apiVersion: v1\nkind: ConfigMapList\nitems:\n- "
    + HEAD.strip().replace("\n", "\n  "),
    "JSON": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"n":1.0,"m":1e3}',
    "JSON twice": '{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}\n'
    '{"apiVersion":"v1","kind":"B","metadata":{"name":"y"}}',
    "half of JSON": '{"apiVersion":"v1",',
    "a list of JSON": '[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}]',
    "flow": "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}",
    "a word": "hello",
    "nothing": "",
    "a remark": "# hi\n",
    "no kind": "apiVersion: v1\n",
    "null": "null",
    "tabs": "apiVersion:\tv1\nkind: ConfigMap\nmetadata:\n\tname: x\n",
    "a byte order mark": "\ufeff" + HEAD,
    "Windows' lines": HEAD.replace("\n", "\r\n"),
    "deep": HEAD + "data: " + "[" * 100 + "]" * 100 + "\n",
    "metadata that is a number": "apiVersion: v1\nkind: ConfigMap\nmetadata: 3\n",
    "a kind that is a number": "apiVersion: v1\nkind: 3\nmetadata: {name: x}\n",
    "a name that is a number": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 3}\n",
    "a name that is true": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\n",
    "dashes in a text": HEAD + "data:\n  a: |\n    x\n    ---\n    y\n",
    "dashes that end a text": HEAD + "data:\n  a: |\n    x\n---\nfoo: bar\n",
    "something behind the dashes": HEAD + "--- {apiVersion: v1, kind: A, metadata: {name: z}}\n",
    "an alias of nothing": HEAD + "data: *x\n",
    "an alias of itself": HEAD + "data: &x {a: *x}\n",
    "a set": HEAD + "data: !!set {a, b}\n",
    "infinity": HEAD + "data: {a: .inf}\n",
    "a definition": HEAD + "enum: [=, '!=', =~, '!~']\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_documents(name):
    real = carried("kubectl", MINORS[-1])
    assert meant(ours(TEXTS[name])) == meant(told(real, TEXTS[name]))


def test_documents_at_random():
    """Mappings of all that may trip a reader, some of them no YAML at all."""
    real, chance = carried("kubectl", MINORS[-1]), random.Random("documents")
    bits = [*SCALARS, "[a, b]", "{a: b}", "- a", "a: b", "'", '"', "&a b", "*a", "# x", "%", "@",
            "!x", "|", ">", "? a", "-", ":", ",", "[", "}", "`", "---", "..."]  # fmt: skip
    for _ in range(60):
        lines = (f"  {chance.choice('abc')}{at}: {chance.choice(bits)}" for at in range(6))
        text = HEAD + "data:\n" + "\n".join(lines) + "\n"
        assert meant(ours(text)) == meant(told(real, text)), text


# Making documents -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "create namespace x",
        "create ns X_",
        "create deployment d --image=nginx",
        "create deployment d --image=registry:5000/a/web:1.2 --port=80 --replicas=2 -n there",
        "create configmap c --from-literal=a=b --from-literal=yes=no -n there",
        "create secret generic s --from-literal=a=b",
    ],
)
@pytest.mark.parametrize("form", ["json", "yaml", "name"])
def test_what_create_shows(real, line, form):
    whole = f"{line} --dry-run=client -o {form}"
    there = real(*shlex.split(whole), KUBECONFIG="/nonexistent")
    here = kubectl(standing(), whole)
    assert (there.status, here.status) == (0, 0)
    if form == "name":
        assert here.out.decode() == there.out
    else:
        assert yaml.safe_load(here.out) == _without_nulls(yaml.safe_load(there.out))


def _without_nulls(value):
    """Older releases show fields that have nothing in them."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("line", ["create ns", "create frob x", "frob", "config frob"])
def test_what_it_does_not_know(real, line):
    there, here = real(*line.split(), KUBECONFIG="/nonexistent"), kubectl(standing(), line)
    assert (there.status, here.status) == (1, 1)
    assert there.err.split(":")[:1] == here.err.decode().split(":")[:1] == ["error"]


def test_its_own_version(real):
    line = "version --client -o json"
    there = json.loads(real(*line.split()).out)
    here = json.loads(kubectl(standing(), line).out)
    assert here.keys() == there.keys()
    assert here["clientVersion"].keys() == there["clientVersion"].keys()
