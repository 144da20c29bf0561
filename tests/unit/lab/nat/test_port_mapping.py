import uuid
from ipaddress import IPv4Network

from shadowmesh.lab.nat.plan import Lan
from shadowmesh.lab.nat.port_mapping import configuration
from shadowmesh.lab.nat.rules import MAPPING_CHAINS, TABLE

IDENTIFIER = uuid.UUID(int=7)


def test_the_server_serves_the_inside_alone_and_writes_into_the_routers_own_chains() -> None:
    lines = configuration(Lan(IPv4Network("192.168.3.0/24"), None), IDENTIFIER).splitlines()
    assert "ext_ifname=eth0" in lines
    assert "listening_ip=br0" in lines
    assert "secure_mode=yes" in lines
    assert f"upnp_table_name={TABLE}" in lines
    assert {line.split("=")[1] for line in lines if "_chain=" in line} == set(MAPPING_CHAINS)
    assert lines[-2:] == ["allow 1-65535 192.168.3.0/24 1-65535", "deny 0-65535 0.0.0.0/0 0-65535"]
