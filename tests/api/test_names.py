"""Names, labels and keys: what is let through, and what is said about the rest."""
import pytest

from muster.api import names

SUBDOMAIN = ("a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
             "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
             r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')")
LABEL = ("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
         "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
         "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
QUALIFIED = ("must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
             "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
             "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')")


@pytest.mark.parametrize("check, value, complaints", [
    pytest.param(names.is_dns_subdomain, "filebeat-ds.v1", (), id="subdomain"),
    pytest.param(names.is_dns_subdomain, "a" * 253, (), id="longest subdomain"),
    pytest.param(names.is_dns_subdomain, "a" * 254, ("must be no more than 253 bytes",), id="subdomain too long"),
    pytest.param(names.is_dns_subdomain, "My_DS", (SUBDOMAIN,), id="subdomain in capitals"),
    pytest.param(names.is_dns_subdomain, "", (SUBDOMAIN,), id="empty subdomain"),
    pytest.param(names.is_dns_subdomain, "a\n", (SUBDOMAIN,), id="a line end is no part of a name"),
    pytest.param(names.is_dns_label, "a.b", ("must not contain dots",), id="label with dots"),
    pytest.param(names.is_dns_label, "-a", (LABEL,), id="label with a hyphen first"),
    pytest.param(names.is_dns_1035_label, "a-1", (), id="1035 label"),
    pytest.param(names.is_qualified_name, "beta.kubernetes.io/os", (), id="prefixed key"),
    pytest.param(names.is_qualified_name, "/os", ("prefix part must be non-empty",), id="key with an empty prefix"),
    pytest.param(names.is_qualified_name, "a/", ("name part must be non-empty", f"name part {QUALIFIED}"),
                 id="key without a name"),
    pytest.param(names.is_qualified_name, "a/b/c",
                 (f"a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' "
                  "(e.g. 'example.com/MyName')",), id="key with two slashes"),
    pytest.param(names.is_label_value, "", (), id="empty label value"),
    pytest.param(names.is_label_value, "x" * 64, ("must be no more than 63 bytes",), id="label value too long"),
    pytest.param(names.is_port_name, "http", (), id="port name"),
    pytest.param(names.is_port_name, "8080", ("must contain at least one letter (a-z)",), id="port name of digits"),
    pytest.param(names.is_port_name, "a--b-", ("must not contain consecutive hyphens",
                                               "must not begin or end with a hyphen"), id="port name with hyphens"),
    pytest.param(names.is_port_number, 0, ("must be between 1 and 65535, inclusive",), id="port 0"),
    pytest.param(names.is_port_number, 65535, (), id="last port"),
    pytest.param(names.is_env_name, "1 any: thing", (), id="nearly anything names a variable"),
    pytest.param(names.is_env_name, "a=b", ("a valid environment variable name must consist only of printable ASCII "
                                            "characters other than '='",), id="but no equals sign"),
    pytest.param(names.is_env_name, "é", ("a valid environment variable name must consist only of printable ASCII "
                                          "characters other than '='",), id="and nothing beyond ASCII"),
    pytest.param(names.is_config_key, "..data", ("must not start with '..'",), id="config key that steps up"),
    pytest.param(names.is_percent, "25%", (), id="percent"),
    pytest.param(names.is_ip, "10.0.0.300", (names.NOT_AN_IP,), id="no address"),
    pytest.param(names.is_ip, "fe80::1", (), id="IPv6"),
    pytest.param(names.is_cidr, "10.0.0.0", ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",),
                 id="an address is no range"),
    pytest.param(names.as_prefix(names.is_dns_subdomain), "agent-", (), id="a generated name may go on after a hyphen"),
    pytest.param(names.as_prefix(names.is_dns_subdomain), "Agent-", (SUBDOMAIN,), id="but not with capitals"),
])
def test_complaints(check, value, complaints):
    assert check(value) == complaints
