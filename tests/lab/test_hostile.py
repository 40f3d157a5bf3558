"""A description that somebody sent: whatever is in it, one clear error, and soon."""

import os
import shutil

import pytest

from homelab_lib import paths
from homelab_lib.errors import LabError
from homelab_lib.lab import load_lab
from homelab_lib.lab.base import Record, SecretReference
from homelab_lib.lab.document import read
from homelab_lib.lab.reading import MANY, read_as

MINIPC = paths.data() / "examples" / "minipc"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(MINIPC, tmp_path / "lab")
    return tmp_path / "lab"


def refused(folder):
    with pytest.raises(LabError) as caught:
        load_lab(folder)
    error = caught.value
    assert len(error.problems) <= MANY + 1
    assert all(len(problem) < 2000 for problem in error.problems)
    return error


def _pipe(file):
    os.mkfifo(file)


def _endless(file):
    file.symlink_to("/dev/zero")


def _loop(file):
    file.symlink_to(file)


def _dangling(file):
    file.symlink_to("/nonexistent")


def _folder(file):
    file.mkdir()


def _large(file):
    with file.open("wb") as stream:
        stream.truncate(10**10)


@pytest.mark.parametrize("make", [_pipe, _endless, _loop, _dangling, _folder, _large])
@pytest.mark.parametrize("where", [".", "catalog"])
def test_what_is_no_file_to_read(folder, make, where):
    make(folder / where / "zz.yaml")
    [problem] = refused(folder).problems
    assert "zz.yaml: " in problem


def test_a_file_that_is_only_remarks_is_nothing(folder):
    (folder / "zz.yaml").write_text("# nothing\n" * 10_000)
    assert load_lab(folder).name


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "zz.yaml:5: more than 100000 values"),
        ("x: " + "[" * 100_000, "zz.yaml:1: nested too deeply"),
        ("\n".join(f"k{i}: 1" for i in range(300_000)), "more than 100000 values"),
        ("a: &a {b: 1}\nc: {<<: [*a, *a]}\n", "'a' is no key here"),
        ("a: 1\n\0", "zz.yaml:2: this isn't YAML: character #x0000"),
        ("a: 1\n".encode("utf-16"), "zz.yaml:1: it is UTF-16"),
        (b"a: 1\nb: \xff\n", "zz.yaml:2: this isn't YAML: a byte that is no UTF-8"),
        ("- 1\n", "expected keys"),
        ("k: &k [*k]\n", "zz.yaml:1: this isn't YAML: an alias without its anchor"),
    ],
)
def test_what_is_no_description(folder, text, said):
    (folder / "zz.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert any(said in problem for problem in refused(folder).problems)


@pytest.mark.parametrize("number", [2 * MANY, 40_000])
@pytest.mark.parametrize("where", ["zz.yaml", "catalog/zz.yaml"])
def test_of_very_many_mistakes_the_first_are_told_and_all_are_counted(folder, number, where):
    (folder / where).write_text("\n".join(f"tilte{i}: 1" for i in range(number)))
    error = refused(folder)
    assert f"{number} mistakes; here are the first {MANY}" in error.what
    assert "zz.yaml:1: tilte0: 'tilte0' is no key here" in error.problems[0]


def test_keys_given_twice_are_counted_too(folder):
    (folder / "zz.yaml").write_text("k: 1\n" * 30_001)
    assert "30001 mistakes" in refused(folder).what


@pytest.mark.parametrize(
    "number",
    ["0", "-1", "1e400", "9" * 399, "9" * 5000, ".nan", ".inf", "0 GiB", "1e399 TB", "9e99 GiB"],
)
def test_memory_that_no_machine_has(folder, number):
    text = (folder / "lab.yaml").read_text()
    line = text[: text.index("4 GiB")].count("\n") + 1
    (folder / "lab.yaml").write_text(text.replace("4 GiB", number, 1))
    [problem] = refused(folder).problems
    assert f"lab.yaml:{line}: vms.play.memory_bytes: found" in problem


class _Login(Record):
    key: SecretReference
    secret: SecretReference | None = None


class _Appliance(Record):
    login: _Login | None = None


@pytest.mark.parametrize(
    "written",
    [
        "login: {key: hunter2hunter2}",
        "login: {key: 'env:hunter2 x'}",
        "login: {key: 'env:GOOD', secret: hunter2}",
        "login: {key: [hunter2]}",
        "login: {key: {hunter2: 1}}",
        "login: {key: 'file:hunter2'}",
        "login: {key: *hunter2}",
        "login: {key: !hunter2 x}",
        'login: {key: "hunter2}',
        "login: hunter2",
        "login: [hunter2]",
    ],
)
def test_a_secret_in_a_description_is_refused_with_its_place_and_not_quoted(tmp_path, written):
    file = tmp_path / "lab.yaml"
    file.write_text(f"\n{written}\n")
    root, problems = read(file)
    problems += read_as(_Appliance, root).problems if root else []
    assert problems
    for problem in problems:
        assert "lab.yaml:" in str(problem)
        assert "hunter2" not in str(problem)


def test_a_number_in_place_of_a_reference_is_not_quoted_either(tmp_path):
    (tmp_path / "lab.yaml").write_text("login: {key: 12345678}\n")
    root, _ = read(tmp_path / "lab.yaml")
    [problem] = read_as(_Appliance, root).problems
    assert "12345678" not in problem.what
    assert "env:NAME" in problem.what


@pytest.mark.parametrize("reference", ["env:NAS_KEY", "file:~/.nas", "file:/k", "keyring:nas/root"])
def test_a_reference_is_kept_as_it_is(tmp_path, reference):
    (tmp_path / "lab.yaml").write_text(f"login: {{key: '{reference}'}}\n")
    root, _ = read(tmp_path / "lab.yaml")
    assert read_as(_Appliance, root).value.login.key == reference
