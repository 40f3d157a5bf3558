"""Secrets are references, resolved late, and masked wherever they turn up."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab_lib.errors import SecretUnresolved
from homelab_lib.secret import MASK, Mask, Secret, resolve


def test_the_environment(monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "s3cret")
    secret = resolve("env:LAB_TOKEN")
    assert secret.reveal() == "s3cret"
    monkeypatch.delenv("LAB_TOKEN")
    with pytest.raises(SecretUnresolved, match="export LAB_TOKEN"):
        secret.reveal()


def test_a_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert resolve(f"file:{file}").reveal() == "s3cret"
    file.chmod(0o644)
    with pytest.raises(SecretUnresolved, match="chmod 600"):
        resolve(f"file:{file}").reveal()


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(SecretUnresolved, match="No such file"):
        resolve(f"file:{tmp_path}/nope").reveal()


@pytest.mark.parametrize("reference", ["hunter2", "env:", "vault:x", ""])
def test_a_value_in_place_of_a_reference_is_refused(reference):
    with pytest.raises(SecretUnresolved, match="never the value itself"):
        resolve(reference)


def test_a_secret_shows_its_name_only():
    secret = Secret("the token", lambda: "s3cret")
    assert "s3cret" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError, match="does not leave"):
        pickle.dumps(secret)


@given(st.text(min_size=6).filter(lambda t: len(t.strip()) >= 6), st.text(), st.text())
def test_a_learnt_value_never_comes_through(value, before, after):
    mask = Mask()
    mask.learn([value])
    assert value not in mask(f"{before}{value}{after}") or value in MASK


def test_keys_inside_of_a_secret_document_are_masked_and_its_plain_words_are_not():
    mask = Mask()
    mask.learn(["user: homelab\nclient-key-data: QUJDREVGRzEyMzQ1Njc4OTA=\n"])
    assert mask("x QUJDREVGRzEyMzQ1Njc4OTA= y") == f"x {MASK} y"
    assert mask("homelab client-key-data:") == "homelab client-key-data:"
