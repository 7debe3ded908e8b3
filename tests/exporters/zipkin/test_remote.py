"""The remote endpoint."""

import pytest

from obs_exporters.zipkin._remote import remote_endpoint

RANKED = [
    ("peer.service", {"serviceName": "2001:db8::1"}),
    ("server.address", {"serviceName": "2001:db8::1"}),
    ("net.peer.name", {"serviceName": "2001:db8::1"}),
    ("network.peer.address", {"ipv6": "2001:db8::1"}),
    ("server.socket.domain", {"serviceName": "2001:db8::1"}),
    ("server.socket.address", {"ipv6": "2001:db8::1"}),
    ("net.sock.peer.name", {"serviceName": "2001:db8::1"}),
    ("net.sock.peer.addr", {"ipv6": "2001:db8::1"}),
    ("peer.hostname", {"serviceName": "2001:db8::1"}),
    ("peer.address", {"serviceName": "2001:db8::1"}),
    ("db.name", {"serviceName": "2001:db8::1"}),
]


@pytest.mark.parametrize("rank", range(len(RANKED)))
def test_the_best_attribute_counts(rank):
    attributes = {name: "2001:db8::1" for name, _ in reversed(RANKED[rank:])}
    assert remote_endpoint(attributes) == RANKED[rank][1]


@pytest.mark.parametrize("value", ["", None, 5, ["a"]])
def test_what_is_no_text_does_not_count(value):
    found = remote_endpoint({"peer.service": value, "db.name": "orders"})
    assert found == {"serviceName": "orders"}
    assert remote_endpoint({"peer.service": value}) is None


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("network.peer.address", "network.peer.port"),
        ("server.socket.address", "server.socket.port"),
        ("net.sock.peer.addr", "net.sock.peer.port"),
    ],
)
def test_an_address_has_its_port(address, port):
    found = remote_endpoint({address: "10.0.0.1", port: 443})
    assert found == {"ipv4": "10.0.0.1", "port": 443}


@pytest.mark.parametrize("port", [0, -1, 65_536, "443", 4.0, True, None])
def test_a_port_that_is_none_is_left_out(port):
    attributes = {"network.peer.address": "10.0.0.1", "network.peer.port": port}
    assert remote_endpoint(attributes) == {"ipv4": "10.0.0.1"}


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("fe80::1%eth0", {"ipv6": "fe80::1"}),
        ("::ffff:1.2.3.4", {"ipv4": "1.2.3.4"}),
        ("2001:DB8::1", {"ipv6": "2001:db8::1"}),
    ],
)
def test_addresses_are_as_zipkin_writes_them(text, endpoint):
    assert remote_endpoint({"network.peer.address": text}) == endpoint


@pytest.mark.parametrize("text", ["/run/db.sock", "300.1.1.1", "host", "1"])
def test_what_is_no_address_gives_way_to_the_next(text):
    attributes = {"network.peer.address": text, "db.name": "orders"}
    assert remote_endpoint(attributes) == {"serviceName": "orders"}
