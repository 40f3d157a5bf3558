"""Every task, row, sentence and service of the design is carried out by a step, or judged by a
model or a rule; or it is said why not. What is named for that is there."""

import importlib
import re
from collections import Counter
from functools import cache
from html import unescape

import pytest

from homelab_lib.audit.run import RULES
from homelab_lib.lab import load_lab
from homelab_lib.lab.coverage import Coverage
from homelab_lib.recipes import health
from homelab_lib.recipes.phase import runbook, runbooks
from homelab_lib.views.coverage import coverage, plain

LAB = load_lab()
MOST_ALIKE = 4  # Exo's four rows are one matter


def public_key_of(vm):
    return "ssh-ed25519 AAAA"


def leaves(tasks):
    for task in tasks:
        yield from leaves(task.tasks) if task.tasks else [task]


def rows():
    """What the design asks for, by a name for people: its words, and what covers it."""
    for phase in LAB.phases:
        for task in leaves(phase.tasks):
            yield f"task {task.name}", task.title, task.covered
    for claim in LAB.claims:
        yield f"claim {claim.name}", claim.quote, claim.covered
    for each in LAB.purchases:
        if not each.price.approximate:  # those of decisions are no rows of the design
            yield f"purchase {each.name}", each.title, each.covered
    for way in LAB.remote_access:
        yield f"way in {way.method}", way.use_case, way.covered
    for service in LAB.services.values():
        yield f"service {service.name}", service.title, service.covered


ROWS = list(rows())


def test_every_machine_and_every_skipped_technology_has_rows():
    about = repr([claim.about for claim in LAB.claims])
    assert [host for host in LAB.hosts if f"hosts.{host}." not in about] == []
    quotes = [claim.quote for claim in LAB.claims]
    for each in LAB.skipped:
        assert f"| {each.technology} | {each.reason} |" in quotes


@pytest.mark.parametrize(("name", "words", "covered"), ROWS, ids=[row[0] for row in ROWS])
def test_no_row_is_a_gap(name, words, covered):
    assert covered is not None, f"{words}: name its step, model or rule, or why none"
    for model in covered.models:
        module, function = model.split(".")
        found = importlib.import_module(f"homelab_lib.models.{module}")
        assert callable(getattr(found, function, None)), f"there is no model {model}"
    assert set(covered.rules) - set(RULES) == set(), "there are no such rules"


def test_a_reason_is_about_its_row_alone():
    """One that stood everywhere would say nothing of any."""
    said = Counter(c.left_out for _, _, c in ROWS if c and c.left_out and not c.steps)
    assert [words for words, times in said.items() if times > MOST_ALIKE] == []


@cache
def steps():
    """All steps of the lab's runbooks and of the look at them, as ``runbook:step``."""
    books = [runbook(LAB, each.phase, public_key_of, each.part) for each in runbooks(LAB)]
    books.append(health.runbook(LAB, public_key_of, health.carried_out(LAB)))
    return {f"{book.name}:{step}" for book in books for step in book.names}


@pytest.mark.parametrize(
    "covered", [pytest.param(c, id=name) for name, _, c in ROWS if c and c.steps]
)
def test_every_step_that_is_named_is_there(covered):
    assert set(covered.steps) - steps() == set()


@pytest.mark.parametrize(
    "word", ["RDP", "WiFi 7", "Bluetooth", "Case", "Cable", "USB Boot Drive", "unused radio"]
)
def test_what_is_easily_forgotten_is_not(word):
    said = [c for _, words, c in ROWS if c and (word in words or word in c.left_out)]
    assert said
    assert all(isinstance(each, Coverage) for each in said)


def test_the_page_shows_each_row_in_words_and_a_gap_as_one():
    shown = unescape(coverage(LAB))
    assert "nothing is said of it yet" not in shown
    for claim in LAB.claims:
        assert f">{plain(claim.quote)}<" in shown
        assert claim.covered.left_out in shown
    assert ">CPU: Intel N305 (8 cores)<" in shown
    assert not re.search(r">[^<]*[|│*`]", shown), "marks of tables, drawings and markdown"
    first, *others = LAB.claims
    gap = LAB.model_copy(update={"claims": (first.model_copy(update={"covered": None}), *others)})
    assert coverage(gap).count("nothing is said of it yet") == 1
