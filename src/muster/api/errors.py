"""Ways a request can fail: the only family of errors that crosses a floor.

The server turns one into a `Status` (`to_status`); the client turns a `Status` back into the same
class (`from_status`), so both ends of the wire raise the same thing.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .causes import Cause


class ApiError(Exception):
    """`code` is the HTTP status, `reason` the metav1.StatusReason a client switches on."""

    code = 500
    reason = "InternalError"

    def __init__(self, message: str, *, details: dict[str, Any] | None = None, retry_after_s: int | None = None):
        super().__init__(message)
        self.message = message
        self.details = details or {}
        self.retry_after_s = retry_after_s

    def to_status(self) -> dict[str, Any]:
        details = dict(self.details)
        if self.retry_after_s is not None:
            details["retryAfterSeconds"] = self.retry_after_s
        status: dict[str, Any] = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        }
        if not self.reason:
            del status["reason"]
        if details:
            status["details"] = details
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    """The object is not at the revision the writer expected; read again, decide again."""

    code, reason = 409, "Conflict"


class Gone(ApiError):
    """The changes asked for are no longer kept; list again."""

    code, reason = 410, "Expired"


class TooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    """The object is well formed, but these fields hold what they may not."""

    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class Internal(ApiError):
    pass


class Unavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


FAMILY: tuple[type[ApiError], ...] = (
    BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, NotAcceptable, AlreadyExists, Conflict,
    Gone, TooLarge, UnsupportedMediaType, Invalid, TooManyRequests, Internal, Unavailable, Timeout,
)
_BY_REASON = {error.reason: error for error in FAMILY}
_BY_CODE = {error.code: error for error in reversed(FAMILY)}


def from_status(status: dict[str, Any]) -> ApiError:
    """The error a `Status` stands for; unknown reasons fall back to their code, then to ApiError."""
    kind = _BY_REASON.get(status.get("reason", "")) or _BY_CODE.get(status.get("code", 500), Internal)
    details = dict(status.get("details") or {})
    return kind(status.get("message", ""), details=details, retry_after_s=details.pop("retryAfterSeconds", None))


def resource_error(kind: type[ApiError], resource: str, name: str, message: str) -> ApiError:
    """An error about one object of `resource` ("daemonsets.apps")."""
    plural, _, group = resource.partition(".")
    details = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return kind(message, details=details)


def not_found(resource: str, name: str) -> ApiError:
    return resource_error(NotFound, resource, name, f'{resource} "{name}" not found')


def already_exists(resource: str, name: str) -> ApiError:
    return resource_error(AlreadyExists, resource, name, f'{resource} "{name}" already exists')


def conflict(resource: str, name: str, why: str = (
        "the object has been modified; please apply your changes to the latest version and try again")) -> ApiError:
    return resource_error(Conflict, resource, name,
                          f'Operation cannot be fulfilled on {resource} "{name}": {why}')


def forbidden(resource: str, name: str, why: str) -> ApiError:
    return resource_error(Forbidden, resource, name, f'{resource} "{name}" is forbidden: {why}')


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """`The DaemonSet "x" is invalid: ...` is kubectl's rendering of this Status."""
    causes = list(dict.fromkeys(causes))  # an update is held to several rules that may say the same
    listed = [str(cause) for cause in causes]
    text = listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]"
    shown_kind = f"{kind}.{group}" if group else kind
    details: dict[str, Any] = {"name": name, "kind": kind, "causes": [cause.to_json() for cause in causes]}
    if group:
        details["group"] = group
    return Invalid(f'{shown_kind} "{name}" is invalid: {text}', details=details)
