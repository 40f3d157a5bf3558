"""YAML as a homelab means it, with the line of every value."""

import pytest

from homelab_lib.lab.document import merged, read


def document(tmp_path, text):
    file = tmp_path / "lab.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    node, problems = read(file)
    return node, [str(problem).removeprefix(f"{tmp_path}/") for problem in problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("12:34", "12:34"),
        ("02:00:00:aa:bb:cc", "02:00:00:aa:bb:cc"),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e-15", 1e-15),
        ("1E6", 1e6),
        ("-3", -3),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("2026-11-23", "2026-11-23"),
        ("~", None),
        ("", None),
        ('""', ""),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("0" * 5000, float(0)),
        ("9" * 20, "9" * 20),
        ("9" * 5000, "9" * 5000),
        ("1e400", "1e400"),
        ("-.inf", "-.inf"),
        (".nan", ".nan"),
    ],
)
def test_plain_scalars_are_what_they_look_like(tmp_path, written, value):
    node, problems = document(tmp_path, f"key: {written}\n")
    assert problems == []
    assert node.plain() == {"key": value}
    assert type(node.plain()["key"]) is type(value)


def test_every_value_knows_its_line(tmp_path):
    node, _ = document(tmp_path, "a:\n  b:\n    - x\n    - c: 1\n")
    there, taken = node.follow(("a", "b", 1, "c"))
    assert there.where.endswith("lab.yaml:4")
    assert taken == ("a", "b", 1, "c")


def test_steps_that_lead_nowhere_are_left_out(tmp_path):
    node, _ = document(tmp_path, "a: {b: 1}\n")
    assert node.follow(("a", "int", "b"))[1] == ("a", "b")


def test_an_alias_is_the_value_at_its_own_line(tmp_path):
    node, problems = document(tmp_path, "a: &it {x: 1}\nb: *it\n")
    assert problems == []
    assert node.plain() == {"a": {"x": 1}, "b": {"x": 1}}
    assert node.child("b").where.endswith(":2")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "lab.yaml:3: a: given twice; the first is at"),
        ("a: {b: 1, b: 1}\n", "lab.yaml:1: a.b: given twice"),
        ("a: [1\nb: 2\n", "lab.yaml:2: this isn't YAML"),
        ("a:\n\t- 1\n", "lab.yaml:2: this isn't YAML"),
        ("a: 1\n---\nb: 2\n", "lab.yaml:2: a second document"),
        ("a: !secret x\n", "lab.yaml:1: a: a tag"),
        ("a: !!python/object/apply:os.system [x]\n", "lab.yaml:1: a: a tag"),
        ("a: *there\n", "lab.yaml:1: this isn't YAML: an alias without its anchor"),
        ("a: &a [*a]\n", "lab.yaml:1: this isn't YAML: an alias without its anchor"),
        ("? [a]\n: 1\n", "lab.yaml:1: this isn't YAML: a key must be plain text"),
        ("[" * 200_000, "nested too deeply"),
        ("- " * 200_000, "nested too deeply"),
        (b"a: 1\nb: \xff\n", "lab.yaml:2: this isn't YAML: a byte that is no UTF-8"),
        (b"a: 1\nb: \x00\n", "lab.yaml:2: this isn't YAML: character #x0000"),
        ("a: 1\n".encode("utf-16"), "lab.yaml:1: it is UTF-16; save it as UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, text, said):
    _, problems = document(tmp_path, text)
    assert any(said in problem for problem in problems), problems


def test_aliases_of_aliases_are_counted_before_they_fill_the_memory(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    _, problems = document(tmp_path, "\n".join(lines))
    assert "more than 100000 values" in problems[0]


def test_a_folder_is_one_document(tmp_path):
    (tmp_path / "a.yaml").write_text("one: 1\n")
    (tmp_path / "b.yaml").write_text("two: 2\none: 3\n")
    node, problems = merged([tmp_path / "a.yaml", tmp_path / "b.yaml"], depth=1)
    assert node.plain() == {"one": 1, "two": 2}
    [problem] = problems
    assert problem.where.endswith("b.yaml:2")
    assert "a.yaml:1" in problem.what


def test_the_catalog_is_joined_kind_by_kind(tmp_path):
    (tmp_path / "a.yaml").write_text("disks: {one: 1}\n")
    (tmp_path / "b.yaml").write_text("disks: {two: 2}\n")
    node, problems = merged([tmp_path / "a.yaml", tmp_path / "b.yaml"], depth=2)
    assert problems == []
    assert node.plain() == {"disks": {"one": 1, "two": 2}}


def test_empty_files_are_nothing_and_lists_are_no_lab(tmp_path):
    (tmp_path / "a.yaml").write_text("# nothing yet\n")
    (tmp_path / "b.yaml").write_text("- 1\n")
    node, problems = merged([tmp_path / "a.yaml", tmp_path / "b.yaml"], depth=1)
    assert node.plain() == {}
    assert "expected keys" in problems[0].what
