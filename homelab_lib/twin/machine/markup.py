"""`xmllint`: whether a file is whole XML.

Source: libxml2's xmllint(1) and xmllint.c: 1 for what can't be parsed, with the line quoted.
"""

from xml.etree import ElementTree as ET

from homelab_lib.twin.machine.entry import FileError
from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

markup = Commands()


@markup("xmllint")
def xmllint(machine: Machine, call: Call) -> Reply:
    """``xmllint --noout FILE``: nothing is said of what is well."""
    words, options = operands(call)
    if set(options) != {"--noout"} or len(words) != 1:
        return Reply(127, stderr="twin: its xmllint knows --noout and a file\n")
    path = words[0]
    try:
        data = machine.files.read(call.path(path), machine.who(call))
    except FileError:
        return Reply(1, stderr=f'warning: failed to load external entity "{path}"\n')
    try:
        ET.fromstring(data)
    except ET.ParseError as error:
        if not data.strip():
            return Reply(1, stderr=f"{path}:1: parser error : Document is empty\n\n^\n")
        row, column = error.position
        quoted = data.decode(errors="replace").splitlines()[row - 1]
        said = f"{path}:{row}: parser error : {error}\n{quoted}\n{' ' * column}^\n"
        return Reply(1, stderr=said)
    return Reply()
