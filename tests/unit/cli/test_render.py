from textwrap import dedent

import msgspec
import pytest

from shadowmesh.cli import render
from shadowmesh.control import schema

IDENTITY = schema.Identity(peer_id="sm1peer", fingerprint="sm1finger", address="fd00::1")
LINK = schema.Link(
    state="online",
    since_s=7200.0,
    url="https://eu.example.org",
    fingerprint="sm1backbone",
    token_expires_at=1_000_000 + 82_800,
    reason="",
    reflexive=["198.51.100.7:41641"],
    login_s=0.05,
    known=3,
)
PEER = schema.Peer(
    peer_id="sm1bobbobbobbob",
    fingerprint="sm1bob",
    name="bob",
    address="fd00::b",
    state="connected",
    path="10.0.0.7",
    path_kind="through NAT",
    path_narrow=False,
    rtt_s=0.0123,
    probe_age_s=4.2,
    rx_bytes=1_234_567,
    tx_bytes=999,
    handshake_s=0.009,
    cipher="aes256gcm",
    handshake_age_s=31.0,
    reason="",
)
LOST = schema.Peer(
    peer_id="sm1carolcarolcarol",
    fingerprint="sm1carol",
    name="",
    address="fd00::c",
    state="unreachable",
    path=None,
    path_kind=None,
    path_narrow=False,
    rtt_s=None,
    probe_age_s=None,
    rx_bytes=0,
    tx_bytes=0,
    handshake_s=None,
    cipher=None,
    handshake_age_s=None,
    reason="lost",
)


def test_a_path_that_loses_full_packets_says_so() -> None:
    narrow = msgspec.structs.replace(PEER, path="[2001:db8::7]:41641", path_kind="direct IPv6", path_narrow=True)
    assert "[2001:db8::7]:41641 direct in fragments" in render.status(_status(peers=[narrow], drops={}), now=1_000_000)


def test_status_tells_all_at_a_glance() -> None:
    assert render.status(_status(peers=[PEER, LOST], drops={"node: replayed": 2}), now=1_000_000) == _text("""
        shadowmesh 1.2.3, private, up 2 h 5 min (pid 77)

        fingerprint   sm1finger
        address       fd00::1
        region        europe
        backbone      online for 2 h, https://eu.example.org, token good for 23 h
        engine        UDP port 41641, device shadowmesh0
        reachable at  192.0.2.1:41641
        seen as       198.51.100.7:41641
        dropped       2 node: replayed

        PEER           ADDRESS  STATE               PATH          PROBE             RECEIVED  SENT   HANDSHAKE  CIPHER
        bob            fd00::b  connected           10.0.0.7 NAT  12.3 ms, 4 s ago  1.2 MB    999 B  31 s ago   AES-256
        sm1carolcaro…  fd00::c  unreachable (lost)  -             -                 0 B       0 B    -          -
    """)


def test_status_without_peers_says_what_to_do() -> None:
    assert render.status(_status(peers=[], drops={}), now=1_000_000).endswith(
        "\n\nNo peer is trusted. Add one: shadowmesh peers trust FINGERPRINT --name NAME"
    )


def test_a_new_identity_is_told_from_one_that_was_there() -> None:
    old = render.identity(schema.IdentityDocument(identity=IDENTITY, created=False, sealed=True))
    assert old == _text("""
        fingerprint  sm1finger
        PeerID       sm1peer
        address      fd00::1
        key file     sealed with a passphrase
    """)
    new = render.identity(schema.IdentityDocument(identity=IDENTITY, created=True, sealed=False))
    assert new.startswith("This node's new identity.")


def test_the_trust_list_is_a_table() -> None:
    entry = schema.Trusted(fingerprint="sm1bob", peer_id="sm1b", name="bob", address="fd00::b")
    assert render.trust_list(schema.TrustListDocument(trusted=[entry])) == _text("""
        NAME  ADDRESS  FINGERPRINT
        bob   fd00::b  sm1bob
    """)
    assert render.trusted(entry) == "bob sm1bob"
    assert "No peer is trusted" in render.trust_list(schema.TrustListDocument(trusted=[]))


def test_a_look_up_shows_what_the_record_says() -> None:
    record = schema.RecordFacts(
        record_id="ab" * 32,
        sequence=7,
        issued_at=1,
        expires_at=2,
        mode="private",
        region="europe",
        capabilities=[],
        wireguard_key="AAA=",
        endpoints=[],
        size_bytes=7306,
    )
    document = schema.LookupDocument(
        peer_id="sm1b",
        address="fd00::b",
        found=True,
        source="cache",
        online=None,
        took_s=0.0003,
        record=record,
        failure="",
    )
    assert render.look_up(document) == _text("""
        PeerID        sm1b
        address       fd00::b
        found in      cache in 0.30 ms
        online        not known
        mode          private
        region        europe
        can           -
        reachable at  addresses go to trusted peers only
        WireGuard     AAA=
        record        number 7, 7306 bytes, id abababababababab
    """)


def test_pings_are_a_line_each_and_a_summary() -> None:
    first = schema.PingDocument(peer_id="p", path="a:1", rtt_s=0.0005, connected_in_s=0.25)
    lost = schema.PingDocument(peer_id="p", path="a:1", rtt_s=None, connected_in_s=None)
    gone = schema.PingDocument(peer_id="", path="", rtt_s=None, connected_in_s=None)
    assert render.ping("bob", first) == "pong from bob by a:1: 0.50 ms (connected in 250 ms)"
    assert render.ping("bob", lost) == "no answer from bob by a:1"
    assert render.ping("bob", gone) == "no answer from bob"
    some = schema.PingsDocument(peer="bob", pings=[first, lost], sent=2, received=1)
    assert render.pings(some) == "2 sent, 1 received; least 0.50 ms, mean 0.50 ms, most 0.50 ms"
    none = schema.PingsDocument(peer="bob", pings=[lost], sent=1, received=0)
    assert render.pings(none) == "1 sent, 0 received"


def test_a_log_line_is_readable_and_a_foreign_line_is_kept() -> None:
    line = b'{"at": "2026-11-24T02:12:31.005054+00:00", "level": "INFO", "message": "up", "logger": "x"}\n'
    assert render.log_line(line) == "2026-11-24 02:12:31 INFO    up"
    assert render.log_line(b"Traceback\xff\n") == "Traceback\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (90_000, "1 d 1 h"), (-1, "-1 s")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**16, "10000.0 TB")],
)
def test_a_byte_count_has_a_unit(count: int, text: str) -> None:
    assert render.byte_count(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.00012, "0.12 ms"), (0.05, "50.0 ms"), (1.5, "1500 ms")])
def test_milliseconds_have_three_digits_that_matter(seconds: float, text: str) -> None:
    assert render.milliseconds(seconds) == text


def _status(*, peers: list[schema.Peer], drops: dict[str, int]) -> schema.StatusDocument:
    engine = schema.Engine(port=41641, tun="shadowmesh0", addresses=["192.0.2.1:41641"], drops=drops)
    return schema.StatusDocument(
        version="1.2.3",
        pid=77,
        uptime_s=7500.0,
        mode="private",
        region="europe",
        identity=IDENTITY,
        link=LINK,
        engine=engine,
        peers=peers,
    )


def _text(indented: str) -> str:
    return dedent(indented).strip()
