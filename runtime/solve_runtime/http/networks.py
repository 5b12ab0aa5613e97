"""The network that a client belongs to, for limits by address."""

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network

IPV6_PREFIX = 64


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str:
    """The network of an IPv6 address, since one customer gets a whole network; any other address as it is."""
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), IPV6_PREFIX), strict=False))
