from tests.unit.lab.nat.loopback import ADDRESS, observers, open_socket

from shadowmesh.lab.nat.probe import Observation, hairpins, lifetime_s, observe
from shadowmesh.lab.nat.theory import Dependence


def test_a_host_without_nat_is_seen_as_it_is() -> None:
    with observers() as opened:
        observation = observe(open_socket, ADDRESS, opened)
    assert observation is not None
    assert observation.mapping is Dependence.ENDPOINT_INDEPENDENT
    assert observation.filtering is Dependence.ENDPOINT_INDEPENDENT
    assert not observation.translated
    assert observation.port_preserved
    assert observation.port_deltas == (0, 0, 0)


def test_two_hosts_without_nat_reach_each_other_by_what_was_seen() -> None:
    with observers() as opened:
        assert hairpins(open_socket, ADDRESS, open_socket, "127.0.0.4", opened)


def test_without_nat_there_is_no_mapping_that_could_end() -> None:
    with observers() as opened:
        assert lifetime_s(open_socket, ADDRESS, opened, [0.01, 0.02]) == 0.02


def test_ports_that_follow_each_other_are_told_from_those_that_stay() -> None:
    apd = Dependence.ADDRESS_AND_PORT_DEPENDENT
    seen = tuple(("11.18.0.9", port) for port in (5000, 5001, 5002, 5003))
    observation = Observation(apd, apd, ("192.168.0.2", 5000), seen)
    assert observation.translated
    assert observation.port_deltas == (1, 1, 1)
    assert not observation.port_preserved
