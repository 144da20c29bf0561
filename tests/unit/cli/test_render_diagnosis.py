from textwrap import dedent

from tests.unit.cli.test_render import PEER

from shadowmesh.cli import render_diagnosis
from shadowmesh.control import diagnosis

HOME = diagnosis.Nat(
    mapping="endpoint-independent", filtering="unknown", port_step=0, ports=None, words="one outside port"
)
HARD = diagnosis.Nat(
    mapping="address-and-port-dependent", filtering="unknown", port_step=0, ports=(1024, 65535), words="at random"
)
ATTEMPT = diagnosis.Attempt(age_s=13.0, looked_up=True, called=True, call_failed=False, tried=[])


def test_a_network_at_a_glance() -> None:
    document = diagnosis.NetcheckDocument(
        took_s=2.1,
        port=41641,
        udp=True,
        ipv4=["203.0.113.5:41641"],
        ipv6=[],
        nat=HOME,
        candidates=[],
        port_mappings=[
            diagnosis.PortMapping(
                gateway="192.168.1.1", state="mapped", protocol="PCP", external="203.0.113.5:41641", reason=""
            )
        ],
        observers=[
            diagnosis.Observer(
                endpoint="198.51.100.1:3478",
                url="https://eu",
                region="europe",
                seen_as="203.0.113.5:41641",
                rtt_s=0.021,
            ),
            diagnosis.Observer(
                endpoint="198.51.100.2:3478", url="https://us", region="north_america", seen_as=None, rtt_s=None
            ),
        ],
        regions={"europe": 0.021, "north_america": None},
        reach=[diagnosis.Reach(peers="peers at home", outcome="direct", words="directly")],
        backbone="",
        advice=["turn on IPv6"],
    )
    assert render_diagnosis.netcheck(document) == _text("""
        UDP           passes
        IPv4          203.0.113.5:41641
        IPv6          not seen from outside
        router        one outside port
        port mapping  203.0.113.5:41641 at 192.168.1.1, by PCP

        Peers that are reached from here:
          yes     peers at home: directly

        BACKBONE NODE                   REGION         ROUND TRIP  SEES US AS
        https://eu (198.51.100.1:3478)  europe         21.0 ms     203.0.113.5:41641
        https://us (198.51.100.2:3478)  north_america  no answer   -

        What to do:
          - turn on IPv6
    """)


def test_why_a_peer_is_not_reached() -> None:
    silent = [_probed(f"198.51.100.7:{port}", None) for port in range(5000, 5016)]
    document = _why(
        punch=diagnosis.Punch(
            age_s=12.0,
            role="predict",
            words="we guess",
            probes_sent=130,
            probed=[_probed("192.0.2.9:1", 0.0042), *silent],
        ),
        advice=["turn on UPnP"],
    )
    assert render_diagnosis.why(document) == _text("""
        bob is not reached: silence

        record      held
        backbone    it is online
        call        answered
        our router  one outside port
        its router  at random

        12 s ago: we guess; 130 probes sent
        TRIED                                     PROBES  ANSWER
        192.0.2.9:1             as others see it  8       4.20 ms
        198.51.100.7, 16 ports  as others see it  128     -

        What to do:
          - turn on UPnP
    """)


def test_why_before_anything_was_tried() -> None:
    text = render_diagnosis.why(_why(told=[], attempt=None, online=None, backbone="no network"))
    assert "backbone    not reached (no network)" in text
    assert "call        none" in text
    assert "not known: it has told nothing yet" in text


def test_a_connected_peer_with_other_paths() -> None:
    text = render_diagnosis.why(_why(alternates=[diagnosis.Path(endpoint="192.0.2.1:1", rtt_s=0.003)]))
    assert text.endswith("OTHER PATH   ROUND TRIP\n192.0.2.1:1  3.00 ms")


def _probed(endpoint: str, rtt_s: float | None) -> diagnosis.ProbedEndpoint:
    return diagnosis.ProbedEndpoint(endpoint=endpoint, kind="server-reflexive", probes_sent=8, rtt_s=rtt_s)


def _why(
    *,
    told: list[diagnosis.Candidate] | None = None,
    attempt: diagnosis.Attempt | None = ATTEMPT,
    punch: diagnosis.Punch | None = None,
    online: bool | None = True,
    backbone: str = "",
    alternates: list[diagnosis.Path] | None = None,
    advice: list[str] | None = None,
) -> diagnosis.WhyDocument:
    return diagnosis.WhyDocument(
        peer=PEER,
        has_record=True,
        online=online,
        backbone=backbone,
        told=[diagnosis.Candidate(kind="host", endpoint="192.0.2.9:1")] if told is None else told,
        own_nat=HOME,
        peer_nat=HARD,
        attempt=attempt,
        punch=punch,
        alternates=alternates or [],
        summary="bob is not reached: silence",
        advice=advice or [],
    )


def _text(block: str) -> str:
    return dedent(block).strip("\n").rstrip()
