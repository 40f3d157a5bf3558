"""`tar` takes a file out of a downloaded archive; `zstd` unpacks what it is given.

Sources: GNU tar's manual, "Extracting specific files", "Writing to standard output"; zstd(1), and
RFC 8878, 3.1.1, for what a frame begins with.
"""

from homelab_lib.twin.machine.machine import Machine
from homelab_lib.twin.machine.program import Call, Commands, Reply, operands

archives = Commands()

_FRAME = b"\x28\xb5\x2f\xfd"
_FAILED = "tar: Exiting with failure status due to previous errors\n"


@archives("tar")
def tar(machine: Machine, call: Call) -> Reply:
    """``tar -xOf ARCHIVE MEMBER``: an archive is known by its digest, as the lab has it."""
    words, options = operands(call, "-C -f -xf")
    if "-C" in options and "-xf" in options:
        return _unpacked(machine, call, options["-xf"], options["-C"])
    words, options = operands(call)
    if not {"-x", "-O", "-f"} <= options.keys() or len(words) != 2:
        return Reply(2, stderr=f"tar: the twin knows -xOf ARCHIVE MEMBER only, not {call.argv}\n")
    path, member = words
    digest = machine.files.stat(call.path(path), machine.who(call)).sha256
    for download in machine.world.lab.downloads.values():
        if download.sha256 == digest and download.member:
            if download.member != member:
                return Reply(2, stderr=f"tar: {member}: Not found in archive\n{_FAILED}")
            return Reply(0, f"# {member} of {download.name} {download.version}\n")
    return Reply(2, stderr=f"tar: This does not look like a tar archive\n{_FAILED}")


def _unpacked(machine: Machine, call: Call, path: str, into: str) -> Reply:
    """All of an archive, below a folder: of those that hold more than a program, Ollama's and
    llama.cpp's, whose folder is named after its release."""
    digest = machine.files.stat(call.path(path), machine.who(call)).sha256
    known = [each for each in machine.world.lab.downloads.values() if each.sha256 == digest]
    if known and "ggml-org/llama.cpp" in known[0].url:
        version = known[0].version
        for name in ("ggml-rpc-server", "llama-server", "libggml-rpc.so", "libggml-vulkan.so"):
            place = f"{into}/llama-{version}/{name}"
            machine.files.put(place, f"{name} {version}\n", mode=0o755)
        return Reply(takes_s=3.0)
    if not known or "ollama" not in known[0].url:
        return Reply(2, stderr=f"tar: This does not look like a tar archive\n{_FAILED}")
    if "zstd" not in machine.packages:
        return Reply(
            2, stderr=f"tar (child): zstd: Cannot exec: No such file or directory\n{_FAILED}"
        )
    version = known[0].version
    for name in ("lib/ollama/cuda_v13/libggml-cuda.so", "lib/ollama/vulkan/libggml-vulkan.so"):
        machine.files.put(f"{into}/{name}", f"{name} {version}\n")
    machine.files.put(f"{into}/bin/ollama", f"{version}\n", mode=0o755)
    return Reply(takes_s=20.0)


@archives("zstd")
def zstd(machine: Machine, call: Call) -> Reply:
    """``zstd -q -d -c``: what comes in, unpacked."""
    words, options = operands(call)
    if words or options.keys() - {"-q"} != {"-d", "-c"}:
        return Reply(1, stderr=f"zstd: the twin knows -q -d -c only, not {call.argv}\n")
    data = call.stdin
    if not data:
        return Reply(1, stderr="zstd: /*stdin*\\: unexpected end of file \n")
    if not data.startswith(_FRAME):
        return Reply(1, stderr="zstd: /*stdin*\\: unsupported format \n")
    return Reply(0, data.removeprefix(_FRAME))
