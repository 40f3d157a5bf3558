"""What we give to cloud-init, judged by cloud-init's own schema."""

import pytest
import yaml

from contract.clusters import standing
from contract.programs import installed

pytestmark = pytest.mark.contract


@pytest.fixture
def schema(tmp_path):
    """Judges a document of cloud-config; why it is refused, empty where it is not."""
    program = installed("cloud-init")

    def judge(document: str) -> str:
        file = tmp_path / "document.yaml"
        file.write_text(document)
        ran = program("schema", "--config-file", str(file))
        said = ran.out + ran.err
        # It says “Valid” of a document that it warns of, too.
        fine = ran.status == 0 and "deprecat" not in said.lower() and "invalid" not in said.lower()
        return "" if fine else said

    return judge


@pytest.fixture(scope="module")
def ours(carried):
    """Every text of cloud-config that our runbooks write, over every lab that is here."""
    texts = {change.shows for change in carried.changes}
    return sorted(text for text in texts if text.startswith("#cloud-config"))


def test_cloud_init_takes_what_we_write(schema, ours):
    assert ours, "vendor data is written for each lab with VMs"
    assert {document: why for document in ours if (why := schema(document))} == {}


def test_it_would_say_what_is_wrong(schema, ours):
    for document in ours:
        content = yaml.safe_load(document)
        for wrong in ({"packages": 3}, {"runcmd": "reboot"}, {"frobnicate": True, "users": 1}):
            broken = "#cloud-config\n" + yaml.safe_dump(content | wrong)
            assert schema(broken), broken


def test_what_the_twin_of_proxmox_gives_is_user_data(schema):
    """The documents that Proxmox itself makes of a VM's options, as its twin does."""
    world = standing().world
    node = world.machines["proxmox"]
    assert node.vms
    for vmid in node.vms:
        shown = node.run(f"qm cloudinit dump {vmid} user").finished()
        assert shown.status == 0, shown.err
        assert schema(shown.out.decode()) == ""
