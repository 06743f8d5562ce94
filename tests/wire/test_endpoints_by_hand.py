"""A service without a selector: its Endpoints are written by hand, its slices follow them."""


def test_slices_follow(space):
    space.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}]}},
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "db"}, "subsets": [
            {"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 5432}]}]})

    def holds(*addresses):
        return space.until("endpointslices", lambda there: [address for one in there.values() for endpoint in
                           one["endpoints"] for address in endpoint["addresses"]] == list(addresses),
                           "-l", "kubernetes.io/service-name=db")[-1]

    (name,) = holds("192.0.2.7")
    space.kubectl("patch", "endpoints", "db", "--type=json", "-p",
                  '[{"op":"add","path":"/subsets/0/addresses/-","value":{"ip":"192.0.2.8"}}]')
    assert list(holds("192.0.2.7", "192.0.2.8")) == [name], "the same slice"
    assert "endpointslicemirroring-controller.k8s.io" in space.kubectl("describe", "endpointslice", name).stdout
    space.kubectl("delete", "endpoints", "db")
    space.kubectl("wait", "--for=delete", f"endpointslice/{name}")
