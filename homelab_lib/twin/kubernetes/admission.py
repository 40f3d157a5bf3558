"""What the API server's own admission plugins do to a new object, or refuse.

Source: kubernetes `plugin/pkg/admission/runtimeclass`, `…/storage/storageclass/setdefault`. A real
API server runs beside it in tests/kube.
"""

from collections.abc import Callable

from homelab_lib.twin.kubernetes.objects import ApiError, Object, dig

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
Get = Callable[[str, str], Object | None]
All = Callable[[str], list[Object]]


def admit(new: Object, get: Get, every: All) -> None:
    """Let a new object in.

    Parameters
    ----------
    new
        The object; what it leaves open is filled in.
    get, every
        An object by kind and name; all objects of a kind.

    Raises
    ------
    ApiError
        It names a runtime class that isn't there.
    """
    if new["kind"] == "Pod":
        _runtime(new, get)
    elif new["kind"] == "PersistentVolumeClaim":
        _storage(new, every)


def _runtime(pod: Object, get: Get) -> None:
    wanted = pod["spec"].get("runtimeClassName")
    if wanted and get("RuntimeClass", wanted) is None:
        meta = pod["metadata"]
        name = meta.get("generateName") or meta["name"]  # whose name is drawn has none yet
        why = f'pod rejected: RuntimeClass "{wanted}" not found'
        raise ApiError("Forbidden", f'pods "{name}" is forbidden: {why}')


def _storage(claim: Object, every: All) -> None:
    """A claim that names no class gets the default one; of several the newest."""
    if claim["spec"].get("storageClassName") is not None:
        return
    found = [
        each["metadata"]
        for each in every("StorageClass")
        if dig(each["metadata"], "annotations") and
        each["metadata"]["annotations"].get(_DEFAULT_CLASS) == "true"
    ]  # fmt: skip
    if found:
        newest = max(each.get("creationTimestamp", "") for each in found)
        names = (each["name"] for each in found if each.get("creationTimestamp", "") == newest)
        claim["spec"]["storageClassName"] = min(names)
