"""Where other machines reach this one.

A server that listens everywhere (`--host 0.0.0.0`) has no one address; the one that this machine sends from towards the
world is the one that others know it by.
"""
from __future__ import annotations

import ipaddress
import socket

_ELSEWHERE = "192.0.2.1"  # a documentation address: nothing is sent to it


def outward(towards: str = _ELSEWHERE) -> str:
    """The address that packets to `towards` leave from; "" where there is no way."""
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((towards, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def names_of(host: str) -> list[str]:
    """What the certificate of a server that listens on `host` has to say."""
    return [host, *filter(None, [outward()])] if is_everywhere(host) else [host]


def seen_from_outside(host: str) -> str:
    """The address for others of a server that listens on `host`; "" where they can not reach it."""
    if is_everywhere(host):
        host = outward()
    return "" if is_loopback(host) else host


def is_everywhere(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")
