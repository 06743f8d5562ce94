"""What `kubectl logs` asks for, read from the query and checked as the API server does.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""
from __future__ import annotations

from dataclasses import dataclass

from .causes import Cause, forbidden, invalid
from .errors import ApiError, BadRequest
from .errors import invalid as invalid_options
from .objects import Obj, at, from_time, name_of


@dataclass(frozen=True, slots=True)
class LogOptions:
    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_s: int | None = None
    since_time: float | None = None  # Unix seconds
    limit_bytes: int | None = None


def check(options: LogOptions, pod_name: str) -> None:
    """Raises Invalid for amounts that make no sense."""
    causes: list[Cause] = []
    if options.tail_lines is not None and options.tail_lines < 0:
        causes.append(invalid("tailLines", options.tail_lines, "must be greater than or equal to 0"))
    if options.limit_bytes is not None and options.limit_bytes < 1:
        causes.append(invalid("limitBytes", options.limit_bytes, "must be greater than 0"))
    if options.since_s is not None and options.since_time is not None:
        causes.append(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif options.since_s is not None and options.since_s < 1:
        causes.append(invalid("sinceSeconds", options.since_s, "must be greater than 0"))
    if causes:
        raise invalid_options("PodLogOptions", "", pod_name, causes)


def moment(text: str) -> float:
    """`sinceTime`.  Raises BadRequest."""
    try:
        return from_time(text)
    except ValueError:
        raise BadRequest(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}"') from None


def container_of(pod: Obj, asked: str) -> str:
    """The container to read: the one asked for, or the only one there is.  Raises BadRequest."""
    names = _names(pod, "containers")
    initial = _names(pod, "initContainers")
    ephemeral = _names(pod, "ephemeralContainers")
    if asked:
        if asked not in (*names, *initial, *ephemeral):
            raise BadRequest(f"container {asked} is not valid for pod {name_of(pod)}")
        return asked
    if len(names) == 1 and not initial and not ephemeral:
        return names[0]
    raise _which(pod, names, initial, ephemeral)


def _which(pod: Obj, names: list[str], initial: list[str], ephemeral: list[str]) -> ApiError:
    text = f"a container name must be specified for pod {name_of(pod)}, choose one of: [{' '.join(names)}]"
    if initial:
        text += f" or one of the init containers: [{' '.join(initial)}]"
    if ephemeral:
        text += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    return BadRequest(text)


def _names(pod: Obj, field: str) -> list[str]:
    return [container["name"] for container in at(pod, f"spec.{field}") or ()]
