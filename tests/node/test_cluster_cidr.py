"""Where real nodes and their pods may have their addresses."""
import pytest

from muster.node.network_namespace import CANDIDATES, Unusable, check_cidr


@pytest.mark.parametrize("asked, said", [
    pytest.param("10.88.0.0/24", "a network of 16 bits is needed, such as 10.88.0.0/16", id="too small"),
    pytest.param("fd00::/16", "a network of 16 bits is needed", id="the other family"),
    pytest.param("10.88.0.1/16", "10.88.0.1/16 has host bits set", id="an address"),
    pytest.param("nonsense", "does not appear to be an IPv4 or IPv6 network", id="nonsense"),
    pytest.param("10.96.0.0/16", "services have their addresses there; choose another one", id="of services"),
])
def test_what_can_not_be(asked, said):
    with pytest.raises(Unusable, match=said):
        check_cidr(asked)


def test_what_can_be():
    for cidr in CANDIDATES:
        if cidr != "10.96.0.0/16":
            check_cidr(cidr)
