"""One request and its answer, as plain as ASGI allows.

`Request` reads what it is asked for and no more; `Answer` is bytes with a status; `Stream` goes on until it
ends or nobody listens.  Sending is in one place, so every answer carries the same headers.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import yaml

from ..api.errors import ApiError, BadRequest, Timeout
from ..api.objects import Obj
from .bodies import LARGEST, too_large
from .identity import ANONYMOUS, User
from .negotiation import JSON, YAML, Form
from .options import read_query

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

TEXT = b"text/plain; charset=utf-8"
BODY_WITHIN_S = 60.0
PIECE = 256 * 1024  # a large answer goes out in pieces of about this size, at the reader's pace
_WARNINGS_AT_MOST = 4096  # bytes in all, as upstream cuts them off

_NOT_CACHED = (b"cache-control", b"no-cache, private")
_PLAIN_HEAD = (b"content-type: %b\r\ncontent-length: %d\r\naudit-id: %b\r\n"
               b"cache-control: no-cache, private\r\n\r\n")
_TYPES = {media: (b"content-type", media) for media in (JSON, YAML, TEXT)}
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class Request:
    __slots__ = ("method", "path", "headers", "all_headers", "user", "say", "params", "_body", "_receive", "_server")

    def __init__(self, scope: Scope, receive: Receive):
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.all_headers: Headers = scope["headers"]  # some come several times
        self.user: User = scope.get("user", ANONYMOUS)
        # Sends a piece of a streamed answer at once, or returns False: there is no room for it (see serving).
        self.say: Callable[[bytes], bool] | None = scope.get("say")
        self.params = read_query(scope["query_string"])
        self._body: bytes | None = scope.get("body")  # where it came with the head
        self._receive = receive
        self._server: tuple[str, int] | None = scope.get("server")

    @property
    def reached_at(self) -> str:
        """The URL of the address that the caller connected to; "" without a connection."""
        if self._server is None:
            return ""
        host, port = self._server
        return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"

    @property
    def accept(self) -> bytes:
        return self.headers.get(b"accept", b"")

    @property
    def content_type(self) -> bytes:
        return self.headers.get(b"content-type", b"")

    async def body(self) -> bytes:
        """The whole body.  Raises TooLarge, or Timeout for one that does not come."""
        said = self.headers.get(b"content-length", b"")
        if said.isdigit() and (len(said) > 18 or int(said) > LARGEST):
            raise too_large()
        if self._body is not None:
            return self._body
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                return await self._parts()
        except TimeoutError:
            raise Timeout("the request's body did not come in time") from None

    async def _parts(self) -> bytes:
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                raise BadRequest("the client went away before its request was complete")
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                raise too_large()
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def disconnected(self) -> None:
        """Returns once the client is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes | Sequence[bytes]  # a sequence: pieces that follow one another
    media: bytes = JSON
    headers: Sequence[tuple[bytes, bytes]] = ()


@dataclass(slots=True)
class Stream:
    """Bytes for as long as they come; the iterator is closed when the client is gone before that."""

    chunks: AsyncIterator[bytes]
    media: bytes = JSON
    seconds: float | None = None  # the longest it may last
    watched: tuple[str, str, str] | None = None  # (group, version, kind): what a watch is counted under


def answer_object(value: Obj, form: Form, status: int = 200,
                  headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    return answer_encoded(orjson.dumps(value), form.media, status, headers)


def answer_encoded(body: bytes, media: bytes = JSON, status: int = 200,
                   headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    if media is not JSON:
        body = yaml.dump(orjson.loads(body), Dumper=_DUMPER, sort_keys=True, allow_unicode=True).encode()
    return Answer(status, body, media, headers)


def answer_error(error: ApiError) -> Answer:
    headers: Headers = []
    if error.retry_after_s is not None or error.code == 503:
        headers.append((b"retry-after", str(error.retry_after_s or 1).encode()))
    if error.code == 413:
        headers.append((b"connection", b"close"))  # what follows is the rest of that body
    return Answer(error.code, orjson.dumps(error.to_status()), JSON, headers)


def warning_headers(warnings: Sequence[str]) -> Headers:
    """`Warning: 299 - "text"`, each once, cut off where they get too long (RFC 9110 quoted strings)."""
    headers: Headers = []
    left = _WARNINGS_AT_MOST
    for text in dict.fromkeys(warnings):
        plain = "".join(char if char.isprintable() else " " for char in text)
        quoted = plain.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "replace")
        if len(quoted) > left:
            break
        left -= len(quoted)
        headers.append((b"warning", b'299 - "' + quoted + b'"'))
    return headers


async def send_answer(answer: Answer, audit_id: bytes, send: Send, scope: Scope, *, close: bool = False) -> None:
    body = answer.body
    if isinstance(body, bytes) and not (answer.headers or close) and answer.media in _TYPES:
        reply = scope.get("reply")
        head = _PLAIN_HEAD % (answer.media, len(body), audit_id)
        if reply is not None and reply(scope, answer.status, head, body):
            return
    pieces = [body] if isinstance(body, bytes) else body
    length = len(body) if isinstance(body, bytes) else sum(map(len, body))
    headers = [_TYPES.get(answer.media) or (b"content-type", answer.media),
               (b"content-length", b"%d" % length), (b"audit-id", audit_id), *answer.headers]
    if all(name != b"cache-control" for name, _ in answer.headers):
        headers.append(_NOT_CACHED)
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in pieces[:-1]:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": pieces[-1]})


def in_pieces(first: bytes, items: Sequence[bytes], last: bytes) -> bytes | list[bytes]:
    """`first` + items joined by commas + `last`; in several pieces when it is large."""
    if sum(map(len, items)) <= PIECE:
        return b"".join((first, b",".join(items), last))
    pieces: list[bytes] = []
    gathered: list[bytes] = []
    size, before = 0, first
    for item in items:
        gathered.append(item)
        size += len(item)
        if size >= PIECE:
            pieces.append(before + b",".join(gathered))
            gathered, size, before = [], 0, b","
    if gathered:
        pieces.append(before + b",".join(gathered))
    pieces.append(last)
    return pieces
