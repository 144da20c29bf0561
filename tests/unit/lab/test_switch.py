from pathlib import Path

from tests.unit.lab.recorder import Recorder

from shadowmesh.lab.namespace import Namespace
from shadowmesh.lab.switch import Switch


def test_each_host_gets_a_port_of_its_own_in_the_bridge() -> None:
    recorder = Recorder()
    switch = Switch(recorder, mtu=1400)
    alice, bob = (Namespace(f"sm-test-{name}", "sm-test", Path()) for name in ("alice", "bob"))
    assert switch.plug_in(alice, "eth0", "02:00:00:00:00:01") == "p0"
    assert switch.plug_in(bob, "eth0", "02:00:00:00:00:02") == "p1"
    assert recorder.lines[:2] == [
        "link add p0 mtu 1400 type veth peer name eth0 address 02:00:00:00:00:01 mtu 1400 netns sm-test-alice",
        "link set p0 master br0 up",
    ]
    assert recorder.lines[3] == "link set p1 master br0 up"


def test_clearing_a_port_that_is_not_impaired_changes_nothing() -> None:
    recorder = Recorder()
    Switch(recorder, mtu=1500).clear("p0")
    assert recorder.lines == []
