"""What the first command of a connection shows of the login."""

import pytest

from homelab_lib.errors import LoginUnusable
from homelab_lib.transport.command import Result, change, read
from homelab_lib.transport.endpoint import Endpoint
from homelab_lib.transport.fleet import Fleet
from homelab_lib.transport.opening import Opening, refuses
from transport.sshd import Sshd, real_shell

ENDPOINT = Endpoint("nas", "192.0.2.1", user="ops")

# What sudo 1.9 and sudo-rs 0.2 say, in English and as their catalogues have it in others.
REFUSALS = {
    "a password is required": "sudo: a password is required\n",
    "in German": "sudo: Ein Passwort ist notwendig\n",
    "sudo-rs": "sudo: interactive authentication is required\n",
    "sudo-rs by its own name": "sudo-rs: interactive authentication is required\n",
    "not in the sudoers file": "sudo: I'm sorry ops. I'm afraid I can't do that\n",
    "requiretty": "sudo: sorry, you must have a tty to run sudo\n",
    "another command": "Sorry, user ops is not allowed to execute '/usr/bin/env' as root on nas.\n",
    "no new privileges": 'sudo: The "no new privileges" flag is set, which prevents sudo from '
    "running as root.\n",
    "two lines": "sudo: unable to resolve host nas: Name or service not known\n"
    "sudo: a password is required\n",
}


@pytest.mark.parametrize("said", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("opening", [Opening(True), Opening.new(True)], ids=["later", "first"])
def test_whatever_sudo_says_instead_of_the_program_is_a_refusal(said, opening):
    with pytest.raises(LoginUnusable, match="nas: ops may not use sudo") as caught:
        opening.answer(ENDPOINT, Result(1, "", said))
    assert said.strip()[-40:] in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    ("status", "stdout", "stderr"),
    [
        (1, "", "sudo: unable to resolve host nas: Name or service not known\n"),
        (1, "", "stat: cannot statx '/x': No such file or directory\n"),
        (1, "", ""),
        (1, "half\n", "sudo: a password is required\n"),
        (100, "", "sudo: not found in the archive\n"),
        (1, "", "sudo: a warning\napt: no\n"),
    ],
)
def test_what_the_program_itself_says_is_its_answer(status, stdout, stderr):
    answer = Result(status, stdout, stderr)
    assert not refuses(answer)
    assert Opening(True).answer(ENDPOINT, answer) == answer


def test_where_the_mark_does_not_come_nothing_was_run_in_whatever_language():
    with pytest.raises(LoginUnusable, match="may not use sudo"):
        Opening.new(True).answer(ENDPOINT, Result(1, "", "Leider darf ops das nicht.\n"))
    with pytest.raises(LoginUnusable, match="has no sudo"):
        Opening.new(True).answer(ENDPOINT, Result(127, "", "env: 'sudo': No such file\n"))
    with pytest.raises(LoginUnusable, match="does not run what it is sent; it says: nothing"):
        Opening.new(False).answer(ENDPOINT, Result(254, "", ""))


@pytest.fixture
def sshd():
    with Sshd() as server:
        yield server


@pytest.fixture
def fleet(sshd, tmp_path):
    with Fleet({"nas": sshd.endpoint(tmp_path)}, allow_changes=True) as made:
        yield made


def test_no_round_trip_is_spent_on_it_where_the_first_command_reads(fleet, sshd):
    assert fleet.run("nas", read("id", "-u")).stdout.strip().isdigit()
    assert fleet.run("nas", change("true", "x")).ok
    assert len(sshd.lines) == 2
    assert sshd.lines[1] == "env LC_ALL=C true x"


def test_nothing_is_changed_before_the_login_is_known(fleet, sshd, tmp_path):
    assert fleet.run("nas", change("touch", str(tmp_path / "made"))).ok
    assert ["touch" in line for line in sshd.lines] == [False, True]


def test_each_connection_is_looked_at_anew(fleet, sshd):
    fleet.run("nas", read("id"))
    fleet.reconnect("nas")
    fleet.run("nas", read("id"))
    first, second = sshd.lines
    assert first != second
    assert all("printf" in line for line in sshd.lines)


def test_a_batch_that_opens_a_connection_has_its_answers_whole(fleet, sshd):
    answers = fleet.run_many("nas", [read("cat", "/no/such/file"), read("id", "-u")])
    assert len(sshd.lines) == 1
    assert [answer.exit_status for answer in answers] == [1, 0]
    assert answers[0].stderr.endswith("No such file or directory\n")


@pytest.mark.parametrize("many", [False, True])
def test_a_login_that_talks_is_refused(fleet, sshd, many):
    def talks(call):
        call.channel.sendall(b"Welcome!\n")
        real_shell(call)

    sshd.answer = talks
    with pytest.raises(LoginUnusable, match=r"prints something before .*'Welcome!\\n'"):
        fleet.run_many("nas", [read("id")] * (1 + many))
