"""What a name, a label or a key may look like: each check answers with its complaints, none when all is well.

The complaints follow the apimachinery wording users know ("a lowercase RFC 1123 subdomain must consist
of ..."); put one behind a field with `causes.invalid(path, value, complaint)`.  The checks are cached, since
the same few thousand names and label values come back with every write; the caches are bounded.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""
from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

Complaints = tuple[str, ...]

FINE: Complaints = ()
EMPTY = "must be non-empty"
LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
PORT_NAME_LENGTH = 15
MAX_INT32 = 2**31 - 1
NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"

_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_DNS_1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HTTP_HEADER = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

_is_dns_label = re.compile(_DNS_LABEL).fullmatch
_is_dns_subdomain = re.compile(_DNS_SUBDOMAIN).fullmatch
_is_dns_1035_label = re.compile(_DNS_1035_LABEL).fullmatch
_is_qualified = re.compile(_QUALIFIED).fullmatch
_is_config_key = re.compile(_CONFIG_KEY).fullmatch
_is_http_header = re.compile(_HTTP_HEADER).fullmatch
_is_percent = re.compile(_PERCENT).fullmatch
_is_ip_v4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}").fullmatch
_is_port_name_text = re.compile("[-a-z0-9]+").fullmatch
_is_relaxed_env_text = re.compile("[ -<>-~]+").fullmatch  # printable ASCII without "="


def too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def not_between(low: int, high: int) -> str:
    return f"must be between {low} and {high}, inclusive"


def _pattern(detail: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{detail} (e.g. {shown}regex used for validation is '{pattern}')"


_BAD_DNS_LABEL = _pattern(
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character", _DNS_LABEL, "my-name", "123-abc")
_BAD_DNS_SUBDOMAIN = _pattern(
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character", _DNS_SUBDOMAIN, "example.com")
_BAD_DNS_1035_LABEL = _pattern(
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character", _DNS_1035_LABEL, "my-name", "abc-123")
_BAD_QUALIFIED = _pattern(
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character", _QUALIFIED, "MyName", "my.name", "123-abc")
_BAD_LABEL_VALUE = _pattern(
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character", _LABEL_VALUE, "MyValue", "my_value", "12345")
_BAD_CONFIG_KEY = _pattern("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                           _CONFIG_KEY, "key.name", "KEY_NAME", "key-name")
_BAD_HTTP_HEADER = _pattern("a valid HTTP header must consist of alphanumeric characters or '-'",
                            _HTTP_HEADER, "X-Header-Name")
_BAD_PERCENT = _pattern("a valid percent string must be a numeric string followed by an ending '%'",
                        _PERCENT, "1%", "93%")
_BAD_ENV_NAME = ("a valid environment variable name must consist only of printable ASCII characters "
                 "other than '='")


@lru_cache(maxsize=16384)
def is_dns_label(value: str) -> Complaints:
    """RFC 1123 label: names of namespaces, containers, volumes."""
    if len(value) <= LABEL_LENGTH and _is_dns_label(value):
        return FINE
    found = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_dns_label(value):
        found.append("must not contain dots" if _is_dns_subdomain(value) else _BAD_DNS_LABEL)
    return tuple(found)


@lru_cache(maxsize=16384)
def is_dns_subdomain(value: str) -> Complaints:
    """RFC 1123 subdomain: names of most objects."""
    if len(value) <= SUBDOMAIN_LENGTH and _is_dns_subdomain(value):
        return FINE
    found = [too_long(SUBDOMAIN_LENGTH)] if len(value) > SUBDOMAIN_LENGTH else []
    if not _is_dns_subdomain(value):
        found.append(_BAD_DNS_SUBDOMAIN)
    return tuple(found)


@lru_cache(maxsize=4096)
def is_dns_1035_label(value: str) -> Complaints:
    """RFC 1035 label (a letter first): names of services."""
    found = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_dns_1035_label(value):
        found.append(_BAD_DNS_1035_LABEL)
    return tuple(found)


@lru_cache(maxsize=16384)
def is_qualified_name(value: str) -> Complaints:
    """A label key, annotation key or resource name: `name` or `prefix.example/name`."""
    prefix, slash, name = value.partition("/")
    if "/" in name:
        return (f"a qualified name {_BAD_QUALIFIED} with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')",)
    found: list[str] = []
    if slash:
        about_prefix = is_dns_subdomain(prefix) if prefix else (EMPTY,)
        found += [f"prefix part {complaint}" for complaint in about_prefix]
    else:
        name = prefix
    if not name:
        found.append(f"name part {EMPTY}")
    elif len(name) > LABEL_LENGTH:
        found.append(f"name part {too_long(LABEL_LENGTH)}")
    if not _is_qualified(name):
        found.append(f"name part {_BAD_QUALIFIED}")
    return tuple(found)


@lru_cache(maxsize=16384)
def is_label_value(value: str) -> Complaints:
    if not value or (len(value) <= LABEL_LENGTH and _is_qualified(value)):
        return FINE
    found = [too_long(LABEL_LENGTH)] if len(value) > LABEL_LENGTH else []
    if not _is_qualified(value):
        found.append(_BAD_LABEL_VALUE)
    return tuple(found)


@lru_cache(maxsize=4096)
def is_port_name(value: str) -> Complaints:
    """RFC 6335 service name: names of container and service ports."""
    found = [too_long(PORT_NAME_LENGTH)] if len(value) > PORT_NAME_LENGTH else []
    if not _is_port_name_text(value):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not any("a" <= letter <= "z" for letter in value):
        found.append("must contain at least one letter (a-z)")
    if "--" in value:
        found.append("must not contain consecutive hyphens")
    if value and (value[0] == "-" or value[-1] == "-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)


def is_port_number(value: int) -> Complaints:
    return FINE if 1 <= value <= 65535 else (not_between(1, 65535),)


def is_id(value: int) -> Complaints:
    """A user or group number."""
    return FINE if 0 <= value <= MAX_INT32 else (not_between(0, MAX_INT32),)


@lru_cache(maxsize=4096)
def is_env_name(value: str) -> Complaints:
    """An environment variable's name (KEP-4369: any printable ASCII but "=")."""
    if not value:
        return (f"environment variable name {EMPTY}",)
    return FINE if _is_relaxed_env_text(value) else (_BAD_ENV_NAME,)


@lru_cache(maxsize=4096)
def is_config_key(value: str) -> Complaints:
    """A key of a ConfigMap's or Secret's data."""
    if _is_config_key(value) and not value.startswith(".") and len(value) <= SUBDOMAIN_LENGTH:
        return FINE
    found = [too_long(SUBDOMAIN_LENGTH)] if len(value) > SUBDOMAIN_LENGTH else []
    if not _is_config_key(value):
        found.append(_BAD_CONFIG_KEY)
    if value in (".", ".."):
        found.append(f"must not be '{value}'")
    elif value.startswith(".."):
        found.append("must not start with '..'")
    return tuple(found)


def is_http_header_name(value: str) -> Complaints:
    return FINE if _is_http_header(value) else (_BAD_HTTP_HEADER,)


def is_path_segment(value: str) -> Complaints:
    """Whatever can stand between two slashes of a URL: the rule for kinds that have none of their own."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{one}'" for one in "/%" if one in value)


def is_percent(value: str) -> Complaints:
    return FINE if _is_percent(value) else (_BAD_PERCENT,)


@lru_cache(maxsize=16384)
def is_ip(value: str) -> Complaints:
    if _is_ip_v4(value):  # most are: a tenth of what parsing one takes
        return FINE
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return (NOT_AN_IP,)
    return FINE if "%" not in value else (NOT_AN_IP,)


@lru_cache(maxsize=4096)
def is_cidr(value: str) -> Complaints:
    complaint = ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
    if "/" not in value:
        return complaint
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return complaint
    return FINE


@lru_cache(maxsize=64)
def as_prefix(check: Callable[[str], Complaints]) -> Callable[[str], Complaints]:
    """The check for a generateName: what will be appended may end it, so a last hyphen is fine."""

    def checked(value: str) -> Complaints:
        return check(value[:-1] + "a" if value.endswith("-") and len(value) > 1 else value)

    return checked
