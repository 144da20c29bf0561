import json

import pytest

from shadowmesh.lab import inspection
from shadowmesh.lab.errors import LabError
from shadowmesh.lab.inspection import Counters, Device, Route

LINKS = json.dumps(
    [
        {
            "ifname": "eth0",
            "flags": ["BROADCAST", "UP", "LOWER_UP"],
            "mtu": 1500,
            "stats64": {"rx": {"bytes": 10, "packets": 1}, "tx": {"bytes": 20, "packets": 2}},
        },
        {},
        {
            "ifname": "eth1",
            "flags": ["NO-CARRIER", "UP"],
            "mtu": 9000,
            "stats64": {"rx": {"bytes": 0, "packets": 0}, "tx": {"bytes": 0, "packets": 0}},
        },
    ]
)


def test_counters_are_read_by_interface() -> None:
    assert inspection.counters(LINKS) == {"eth0": Counters(10, 1, 20, 2), "eth1": Counters(0, 0, 0, 0)}


def test_an_interface_without_carrier_is_up_all_the_same() -> None:
    eth0, eth1 = inspection.devices(LINKS)
    assert eth0 == Device("eth0", mtu=1500, up=True, carrier=True)
    assert eth1 == Device("eth1", mtu=9000, up=True, carrier=False)


def test_routes_are_sorted_and_leave_out_those_of_the_kernel() -> None:
    listing = [
        {"dst": "default", "gateway": "198.18.0.1", "dev": "eth0", "table": "51820"},
        {"dst": "198.18.0.0/17", "dev": "eth0", "metric": 100},
        {"type": "local", "dst": "198.18.0.1", "dev": "eth0", "table": "local"},
        {"type": "multicast", "dst": "ff00::/8", "dev": "eth0", "table": "local"},
    ]
    assert inspection.routes(json.dumps(listing)) == (
        Route("198.18.0.0/17", device="eth0", gateway="", table="main", metric=100),
        Route("default", device="eth0", gateway="198.18.0.1", table="51820", metric=0),
    )


def test_no_output_means_nothing_there() -> None:
    assert inspection.routes("") == ()


def test_output_that_is_no_json_is_an_error() -> None:
    with pytest.raises(LabError, match="no JSON"):
        inspection.devices("1: lo: <LOOPBACK>")


def test_output_that_lacks_a_field_is_an_error_that_names_it() -> None:
    with pytest.raises(LabError, match="without stats64"):
        inspection.counters('[{"ifname": "eth0"}]')
