"""The network, the servers and the users that the tests of this folder share.

Under ``HOMELAB_STRICT=1`` all of it has to run.
"""

import shutil
from contextlib import ExitStack
from itertools import count
from typing import Any

import pytest

from homelab_lib.transport.ssh import Connection
from real.network import network as make_network
from real.opensshd import SSHD, OpenSshd, public, separation_folder
from real.users import user, why_no_users
from strictly import strictly


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    return strictly((yield))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    return strictly((yield))


@pytest.fixture(scope="session")
def network():
    """Namespaces on a bridge, or loopback."""
    if SSHD is None:
        pytest.skip("this machine has no sshd (package openssh-server)")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("this machine has no ssh-keygen (package openssh-client)")
    with separation_folder(), make_network() as made:
        yield made


@pytest.fixture(scope="session")
def nas(network, tmp_path_factory):
    """An sshd for the tests that do it no harm; users' own keys count, too."""
    folder = tmp_path_factory.mktemp("nas")
    keys = f"AuthorizedKeysFile {folder}/authorized_keys .ssh/authorized_keys"
    place = network.nas
    with OpenSshd(
        folder, address=place.address, namespace=place.namespace, options=[keys, "MaxStartups 50"]
    ) as server:
        yield server


@pytest.fixture(scope="session")
def connection(nas):
    """One connection to `nas`."""
    made = Connection(nas.endpoint())
    yield made
    made.close()


@pytest.fixture
def server(network, tmp_path):
    """Makes an sshd of the test's own, not yet started: `server(place, key_kinds=…, options=…)`."""
    numbers = count()
    with ExitStack() as started:

        def make(place=network.pve, **settings):
            made = OpenSshd(
                tmp_path / f"sshd-{next(numbers)}",
                address=place.address,
                namespace=place.namespace,
                **settings,
            )
            started.callback(made.close)
            return made

        yield make


@pytest.fixture
def connect():
    """Makes connections that are closed at the end: `connect(endpoint, sleep=…)`."""
    with ExitStack() as opened:

        def make(endpoint, *args, **settings):
            made = Connection(endpoint, *args, **settings)
            opened.callback(made.close)
            return made

        yield make


@pytest.fixture
def login(nas, connect):
    """Makes a user, and connects as that user: `login("s", sudo=…, shell=…)`."""
    if why_no_users():
        pytest.skip(why_no_users())
    with ExitStack() as made:

        def make(suffix, **settings):
            name = made.enter_context(user(suffix, public(nas.client_key), **settings))
            connection = connect(nas.endpoint(user=name))
            made.callback(connection.close)
            return connection

        yield make
