"""Secrets are references, resolved late."""

import os
import pickle
import sys
from types import ModuleType

import pytest

from homelab_lib.errors import SecretUnresolved
from homelab_lib.secret import SHORTEST, Secret, resolve


def test_the_environment(monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "s3cret")
    secret = resolve("env:LAB_TOKEN")
    assert secret.reveal() == "s3cret"
    monkeypatch.delenv("LAB_TOKEN")
    with pytest.raises(SecretUnresolved, match="export LAB_TOKEN"):
        secret.reveal()


@pytest.fixture
def file(tmp_path):
    """A file that holds a secret, as it should be kept."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    return file


def test_a_file(file):
    assert resolve(f"file:{file}").reveal() == "s3cret"


def _open_to_others(file):
    file.chmod(0o644)


def _link(file):
    file.rename(file.with_name("there"))
    file.symlink_to("there")


def _gone(file):
    file.unlink()


def _pipe(file):
    file.unlink()
    os.mkfifo(file, 0o600)


def _large(file):
    file.write_text("s3cret" * 100_000)


def _no_text(file):
    file.write_bytes(b"s3cret\xff\xfe")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_open_to_others, "chmod 600"),
        (_link, "symbolic link"),
        (_gone, "No such file"),
        (_pipe, "a pipe"),
        (_large, "larger than"),
        (_no_text, "no text in UTF-8"),
    ],
)
def test_a_file_that_is_no_place_for_a_secret_is_refused_and_not_quoted(file, spoil, said):
    spoil(file)
    with pytest.raises(SecretUnresolved, match=said) as caught:
        resolve(f"file:{file}").reveal()
    assert "s3cret" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__


@pytest.fixture
def keyring(monkeypatch):
    """A keyring that answers from a dict, or is locked."""
    entries = {}
    module, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})
    errors.NoKeyringError = type("NoKeyringError", (errors.KeyringError,), {})

    def get_password(service, user):
        value = entries.get((service, user))
        if isinstance(value, Exception):
            raise value
        return value

    module.get_password, module.errors = get_password, errors
    monkeypatch.setitem(sys.modules, "keyring", module)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return entries


def test_the_keyring(keyring):
    keyring["https://fw.lan/api", "root"] = "s3cret"
    assert resolve("keyring:https://fw.lan/api/root").reveal() == "s3cret"
    with pytest.raises(SecretUnresolved, match="keyring set nas root"):
        resolve("keyring:nas/root").reveal()


def test_a_keyring_that_is_not_there_is_no_traceback(keyring):
    keyring["nas", "root"] = sys.modules["keyring.errors"].NoKeyringError("s3cret")
    with pytest.raises(SecretUnresolved, match="NoKeyringError") as caught:
        resolve("keyring:nas/root").reveal()
    assert "s3cret" not in str(caught.value)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretUnresolved, match="pip install"):
        resolve("keyring:nas/root").reveal()


@pytest.mark.parametrize(
    "reference",
    ["hunter2", "env:", "vault:hunter2", "", "file:hunter2", "keyring:hunter2", "env:hunter 2",
     "env:hunter2\n", "Env:hunter2", "file:/x\nhunter2"],
)  # fmt: skip
def test_a_value_in_place_of_a_reference_is_refused_and_not_quoted(reference):
    with pytest.raises(SecretUnresolved, match="never the value itself") as caught:
        resolve(reference)
    assert "hunter" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("value", ["", "12345", "  12345  ", "\n"])
def test_what_is_too_short_to_be_masked_is_refused_and_not_quoted(monkeypatch, value):
    monkeypatch.setenv("LAB_PIN", value)
    with pytest.raises(SecretUnresolved, match=f"fewer than {SHORTEST} characters") as caught:
        resolve("env:LAB_PIN").reveal()
    assert "12345" not in str(caught.value)


def test_a_secret_shows_its_name_only():
    secret = Secret("the token", lambda: "s3cret")
    assert "s3cret" not in f"{secret} {secret!r}"
    with pytest.raises(TypeError, match="does not leave"):
        pickle.dumps(secret)
