"""Probes and lifecycle hooks: exactly one handler each, and the numbers that go with it.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""
from __future__ import annotations

from .. import names
from ..causes import Cause, forbidden, invalid, not_supported, required
from ..objects import Obj
from .metadata import complain, not_negative

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def validate_probes(container: Obj, path: str, wrong: list[Cause]) -> None:
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(field)
        if probe is None:
            continue
        at = f"{path}.{field}"
        _handler(probe, at, _PROBE_HANDLERS, None, wrong)
        for number in _NUMBERS:
            if (probe.get(number) or 0) < 0:
                wrong += not_negative(probe[number], f"{at}.{number}")
        grace = probe.get("terminationGracePeriodSeconds")
        if grace is not None and grace <= 0:
            wrong.append(invalid(f"{at}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
        if field == "readinessProbe":
            if grace is not None:
                wrong.append(invalid(f"{at}.terminationGracePeriodSeconds", grace,
                                     "must not be set for readinessProbes"))
        elif probe.get("successThreshold", 1) != 1:
            wrong.append(invalid(f"{at}.successThreshold", probe["successThreshold"], "must be 1"))


def validate_lifecycle(lifecycle: Obj, grace_period_s: int | None, path: str, wrong: list[Cause]) -> None:
    for field in ("postStart", "preStop"):
        if lifecycle.get(field) is not None:
            _handler(lifecycle[field], f"{path}.{field}", _HOOK_HANDLERS, grace_period_s, wrong)


def _handler(handler: Obj, path: str, known: tuple[str, ...], grace_period_s: int | None,
             wrong: list[Cause]) -> None:
    given = [field for field in known if handler.get(field) is not None]
    if not given:
        wrong.append(required(path, "must specify a handler type"))
        return
    at, action = f"{path}.{given[0]}", handler[given[0]]
    match given[0]:
        case "exec":
            if not action.get("command"):
                wrong.append(required(f"{at}.command"))
        case "httpGet":
            _http(action, at, wrong)
        case "tcpSocket" | "grpc":
            _port(action.get("port", 0), f"{at}.port", wrong)
        case "sleep":
            seconds = action.get("seconds", 0)
            if grace_period_s is not None and not 0 < seconds <= grace_period_s:
                wrong.append(invalid(at, seconds, "must be greater than 0 and less than "
                                     f"terminationGracePeriodSeconds ({grace_period_s}). Enable "
                                     "AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."))
    wrong += [forbidden(f"{path}.{field}", "may not specify more than 1 handler type") for field in given[1:]]


def _http(action: Obj, path: str, wrong: list[Cause]) -> None:
    if not action.get("path"):
        wrong.append(required(f"{path}.path"))
    _port(action.get("port", 0), f"{path}.port", wrong)
    if action.get("scheme") not in ("HTTP", "HTTPS"):
        wrong.append(not_supported(f"{path}.scheme", action.get("scheme") or "", ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        wrong += complain(f"{path}.httpHeaders", name, names.is_http_header_name(name))


def _port(port: int | str, path: str, wrong: list[Cause]) -> None:
    """A number, or the name of one of the container's ports."""
    check = names.is_port_name(port) if isinstance(port, str) else names.is_port_number(port)
    if check:
        wrong += complain(path, port, check)
