"""What was learnt is not found again, whatever it was written as, and the rest is left alone."""

import ast
import base64
import html
import json
import shlex
import time
from typing import get_args
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from homelab_lib.runbook.outcome import Status
from homelab_lib.secret import MASK, SHORTEST, Mask
from homelab_lib.secret_search import BEGINNING, Texts

ENCODINGS = {
    "plain": str,
    "JSON": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in ASCII": json.dumps,
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "repr": repr,
    "repr of a list": lambda text: repr(["'", text]),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "shell": shlex.quote,
    "shell, double quotes": lambda text: '"' + "".join(
        f"\\{c}" if c in '\\"$`' else c for c in text) + '"',
    "URL": lambda text: quote(text, safe=""),
    "URL, slashes kept": quote,
    "form": quote_plus,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "HTML": html.escape,
}  # fmt: skip

SECRETS = [
    "hunter2!",
    'pa"ss\\wörd-X1\nline2-Y2',
    "it's $HOME `x` & <b>",
    "a/b/c/d/e/f",
    "ключ-от-всего",
    "🔑🔑🔑🔑🔑🔑",
    "tab\tand\x07bell",
    "percent%41+plus",
    "x" * 3000,
    "correct horse battery staple " * 100,
]

secrets = st.text(min_size=SHORTEST, max_size=40).filter(lambda text: len(text.strip()) >= SHORTEST)


def mask_of(*values):
    mask = Mask()
    mask.learn(values)
    return mask


def decoded_runs(text):
    """What base64 gives of a text at any of four places to begin."""
    letters = "".join(c for c in text if c.isalnum() or c in "+/")
    for begin in range(4):
        part = letters[begin:]
        yield base64.b64decode(part[: len(part) // 4 * 4])


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_encoding_brings_a_secret_through(encoding, secret):
    written = ENCODINGS[encoding](secret)
    shown = mask_of(secret)(f"before {written} after")
    rest = shown.removeprefix("before ").removesuffix(" after").replace(MASK, "")
    assert MASK in shown
    # Quotes, the padding of base64, and the characters at the edge of it that only half belong.
    assert len(rest.strip("'\"b[],\\ =")) <= 4, rest


@given(secrets, st.text(), st.text())
def test_a_secret_is_not_found_in_what_was_masked(secret, before, after):
    shown = mask_of(secret)(before + secret + after)
    assert secret not in shown.replace(MASK, "\0") or secret in before + "\0" + after


@given(secrets, st.text(max_size=20), st.text(max_size=20), st.sampled_from(sorted(ENCODINGS)))
def test_nor_in_any_encoding_and_surrounding(secret, before, after, encoding):
    assume(secret not in before and secret not in after)
    whole = ENCODINGS[encoding](before + secret + after)
    left = mask_of(secret)(whole).split(MASK)
    assert len(left) > 1
    assert not any(ENCODINGS[encoding](secret).strip("'\"b=") in part for part in left)


@given(secrets, st.binary(max_size=8), st.binary(max_size=8))
def test_base64_of_something_longer_gives_nothing_away_at_any_alignment(secret, before, after):
    assume(secret.encode() not in before + b"\0" and secret.encode() not in after)
    whole = base64.b64encode(before + secret.encode() + after).decode()
    shown = mask_of(secret)(whole)
    for part in shown.split(MASK):
        assert not any(secret.encode() in run for run in decoded_runs(part))


@given(st.lists(secrets, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_secrets_that_overlap_hide_each_other_and_not_each_others_ends(values, random):
    joined = "".join(value[: random.randint(3, len(value))] for value in values) + "".join(values)
    shown = mask_of(*values)(joined)
    left = shown.split(MASK)
    assert not [value for value in values for piece in left if value in piece]


def test_a_secret_within_a_secret_leaves_none_of_it():
    assert mask_of("abcdefghijklmnop", "cdefghij")("x abcdefghijklmnop") == f"x {MASK}"


def test_each_line_of_a_secret_with_several_is_one():
    mask = mask_of("-----BEGIN KEY-----\nfirst line\n  second line  \nshort\n-----END KEY-----\n")
    assert mask("a first line, a second line") == f"a {MASK}, a {MASK}"
    assert mask("-----BEGIN KEY----- short") == "-----BEGIN KEY----- short"


KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- cluster:
    server: https://10.0.30.10:6443
  name: home
users:
- name: home
  user:
    client-key-data: QUJDREVGRzEyMzQ1Njc4OTA=
    password: hunter-two
    exec:
      command: |
        blocked lines of text
current-context: home
"""


@pytest.mark.parametrize(
    "secret", ["QUJDREVGRzEyMzQ1Njc4OTA=", "hunter-two", "blocked lines of text"]
)
def test_what_a_document_keeps_secret_is_masked_by_itself(secret):
    assert mask_of(KUBECONFIG)(f"x {secret} y") == f"x {MASK} y"


@pytest.mark.parametrize(
    "plain",
    [
        "apiVersion: v1",
        "clusters:",
        "users:",
        "https://10.0.30.10:6443",
        "server:",
        "home",
        "Config",
    ],
)
def test_and_its_plain_words_are_not(plain):
    assert mask_of(KUBECONFIG)(f"x {plain} y") == f"x {plain} y"


def test_a_login_in_an_address_is_no_plain_word():
    mask = mask_of("url: https://admin:hunter2hunter@fw.lan\n")
    assert "hunter2hunter" not in mask("GET https://admin:hunter2hunter@fw.lan/x")


def test_a_document_is_cleaned_before_it_is_dumped():
    mask = mask_of('s3"cret', "123456")
    document = {"k": ['s3"cret', {"n": 123456, "m": 1234567}], 's3"cret': (None, True)}
    cleaned = mask.clean(document)
    assert cleaned == {"k": [MASK, {"n": MASK, "m": 1234567}], MASK: [None, True]}
    assert json.loads(json.dumps(cleaned)) == cleaned


documents = st.recursive(
    st.text() | st.integers() | st.none(),
    lambda below: st.lists(below) | st.dictionaries(st.text(max_size=5), below),
)


def shape(value):
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else None


@given(documents, secrets)
def test_cleaning_keeps_the_shape_of_a_document(document, secret):
    cleaned = mask_of(secret).clean([document, secret])
    assert shape(cleaned) == shape([document, secret])
    assert cleaned[1] == MASK


@given(documents)
def test_cleaning_leaves_a_document_without_secrets_as_it_is(document):
    assert mask_of("a secret that nobody has").clean(document) == document


@pytest.mark.parametrize("word", [*get_args(Status), "unknown", "completed", "apply", "verify"])
def test_a_password_that_is_a_word_of_the_record_does_not_spoil_it(word):
    """Even so the word is masked where a host prints it among others."""
    mask = mask_of(word)
    assert mask.clean({"status": word, "outcome": word}) == {"status": word, "outcome": word}
    if len(word) >= SHORTEST:
        assert word not in mask.clean({"stdout": f"login: {word}"})["stdout"]


def test_names_that_everybody_may_know_stay_as_values():
    mask = Mask(public=["desktop"])
    mask.learn(["desktop"])
    assert mask.clean({"host": "desktop", "says": "desktop!"}) == {
        "host": "desktop", "says": f"{MASK}!"}  # fmt: skip


@given(secrets, st.text(max_size=30), st.text(max_size=30), st.integers(0, 80), st.booleans())
def test_no_part_of_a_secret_is_left_at_a_cut(secret, before, after, limit, end):
    mask = mask_of(secret)
    text = before + secret + after
    shown = mask.cut(text, limit, end=end)
    whole = mask(text)
    assert len(shown) <= limit + len(MASK)
    assert whole.endswith(shown) if end else whole.startswith(shown)


def test_a_cut_keeps_as_much_as_it_may():
    assert mask_of("hunter2").cut("a hunter2 b", 5) == f"a {MASK}"
    assert mask_of("hunter2").cut("a hunter2 b", 5, end=True) == f"{MASK} b"
    assert mask_of("hunter2").cut("abcdef", 3) == "abc"
    assert Mask().cut("abcdef", 2, end=True) == "ef"


def test_what_is_too_short_is_not_learnt():
    assert mask_of("12345", "      ", "")("pin 12345       ") == "pin 12345       "


class Counted(str):
    """Counts how often a part of it is taken."""

    taken = 0

    def __getitem__(self, key):
        Counted.taken += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("text", ["x", "hunter-1 ", "hunter-", "aA1/", "\n- "])
def test_the_work_grows_with_the_text_and_not_with_the_number_of_secrets(text):
    def work(length, count):
        mask = mask_of(*(f"hunter-{number:04d}-{number * 7919:08x}" for number in range(count)))
        Counted.taken = 0
        mask(Counted((text * length)[:length]))
        return Counted.taken

    assert work(2000, 50) <= 2.2 * work(1000, 50) + 10
    assert work(2000, 200) <= 1.1 * work(2000, 50) + 10


@pytest.mark.parametrize("letters", ["a", "aA", "key: ", "- ", "=", "\n", '"', "https://a."])
def test_learning_a_long_text_without_a_digit_takes_no_minute(letters):
    text = (letters * 200_000)[:200_000]
    mask = mask_of(text)
    assert mask(text) in (MASK, text)


GROWING = {
    "lines each one letter longer": lambda number: "a" * number,
    "and another at the end": lambda number: "a" * number + "b",
    "and a smaller one": lambda number: "b" * number + "a",
}


@pytest.mark.parametrize("line", GROWING.values(), ids=GROWING)
def test_many_lengths_of_one_beginning_cost_no_more_than_one(line):
    """100 kB of them took half a minute."""
    text = "\n".join(line(number) for number in range(SHORTEST, 450))
    mask = mask_of(text)
    begun_s = time.process_time()
    assert mask(text) == MASK
    for letter in "abc":
        mask("".join(f"{'a' * number}{letter}" for number in range(450)))
    assert time.process_time() - begun_s < 8


@given(
    st.lists(st.text("ab", min_size=BEGINNING, max_size=20), max_size=20),
    st.text("abc", max_size=200),
)
def test_each_place_where_one_of_many_texts_stands_is_found(texts, text):
    found = Texts()
    covered = [False] * len(text)
    for each in texts:
        found.add(each)
        list(found.spans(text[:10]))  # one that was looked for before others came
        for at in range(len(text) - len(each) + 1):
            if text.startswith(each, at):
                covered[at : at + len(each)] = [True] * len(each)
    shown = [False] * len(text)
    for low, high in found.spans(text):
        shown[low:high] = [True] * (high - low)
    assert shown == covered


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_the_mask_finds_what_python_itself_would_read_back(secret):
    """repr chooses its quotes by the whole text; whichever it takes, nothing is read back."""
    for around in ("", "'", '"', "'\""):
        shown = mask_of(secret)(repr(around + secret))
        assert secret not in ast.literal_eval(shown.replace(MASK, ""))
