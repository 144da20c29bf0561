from shadowmesh.lab.nat.endpoint_independent import hairpin_in, hairpin_out, incoming, outgoing, records
from shadowmesh.lab.nat.theory import Dependence


def test_a_known_inside_endpoint_is_translated_before_a_new_port_is_taken() -> None:
    known, taken, new = outgoing(random_ports=False)
    assert known.endswith("snat ip to ip saddr . udp sport map @out")
    assert taken.endswith("udp sport @used masquerade fully-random")
    assert new.endswith("udp masquerade")
    assert outgoing(random_ports=True)[2].endswith("udp masquerade fully-random")


def test_the_filter_asks_for_as_much_as_it_depends_on() -> None:
    (anyone,) = incoming(Dependence.ENDPOINT_INDEPENDENT)
    (known_address,) = incoming(Dependence.ADDRESS_DEPENDENT)
    assert "@permitted" not in anyone
    assert "udp dport . ip saddr @permitted dnat" in known_address
    assert incoming(Dependence.ADDRESS_AND_PORT_DEPENDENT) == []


def test_every_record_ends_with_the_timeout() -> None:
    text = records(7)
    assert text.count("timeout 7s;") == 4
    assert text.count("ct direction original update @out") == 1
    assert text.count("ct direction reply update @out") == 1


def test_what_is_turned_round_is_translated_at_both_ends() -> None:
    assert "dnat ip to udp dport map @in" in hairpin_in()[0]
    assert "snat ip to ip saddr . udp sport map @out" in hairpin_out()[0]
