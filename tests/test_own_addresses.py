"""Where other machines reach this one."""
import pytest

from muster.own_addresses import is_loopback, names_of, outward, seen_from_outside


@pytest.mark.parametrize("host, outside", [
    pytest.param("127.0.0.1", "", id="loopback"),
    pytest.param("127.8.0.1", "", id="all of it"),
    pytest.param("::1", "", id="in the other family"),
    pytest.param("localhost", "", id="by name"),
    pytest.param("192.0.2.7", "192.0.2.7", id="an address"),
    pytest.param("master.example", "master.example", id="a name"),
    pytest.param("0.0.0.0", outward(), id="everywhere"),
])
def test_what_others_see(host, outside):
    assert seen_from_outside(host) == outside
    assert is_loopback(host) == (not outside and host != "0.0.0.0")


def test_a_server_that_listens_everywhere_is_certified_for_what_others_know():
    assert names_of("192.0.2.7") == ["192.0.2.7"]
    assert set(names_of("0.0.0.0")) == {"0.0.0.0", outward()} - {""}
    assert outward("127.0.0.1") == "127.0.0.1"
