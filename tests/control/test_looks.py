"""What health reads besides what resources do: dates, memory, and what pods see."""

import json

import pytest

from homelab_lib.control.kubernetes.containers import sights
from homelab_lib.control.linux.memory import memory_of
from homelab_lib.control.linux.restic import Access, locks
from homelab_lib.control.linux.served import shown_until_s, written_until_s
from homelab_lib.errors import NotUnderstood, StepFailed
from homelab_lib.transport.command import Result, read

PODS = '{"items":[{"metadata":{"name":"llm-0","namespace":"ai"},"spec":{"nodeName":"w1",\
"containers":[{"resources":{"limits":{"nvidia.com/gpu":"1"}}}]},"status":{"phase":"Running"}}]}'
ASKED = ("k3s", "kubectl", "exec", "-n", "ai", "llm-0", "--", "nvidia-smi", "-L")


class Host:
    """A host that answers by the first word of a call that it knows."""

    name = "box"

    def __init__(self, **answers):
        self.answers = answers

    def read(self, *words, ok=(0,), **options):
        read(*words)  # it has to be one that only reads
        called = [word for word in words if word in self.answers]
        said = self.answers[called[0]]
        return said if isinstance(said, Result) else Result(0, said, "")

    def json(self, *words, **options):
        return json.loads(self.read(*words).stdout)

    def cut(self, text, limit, *, end=False):
        return text[-limit:] if end else text[:limit]


@pytest.mark.parametrize(
    ("line", "until"),
    [("*  expire date: Feb 13 08:05:09 2027 GMT", 1802505909),
     ("*  expire date: Feb  3 08:05:09 2027 GMT", 1801641909),
     ("* \t expire date: Wed, 03 Feb 2027 08:05:09 GMT", 1801641909)],
)  # fmt: skip
def test_the_date_of_a_certificate_as_curl_tells_it(line, until):
    told = f"* Server certificate:\n*  subject: CN=x\n{line}\n* SSL certificate verify result: 1\n"
    assert shown_until_s(Host(curl=Result(0, "", told)), "x.home.arpa") == (until, "")


def test_who_shows_no_certificate_is_told_by_what_curl_says():
    refused = Result(7, "", "* connect failed\ncurl: (7) Failed to connect to x port 443\n")
    none, why = shown_until_s(Host(curl=refused), "x")
    assert none is None
    assert "(7)" in why


def test_a_date_that_is_none_is_one_clear_line():
    with pytest.raises(NotUnderstood, match="no date: 'tomorrow'"):
        shown_until_s(Host(curl=Result(0, "", "*  expire date: tomorrow\n")), "x")


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n", "not one"])
def test_a_file_without_a_certificate_is_one_clear_line(text):
    with pytest.raises(NotUnderstood, match="no certificate"):
        written_until_s(Host(cat=text), "/x.crt")


FREE = "               total        used\nMem:      8589934592   1024\nSwap:  0 0\n"
RUNS = "LoadState=loaded\nActiveState=active\nMainPID=812\n"


def test_memory_of_a_service_is_that_of_its_process():
    held = memory_of(Host(systemctl=RUNS, ps=" 2097152\n", free=FREE), "k3s-agent")
    assert (held.held_bytes, held.share) == (2 * 2**30, 0.25)


@pytest.mark.parametrize(
    "state", ["LoadState=loaded\nActiveState=failed\nMainPID=0\n",
              "LoadState=not-found\nActiveState=inactive\nMainPID=0\n"],
)  # fmt: skip
def test_who_does_not_run_holds_nothing(state):
    assert memory_of(Host(systemctl=state), "k3s-agent") is None


def test_a_process_that_ended_meanwhile_is_no_mistake():
    assert memory_of(Host(systemctl=RUNS, ps=Result(1, "", ""), free=FREE), "k3s") is None


@pytest.mark.parametrize("answers", [{"ps": "RSS"}, {"ps": "12", "free": "Mem: none\n"}])
def test_memory_that_is_no_number_is_one_clear_line(answers):
    with pytest.raises(NotUnderstood):
        memory_of(Host(**{"systemctl": RUNS, "free": FREE} | answers), "k3s")


@pytest.mark.parametrize(
    ("said", "whole"),
    [(Result(0, "GPU 0: NVIDIA GeForce RTX 4070 Ti SUPER (UUID: GPU-1)\n", ""), True),
     (Result(255, "Failed to initialize NVML: Unknown Error\n", "command terminated with exit "
             "code 255\n"), False),
     (Result(0, "No devices found.\n", ""), False),
     (Result(1, "", 'error: unable to upgrade connection: container not found ("x")\n'), False)],
)  # fmt: skip
def test_what_a_pod_sees(said, whole):
    [seen] = sights(Host(get=PODS, exec=said))
    assert seen.whole == whole
    assert seen.says in (said.stdout + said.stderr)


def test_nothing_but_looking_may_be_run_in_a_pod():
    assert read(*ASKED).kind == "read"
    for other in ((*ASKED[:-1], "-r"), (*ASKED[:-2], "sh", "-c", "id"), ("k3s", "kubectl", "exec",
                  "-n", "ai", "-it", "--", "nvidia-smi", "-L")):  # fmt: skip
        with pytest.raises(ValueError, match="read-only"):
            read(*other)


def test_a_lock_that_is_gone_is_none_and_one_that_cannot_be_read_is_not_taken_for_none():
    listed = {"list": f"{'a' * 64}\n", "date": "1788000000\n"}
    for gone in ("open /kept/locks/aaa: no such file or directory", "file does not exist",
                 "The specified key does not exist.", "<lock/aaaa> does not exist"):  # fmt: skip
        assert locks(Host(**listed, cat=Result(1, "", f"{gone}\n")), Access("b2")) == []
    with pytest.raises(StepFailed, match="connection reset"):
        locks(Host(**listed, cat=Result(1, "", "read: connection reset by peer\n")), Access("b2"))
