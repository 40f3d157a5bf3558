"""PHP scripts with the appliance's own classes: interfaces, the first key of the API."""

import base64
import json

import pytest

from homelab_lib.lab import load_lab
from homelab_lib.twin.built import built
from homelab_lib.twin.machine.https import Asked

SET = b"""<?php
require_once('script/load_phalcon.php');
use OPNsense\\Core\\Config;
$c = Config::getInstance(); $c->lock();
$ifs = $c->object()->interfaces;
$want = ['vlan0.10' => ['TRUSTED', '10.0.10.1', '24'], 'vlan0.99' => ['NEW', '10.0.99.1', '24']];
foreach ($want as $dev => [$d, $ip, $bits]) {
  $k = null;
  foreach ($ifs->children() as $n => $x) if ((string)$x->if === $dev) $k = $n;
  if ($k === null) {
    $i = 1; while (isset($ifs->{"opt$i"})) $i++; $k = "opt$i"; $ifs->addChild($k);
  }
  $n = $ifs->$k; $n->if = $dev; $n->descr = $d; $n->enable = '1'; $n->ipaddr = $ip;
  $n->subnet = $bits;
  echo "$k $dev $ip/$bits\\n";
}
$c->save(['description' => 'hl: interfaces']);
"""
KEY = b"""<?php
require_once 'script/load_phalcon.php';
$users = new \\OPNsense\\Auth\\User();
$key = $users->getUserByName('root')->apikeys->add();
$users->serializeToConfig(false, true);
\\OPNsense\\Core\\Config::getInstance()->save();
echo json_encode($key);
"""


@pytest.fixture(scope="module")
def shared():
    """A box that nobody changes."""
    return built(load_lab(), before_phase=2).machines["firewall"]


@pytest.fixture
def box():
    return built(load_lab(), before_phase=2).machines["firewall"]


def php(box, source, *words, stdin=b""):
    """What `php` makes of a script that lies in a file."""
    box.files.put("/root/script.php", source if isinstance(source, str) else source.decode())
    reply = box.run(" ".join(("php", "-f", "/root/script.php", *words)), stdin).finished()
    return reply.status, reply.out.decode(), reply.err.decode()


def test_interfaces_are_written_and_a_backup_says_who_did_it(box):
    status, out, err = php(box, SET)
    assert (status, err) == (0, "")
    assert out == "opt1 vlan0.10 10.0.10.1/24\nopt5 vlan0.99 10.0.99.1/24\n"
    config = box.config.load()
    assert config.findtext("interfaces/opt5/ipaddr") == "10.0.99.1"
    assert len(config.findall("interfaces/opt1/descr")) == 1
    assert box.config.backups()[0].description == "hl: interfaces"
    assert box.links.of("opt5") is None, "it is written, and no more"


def test_twice_the_same_script_makes_nothing_twice(box):
    php(box, SET)
    before = [each.tag for each in box.config.load().find("interfaces")]
    php(box, SET)
    assert [each.tag for each in box.config.load().find("interfaces")] == before


def test_the_first_key_is_told_once_and_opens_at_once(box):
    status, out, _ = php(box, KEY)
    assert status == 0
    key = json.loads(out)
    assert key["secret"] not in box.files.text("/conf/config.xml")
    for secret, expected in ((key["secret"], 200), ("wrong", 401)):
        coded = base64.b64encode(f"{key['key']}:{secret}".encode()).decode()
        path = "/api/core/backup/backups/this"
        asked = Asked("GET", path, headers={"authorization": f"Basic {coded}"})
        assert box.https[443](asked).status == expected


# Each was run by PHP 8.2 with its SimpleXML, too: it prints the same.
@pytest.mark.parametrize(
    ("code", "out"),
    [
        ("$a = ['x' => [1, 2]]; $a['x'][] = 3; $a['y']['z'] = 'q'; echo json_encode($a);",
         '{"x":[1,2,3],"y":{"z":"q"}}'),
        ("$i = 1; $j = $i++ + ++$i; echo $i, '|', $j;", "3|4"),
        ("foreach ([1, 2, 3, 4] as $n) { if ($n == 2) continue; if ($n > 3) break; echo $n; }",
         "13"),
        ("function f($a, $b = 'd') { return \"$a-$b\"; } echo f('x'), f('x', 'y');", "x-dx-y"),
        ("$s = null; echo $s ?? 'none', isset($s) ? 1 : 0, empty('0') ? 1 : 0;", "none01"),
        ("$a = ['k' => ['v' => 7]]; echo \"{$a['k']['v']} $a[k]\";", "7 Array"),
        ("echo '1' == '01' ? 'a' : 'b', '10' == '1e1' ? 'a' : 'b', 'x' == 0 ? 'a' : 'b';", "aab"),
        ("try { throw new Exception('bad'); } catch (Exception $e) { echo $e->getMessage(); }",
         "bad"),
        ("for ($i = 0; $i < 3; $i++) { echo $i; } $x = 5; $x .= 'a'; echo $x, 7 / 2, 6 / 3;",
         "0125a3.52"),
        ("[$a, [$b]] = [1, [2]]; echo $a + $b, -3 % 2, (int)'12abc', !'' ? 'y' : 'n';", "3-112y"),
        ("echo json_encode(['a/b' => 'é', 'n' => null, 'f' => 1.5]);",
         '{"a\\/b":"\\u00e9","n":null,"f":1.5}'),
        ("printf('%05.1f|%3d|%-4s|', 3.14159, 7, 'ab');", "003.1|  7|ab  |"),
    ],
)  # fmt: skip
def test_the_language(shared, code, out):
    assert php(shared, f"<?php {code}") == (0, out, "")


def test_words_and_standard_input(shared):
    source = "<?php echo $argv[1], $argc, json_decode(file_get_contents('php://stdin'), true)['a'];"
    assert php(shared, source, "one", stdin=b'{"a": "in"}') == (0, "one2in", "")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("nosuch();", "Call to undefined function nosuch() in"),
        ("$x = null; $x->go();", "Call to a member function go() on null"),
        ("class A {}", "syntax error, unexpected identifier"),
        ("$f = function () {};", "syntax error, unexpected"),
        ("new Foo();", 'Class "Foo" not found'),
        ("require_once 'nope.php';", "Failed opening required 'nope.php'"),
        ("throw new Exception('no');", "Uncaught Exception: no in"),
    ],
)
def test_what_is_not_known_is_a_fatal_error(shared, code, says):
    before = shared.files.text("/conf/config.xml")
    status, out, _ = php(shared, f"<?php\n{code}")
    assert status == 255
    assert says in out
    assert out.startswith(("\nFatal error: ", "\nParse error: "))
    assert shared.files.text("/conf/config.xml") == before


def test_rows_of_one_name_are_a_list(shared):
    source = """<?php
    require_once 'script/load_phalcon.php';
    $config = OPNsense\\Core\\Config::getInstance()->object();
    foreach ($config->vlans->vlan as $name => $vlan) { echo $name, $vlan->tag, ' '; }
    echo count($config->vlans->vlan), $config->vlans->vlan[1]->tag, isset($config->nope->x) ? 1 : 0;
    unset($config->vlans->vlan[0]);
    echo count($config->vlans->vlan), $config->vlans->vlan[0]['uuid'] == '' ? 'none' : 'uuid';
    """
    assert php(shared, source) == (0, "vlan10 vlan20 vlan30 vlan40 42003uuid", "")
