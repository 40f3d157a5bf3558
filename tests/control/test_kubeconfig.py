"""Our cluster's entries stand in a kubeconfig, and everybody else's stay as they were."""

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from homelab_lib.control.kubeconfig import Foreign, file, merged
from homelab_lib.control.linux import login
from homelab_lib.errors import StepFailed
from homelab_lib.lab import load_lab
from homelab_lib.yaml_safe import BadYaml
from recipes.bench import Bench

KEY = "LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tLQ"


def ours(server="https://10.0.30.21:6443", lab="attic", name="home"):
    mark = {"extensions": [{"name": "homelab", "extension": {"lab": lab}}]}
    return {
        "clusters": {"name": name, "cluster": {"server": server} | mark},
        "users": {"name": name, "user": {"client-key-data": KEY} | mark},
        "contexts": {"name": name, "context": {"cluster": name, "user": name} | mark},
    }


def config(*names, server="https://work.example", **more):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}} for name in names],
        "users": [{"name": name, "user": {"token": f"token of {name}"}} for name in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        **more,
    }


def test_a_new_one_leads_to_our_cluster_and_says_whose_it_is():
    made = yaml.safe_load(merged("", ours()))
    assert made["current-context"] == "home"
    assert (made["apiVersion"], made["kind"]) == ("v1", "Config")
    for room, entry in ours().items():
        assert made[room] == [entry]


def test_what_is_there_stays_and_the_current_context_with_it():
    there = config("work", "play", **{"current-context": "play"}, preferences={"colors": True})
    made = yaml.safe_load(merged(yaml.safe_dump(there), ours()))
    assert made["current-context"] == "play"
    assert made["preferences"] == {"colors": True}
    for room in ("clusters", "users", "contexts"):
        assert made[room] == [*there[room], ours()[room]]


def test_a_second_time_changes_no_letter():
    once = merged(yaml.safe_dump(config("work")), ours())
    assert merged(once, ours()) == once
    assert merged(f"# mine\n{once}", ours()).startswith("# mine\n")


def test_our_own_entry_follows_the_server():
    once = merged(yaml.safe_dump(config("work")), ours())
    made = yaml.safe_load(merged(once, ours("https://10.0.30.99:6443")))
    assert [c["cluster"]["server"] for c in made["clusters"]] == [
        "https://work.example", "https://10.0.30.99:6443"]  # fmt: skip


def test_an_entry_that_kubectl_wrote_anew_is_still_ours():
    once = merged("", ours())
    as_kubectl = yaml.safe_dump(yaml.safe_load(once), sort_keys=True)  # it sorts keys
    assert "10.0.30.99" in merged(as_kubectl, ours("https://10.0.30.99:6443"))


@pytest.mark.parametrize("room", ["clusters", "users", "contexts"])
def test_somebody_elses_entry_of_our_name_is_a_conflict(room):
    there = config("work") | {room: config("home")[room]}
    if room == "contexts":
        there[room][0]["context"]["cluster"] = "work"
    with pytest.raises(Foreign, match=f"a {room.removesuffix('s')}"):
        merged(yaml.safe_dump(there), ours())


def test_the_entry_of_another_lab_is_a_conflict():
    with pytest.raises(Foreign):
        merged(merged("", ours("https://10.9.9.9:6443", lab="loft")), ours())


def test_an_entry_without_our_mark_that_is_the_same_is_left_as_it_is():
    bare = {
        room: [{k: v if k == "name" else {a: b for a, b in v.items() if a != "extensions"}
                for k, v in entry.items()}]
        for room, entry in ours().items()
    }  # fmt: skip
    text = yaml.safe_dump(bare)
    assert merged(text, ours()) == text


def test_two_entries_of_our_name_are_nothing_we_choose_between():
    with pytest.raises(Foreign, match="more than one"):
        merged(yaml.safe_dump(config("home", "home")), ours())


def test_values_stay_as_somebody_wrote_them():
    """A token of digits in octal, a date, a number beyond what a float keeps."""
    text = "users:\n- name: work\n  user: {token: 0777, when: 2024-01-01, n: 1e400, s: 'no'}\n"
    assert "{token: 0777, when: 2024-01-01, n: 1e400, s: 'no'}" in merged(text, ours())


def test_json_is_a_kubeconfig_too():
    made = yaml.safe_load(merged(json.dumps(config("work")), ours()))
    assert [each["name"] for each in made["users"]] == ["work", "home"]


@pytest.mark.parametrize(
    "text",
    [
        f"just words {KEY}",
        f"- {KEY}",
        f"clusters: {KEY}",
        f"clusters: [{KEY}]",
        f"clusters: [{{name: a, cluster: {KEY}}}]",
        f"users: [{KEY}\n",
        f"base: &b {{users: [{{name: {KEY}, user: {{}}}}]}}\n<<: *b\n",
        f"users: [{{name: a, user: {{token: '{KEY}\ufffd'}}}}]",
    ],
)
def test_what_is_no_kubeconfig_is_refused_and_not_quoted(text):
    with pytest.raises(BadYaml) as caught:
        merged(text, ours())
    assert KEY not in str(caught.value)


BOMB = "z0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"z{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
HEAD = "apiVersion: v1\nkind: Config\n"


@pytest.mark.parametrize(
    "bomb",
    [
        f"{HEAD}{BOMB}",
        f"{HEAD}{BOMB}clusters: *a9\n",
        f"{HEAD}{BOMB}contexts: [{{name: home, context: {{cluster: *a9}}}}]\n",
        f"{HEAD}users: " + "[" * 100_000,
        f"{HEAD}users: {'9' * 100_000}\n",
    ],
    ids=["beside", "as a list", "in ours", "brackets", "a number"],
)
def test_an_alias_bomb_is_refused_soon_and_left_alone(bomb):
    """300 bytes that stand for terabytes."""
    begun_s = time.process_time()
    with pytest.raises(BadYaml):
        merged(bomb, ours())
    assert time.process_time() - begun_s < 5


def test_on_a_desktop_it_stops_the_step_and_says_where_it_lies():
    bench = Bench(load_lab(), ())
    desktop, path = bench.world.machines["desktop"], "/home/homelab/.kube/config"
    desktop.run("install -d .kube")
    desktop.files.put(path, HEAD + BOMB, user="homelab", group="homelab")
    host = bench.engine().context.host("desktop")
    with pytest.raises(StepFailed, match="more than 100000 values; it was left alone") as caught:
        file(host, path, login(host), ours, "home", lab="attic")
    assert f"mv {path}" in str(caught.value)


names = st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), min_size=1, max_size=8)


@settings(deadline=None)
@given(st.lists(names.filter(lambda name: name != "home"), unique=True, max_size=4), names)
def test_nothing_of_anybody_is_lost(others, context):
    there = config(*others, **{"current-context": context, "x-mine": {context: others}})
    made = yaml.safe_load(merged(yaml.safe_dump(there), ours()))
    for room in ("clusters", "users", "contexts"):
        assert made.pop(room) == [*there.pop(room), ours()[room]]
    assert made == there
