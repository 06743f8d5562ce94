"""How the pods of real nodes find the server: where it listens for them, and what is written of it."""
import asyncio

import pytest

pytest.importorskip("grpc", reason="the extra muster[containers] is not installed")
from muster import bootstrap  # noqa: E402
from muster.api.kinds.built_in import BUILT_IN  # noqa: E402
from muster.api.kinds.catalogue import Kinds  # noqa: E402
from muster.api.objects import Key, at  # noqa: E402
from muster.api.schema import Schema  # noqa: E402
from muster.client.local import LocalClient  # noqa: E402
from muster.clock import Clock  # noqa: E402
from muster.cluster_network import keep, reached_at  # noqa: E402
from muster.server.registry import Registry  # noqa: E402
from muster.store.memory import MemoryStore  # noqa: E402

GATEWAY = "10.88.0.1"
DNS = "kube-dns"


@pytest.mark.parametrize("host, address, listens", [
    pytest.param("127.0.0.1", GATEWAY, False, id="loopback"),
    pytest.param("localhost", GATEWAY, False, id="a name"),
    pytest.param("::1", GATEWAY, False, id="the other family"),
    pytest.param("0.0.0.0", GATEWAY, True, id="everywhere"),
    pytest.param("::", GATEWAY, True, id="everywhere, in both families"),
    pytest.param("192.0.2.2", "192.0.2.2", True, id="an address of the machine"),
])
def test_where_the_server_is_found(host, address, listens):
    assert reached_at(host, GATEWAY) == (address, listens)


def played(*rounds):
    """The slice of the name server after each round of objects that are to be kept."""
    async def main():
        kinds = Kinds(BUILT_IN)
        client = LocalClient(Registry(MemoryStore(), kinds, Schema.load(), Clock(seed=1)), "system:apiserver")
        for one in bootstrap.first_objects("127.0.0.1", 6443, real_nodes=True):
            await client.create(one)
        for objects in rounds:
            await keep(client, kinds, objects)
        slices = (await client.list("endpointslices.discovery.k8s.io", "kube-system")).items
        service = await client.get(Key("services", "kube-system", DNS))
        return service, [(one["endpoints"][0]["addresses"], [port["port"] for port in one["ports"]]) for one in slices]
    return asyncio.run(main())


def test_what_is_written_follows_the_server():
    again = bootstrap.name_server("10.90.0.1", 5454)
    service, slices = played(bootstrap.name_server(GATEWAY, 5353), again, again)
    assert at(service, "spec.clusterIP") == bootstrap.DNS_IP
    assert slices == [(["10.90.0.1"], [5454, 5454])]


def test_a_name_server_of_somebody_else_stays():
    own = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": DNS, "namespace": "kube-system"}, "spec": {
        "selector": {"k8s-app": "kube-dns"}, "ports": [{"port": 53, "protocol": "UDP"}]}}
    service, slices = played([own], bootstrap.name_server(GATEWAY, 5353))
    assert at(service, "spec.selector") == {"k8s-app": "kube-dns"}
    assert slices == []
