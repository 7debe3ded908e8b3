"""Who was called: the remote endpoint, which makes an arrow in Zipkin's service graph."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from obs_exporters.zipkin._text import text_of

_RANKED = (
    ("peer.service", ""),
    ("server.address", ""),
    ("net.peer.name", ""),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", ""),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", ""),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", ""),
    ("peer.address", ""),
    ("db.name", ""),
)
"""Attributes by rank: names, and addresses with the attribute of their port."""


def remote_endpoint(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give the remote endpoint of a client's or producer's span; None if it is unknown.

    Source: OpenTelemetry specification, "Transformation to Zipkin", "Remote endpoint".
    """
    for name, port in _RANKED:
        value = attributes.get(name)
        if not isinstance(value, str) or not value:
            continue
        if not port:
            return {"serviceName": text_of(value)}
        endpoint = _address(value)
        if endpoint is not None:
            number = attributes.get(port)
            # Zipkin refuses the whole list for a port above 65535.
            if type(number) is int and 0 < number <= 65_535:
                endpoint["port"] = number
            return endpoint
    return None


def _address(text: str) -> dict[str, Any] | None:
    """Give an IP address as Zipkin holds it; None for the path of a socket."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Without the zone of a link-local address, which Zipkin does not know.
    return {f"ipv{address.version}": str(address).partition("%")[0]}
