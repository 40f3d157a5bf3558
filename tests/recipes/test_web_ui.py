"""Open WebUI: made, left alone, asked about a document; and what stops it."""

import copy
from dataclasses import replace

import pytest

from homelab_lib.errors import BadParameter, StepFailed
from homelab_lib.recipes.inference import web_ui
from homelab_lib.twin.kubernetes import web_ui as twin
from recipes.cards_bench import PHASE, bench, described, pass_through, steps_of

SMALL = (
    ("services.ollama.devices", ["proxmox.gpu1"]),
    ("services.ollama-desktop.phase", None),
    ("services.load-balancer.phase", None),
    ("gpu_allocation.rx-7900-xt.phase", None),
)
"""One card that answers and one that embeds: less to wait for."""
SECRETS = {
    "OPEN_WEBUI_PASSWORD": "kestrel-over-nine-lakes",
    "OPEN_WEBUI_SESSION_KEY": "wren-under-4-bridges",
}
VALUES = "services.open-webui.chart.values"


@pytest.fixture(autouse=True, scope="module")
def secrets():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        yield patch


def only(made, step):
    """The same twin, and one step: the others' things are an earlier phase's."""
    other = copy.copy(made)
    other.steps = (step,)
    return other


def page(made):
    """The program in its pod."""
    [cluster] = made.world.clusters.values()
    [pod] = [p for p in cluster.all("Pod", "ai") if p["metadata"]["name"] == "open-webui-0"]
    return cluster.programs[pod["metadata"]["uid"]]


@pytest.fixture(scope="module")
def done(secrets):
    made = bench(described(*SMALL), web_ui)
    return made, made.every()


def test_a_document_comes_back_and_the_answer_has_what_stands_in_it(done):
    _, outcomes = done
    assert all(check.holds for outcome in outcomes.values() for check in outcome.checks)
    assert [check.says for check in outcomes["documents"].checks] == [
        "“The spare key of the rack hangs on hook 47 behind the third shelf”",
        "“The spare key of the rack hangs on hook 47 behind the third shelf.”",
    ]
    [check] = outcomes["web-ui"].checks
    assert check.says == "status 401"


def test_nobody_can_make_an_account_and_nothing_is_fetched_from_elsewhere(done):
    made, _ = done
    body = '{"email": "a@b", "password": "first-to-come", "name": "a"}'
    status, _, _ = page(made)("/api/v1/auths/signup", {":method": "POST", ":body": body})
    assert status == 403
    [cluster] = made.world.clusters.values()
    images = {p["spec"]["containers"][0]["image"] for p in cluster.all("Pod", "ai")}
    assert images == {
        "ollama/ollama:0.32.15",
        "ollama/ollama:0.32.15-rocm",
        "ghcr.io/open-webui/open-webui:0.11.0",
    }
    claim = cluster.get("PersistentVolumeClaim", "open-webui", "ai")
    assert claim["spec"]["storageClassName"] == "local-path"


def test_no_secret_is_in_what_was_sent(done):
    made, _ = done
    assert not [line for line in made.wire.sent for each in SECRETS.values() if each in line]


def test_a_second_run_sends_nothing_and_verify_is_clean(done):
    made, _ = done
    sent = len(made.wire.sent)
    assert {outcome.status for outcome in made.every().values()} == {"already"}
    assert {outcome.status for outcome in made.every("verify").values()} == {"already"}
    assert made.wire.sent[sent:] == []


def test_a_plan_of_what_is_done_has_nothing_to_send(done):
    made, _ = done
    other = made.likeness()
    pass_through(other.lab, other.world)
    assert other.stops() == ("", "")
    assert other.wire.sent == []


def test_another_password_than_at_its_first_start_is_told(done, secrets):
    made, _ = done
    page(made).users["admin@home.arpa"]["password"] = "changed-in-the-page"
    ask_anew(made)
    step, words = made.stops()
    page(made).users["admin@home.arpa"]["password"] = SECRETS["OPEN_WEBUI_PASSWORD"]
    assert step == "documents"
    assert "signing in" in words
    assert "The email or password provided is incorrect" in words


def ask_anew(made):
    """What was asked and kept is gone; the rest stays."""
    kept = made.world.machines["k3s-control"].files
    for each in [p for p in kept.entries if p.startswith("/var/lib/homelab/answers/open-webui-")]:
        kept.remove(each)


def test_somebody_elses_document_of_the_same_name_is_neither_asked_nor_taken_away(done):
    made, _ = done
    files = page(made).files
    own = dict(files)
    theirs = {"id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "user_id": "somebody", "error": "x",
              "filename": "homelab-key.txt", "text": "His own.", "status": "failed"}  # fmt: skip
    files.clear()
    files[theirs["id"]] = theirs
    ask_anew(made)
    outcome = made.every()["documents"]
    left = dict(files)
    files.clear()
    files.update(own)
    assert left[theirs["id"]] == theirs
    assert len(left) == 2
    assert all(check.holds for check in outcome.checks)


@pytest.mark.parametrize(
    "status", [404, *(pytest.param(n, marks=pytest.mark.sample) for n in (401, 500))]
)
def test_where_documents_can_not_be_looked_for_none_is_uploaded(done, monkeypatch, status):
    made, _ = done

    def broken(*asked):
        raise twin.Refused(status, "Not Found" if status == 404 else "broken")

    monkeypatch.setitem(twin._ROUTES, ("GET", "/api/v1/files/search"), (True, broken))
    before = dict(page(made).files)
    ask_anew(made)
    step, words = made.stops()
    monkeypatch.undo()
    after = dict(page(made).files)
    made.every()
    assert step == "documents"
    assert "looking for the document" in words
    assert after == before


def test_a_model_that_is_missing_where_documents_are_read_is_named(done):
    made, _ = done
    [cluster] = made.world.clusters.values()
    [server] = [
        each
        for each in cluster.programs.values()
        if getattr(each, "seen", None) and each.seen.library == "ROCm"
    ]
    digest = server.store.pop("nomic-embed-text:latest")
    [step] = [replace(step, needs=()) for step in made.steps if step.name == "documents"]
    with pytest.raises(StepFailed) as caught:
        only(made, step).step("documents")
    server.store["nomic-embed-text:latest"] = digest
    words = " ".join(str(caught.value).split())
    assert "does not have nomic-embed-text:latest, by which open-webui reads documents" in words


@pytest.fixture(scope="module")
def other(secrets):
    """One that is spoilt again and again."""
    made = bench(described(*SMALL), web_ui)
    made.every()
    return made


def told_otherwise(made, **changed):
    """The same lab, whose page has other variables."""
    [step] = [s for s in web_ui.steps(described(*SMALL), PHASE) if s.name == "web-ui"]
    own = step.ensure.__self__.release.chart.values["extraEnvVars"]
    kept = [each for each in own if each["name"] not in changed]
    told = [{"name": name, "value": value} for name, value in changed.items()]
    values = {"extraEnvVars": [*kept, *told]}
    made.steps = steps_of(described(*SMALL, (VALUES, values)), web_ui)
    return made


@pytest.mark.slow
def test_a_page_where_anybody_makes_an_account_is_no_success(other):
    step, words = told_otherwise(other, ENABLE_SIGNUP="True").stops()
    assert step == "web-ui"
    assert "lets anybody make an account" in words


def test_a_page_without_an_administrator_is_no_success(other):
    page(other).users.clear()
    step, words = told_otherwise(other, WEBUI_ADMIN_EMAIL="").stops()
    assert step == "web-ui"
    assert "has no account, so whoever comes first becomes its administrator" in words


def test_a_page_without_a_login_is_no_success(other):
    step, words = told_otherwise(other, WEBUI_AUTH="False").stops()
    assert step == "web-ui"
    assert "asks nobody who he is" in words


def test_a_wrong_address_of_the_embedding_model_stops_at_the_document(other):
    ask_anew(other)
    page(other).files.clear()
    url = "http://embeddings.ai.svc:11434"
    step, words = told_otherwise(other, RAG_OLLAMA_BASE_URL=url).stops()
    assert step == "documents"
    assert "reading the document" in words
    assert page(other).files == {}, "what could not be read is taken away again"


def refused(*changes):
    with pytest.raises(BadParameter) as caught:
        list(web_ui.steps(described(*SMALL, *changes), PHASE))
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            ("services.open-webui.web_ui.storage_class", "nfs-tank"),
            "SQLite, which on NFS is damaged",
        ),
        (
            ("services.embeddings.phase", None),
            "reads documents with embeddings, and no Ollama serves that by phase 3",
        ),
        (
            ("services.open-webui.web_ui.embeds_with", "chat-small"),
            "chat-small answers, and open-webui needs a model that embeds",
        ),
        (
            ("services.open-webui.needs", []),
            "needs no service that has any",
        ),
        (
            ("clusters.homelab.certificates", None),
            "its password would go there unencrypted",
        ),
        (
            ("services.open-webui.backend", None),
            "nothing says what answers there where: services.open-webui.backend next: write",
        ),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_sent(change, expected):
    assert expected in refused(change)
