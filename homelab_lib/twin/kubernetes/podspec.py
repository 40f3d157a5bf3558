"""What the API server refuses in a pod's specification.

Source: kubernetes `pkg/apis/core/validation/validation.go`, `ValidatePodSpec`.
"""

import re
from collections.abc import Iterator

from homelab_lib.twin.kubernetes.objects import Object
from homelab_lib.twin.kubernetes.values import (
    LABEL,
    labels_problems,
    of_these,
    port,
    quantity,
    quantity_problem,
)

_ENVIRONMENT = re.compile(r"[ -<>-~]+")  # printable, and no “=”
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def pod_problems(pod: Object, path: str) -> Iterator[str]:
    """What is wrong with a pod's specification.

    Parameters
    ----------
    pod
        The specification.
    path
        Where it stands.
    """
    if not pod.get("containers"):
        yield f"{path}.containers: Required value"
    words = ("Always", "Never", "OnFailure")
    yield from of_these(pod.get("restartPolicy"), f"{path}.restartPolicy", *words)
    policies = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
    yield from of_these(pod.get("dnsPolicy"), f"{path}.dnsPolicy", *policies)
    yield from labels_problems(pod.get("nodeSelector"), f"{path}.nodeSelector")
    if (pod.get("terminationGracePeriodSeconds") or 0) < 0:
        yield f"{path}.terminationGracePeriodSeconds: Invalid value: must be non-negative"
    volumes: set[str] = set()
    for at, volume in enumerate(pod.get("volumes") or ()):
        yield from _volume(volume, f"{path}.volumes[{at}]", volumes)
        volumes.add(volume["name"])
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for at, container in enumerate(pod.get(kind) or ()):
            yield from _container(container, f"{path}.{kind}[{at}]", volumes)
            if container["name"] in names:
                yield f'{path}.{kind}[{at}].name: Duplicate value: "{container["name"]}"'
            names.add(container["name"])
    for at, toleration in enumerate(pod.get("tolerations") or ()):
        here = f"{path}.tolerations[{at}]"
        operators = ("Equal", "Exists", "Gt", "Lt")
        yield from of_these(toleration.get("operator"), f"{here}.operator", *operators)
        yield from of_these(toleration.get("effect"), f"{here}.effect", *_EFFECTS)
        if not toleration.get("key") and toleration.get("operator") != "Exists":
            yield f"{here}.operator: Invalid value: must be 'Exists' when `key` is empty"
    yield from _affinity(pod.get("affinity") or {}, f"{path}.affinity")


def _volume(volume: Object, path: str, before: set[str]) -> Iterator[str]:
    name = volume["name"]
    if len(name) > 63 or not LABEL.fullmatch(name):
        yield f'{path}.name: Invalid value: "{name}": a lowercase RFC 1123 label'
    if name in before:
        yield f'{path}.name: Duplicate value: "{name}"'
    sources = sorted(set(volume) - {"name"})
    if len(sources) > 1:
        yield f"{path}.{sources[1]}: Forbidden: may not specify more than 1 volume type"
    claim = volume.get("persistentVolumeClaim")
    if claim is not None and not claim.get("claimName"):
        yield f"{path}.persistentVolumeClaim.claimName: Required value"


def _container(container: Object, path: str, volumes: set[str]) -> Iterator[str]:
    name, image = container["name"], container.get("image") or ""
    if len(name) > 63 or not LABEL.fullmatch(name):
        yield f'{path}.name: Invalid value: "{name}": a lowercase RFC 1123 label'
    if not image:
        yield f"{path}.image: Required value"
    elif image != image.strip():
        yield f'{path}.image: Invalid value: "{image}": must not have blanks at its ends'
    policies = ("Always", "IfNotPresent", "Never")
    yield from of_these(container.get("imagePullPolicy"), f"{path}.imagePullPolicy", *policies)
    for at, each in enumerate(container.get("ports") or ()):
        yield from port(each.get("containerPort"), f"{path}.ports[{at}].containerPort")
        protocol = each.get("protocol")
        yield from of_these(protocol, f"{path}.ports[{at}].protocol", "SCTP", "TCP", "UDP")
    for at, each in enumerate(container.get("env") or ()):
        if not _ENVIRONMENT.fullmatch(each["name"]):
            yield f'{path}.env[{at}].name: Invalid value: "{each["name"]}"'
        if each.get("value") and each.get("valueFrom"):
            yield f"{path}.env[{at}].valueFrom: Invalid value: may not be specified with `value`"
    places: set[str] = set()
    for at, mount in enumerate(container.get("volumeMounts") or ()):
        here = f"{path}.volumeMounts[{at}]"
        if mount["name"] not in volumes:
            yield f'{here}.name: Not found: "{mount["name"]}"'
        if not mount["mountPath"]:
            yield f"{here}.mountPath: Required value"
        if mount["mountPath"] in places:
            yield f'{here}.mountPath: Invalid value: "{mount["mountPath"]}": must be unique'
        places.add(mount["mountPath"])
    yield from _resources(container.get("resources") or {}, f"{path}.resources")


def _resources(resources: Object, path: str) -> Iterator[str]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    problems = [
        problem
        for word, amounts in (("limits", limits), ("requests", requests))
        for name, amount in amounts.items()
        for problem in quantity_problem(amount, f"{path}.{word}[{name}]")
    ]
    yield from problems
    if problems:
        return
    for name in sorted(limits.keys() | requests.keys()):
        if "/" in name:  # what can't be promised twice: cards, and other devices
            yield from _devices(name, limits, requests, path)
        elif name not in limits or name not in requests:
            continue
        elif quantity(requests[name]) > quantity(limits[name]):
            what = f'"{requests[name]}": must be less than or equal to {name} limit'
            yield f"{path}.requests: Invalid value: {what} of {limits[name]}"


def _devices(name: str, limits: Object, requests: Object, path: str) -> Iterator[str]:
    for word, amounts in (("limits", limits), ("requests", requests or limits)):
        if name in amounts and quantity(amounts[name]) % 1:
            what = f'"{amounts[name]}": must be an integer'
            yield f"{path}.{word}[{name}]: Invalid value: {what}"
    if name not in limits:
        yield f"{path}.limits: Required value: Limit must be set for non overcommitable resources"
    elif quantity(requests.get(name, limits[name])) != quantity(limits[name]):
        what = f'"{requests[name]}": must be equal to {name} limit'
        yield f"{path}.requests: Invalid value: {what}"


def _affinity(affinity: Object, path: str) -> Iterator[str]:
    name = "requiredDuringSchedulingIgnoredDuringExecution"
    required = (affinity.get("nodeAffinity") or {}).get(name)
    if required is not None:
        terms = required.get("nodeSelectorTerms")
        here = f"{path}.nodeAffinity.{name}.nodeSelectorTerms"
        if not terms:
            yield f"{here}: Required value: must have at least one node selector term"
        for at, term in enumerate(terms or ()):
            for word in ("matchExpressions", "matchFields"):
                for number, each in enumerate(term.get(word) or ()):
                    yield from _requirement(each, f"{here}[{at}].{word}[{number}]", word)
    for kind in ("podAffinity", "podAntiAffinity"):
        for at, term in enumerate((affinity.get(kind) or {}).get(name) or ()):
            if not term.get("topologyKey"):
                yield f"{path}.{kind}.{name}[{at}].topologyKey: Required value: can not be empty"


def _requirement(one: Object, path: str, word: str) -> Iterator[str]:
    operators = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
    values, operator = one.get("values") or [], one["operator"]
    if word == "matchFields":
        operators = ("In", "NotIn")
        if one["key"] != "metadata.name":
            yield f'{path}.key: Invalid value: "{one["key"]}": not a valid field selector key'
    yield from of_these(operator, f"{path}.operator", *operators)
    if operator in ("In", "NotIn") and not values:
        yield f"{path}.values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
    if operator in ("Exists", "DoesNotExist") and values:
        yield f"{path}.values: Forbidden: may not be specified when `operator` is 'Exists'"
