from __future__ import annotations

import signal
import time
from typing import Any
from unittest.mock import Mock, call

import pytest

from shadowmesh.lab.nat import roaming
from shadowmesh.lab.nat.roaming import CHANGES, OUTAGE_S, Change, Couple

STOP, GO = (call.alice.process.send_signal(number) for number in (signal.SIGSTOP, signal.SIGCONT))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Notes what is done to it, and that time passes; a sleep costs none."""
    pair = Mock(spec_set=[*Couple.__dataclass_fields__, "sleep", "now"])
    now = time.monotonic()

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pair.sleep.side_effect, pair.now = sleep, lambda: now
    monkeypatch.setattr(roaming, "time", Mock(sleep=pair.sleep, monotonic=pair.now))
    return pair


def test_a_host_that_moves_leaves_its_network_before_it_joins_the_other(pair: Mock) -> None:
    change("from Wi-Fi to LTE").act(pair)
    host = pair.alice.host
    assert pair.mock_calls == [call.home.detach(host), call.lte.attach(host)]


def test_with_two_uplinks_the_first_loses_its_carrier_when_the_second_has_settled(pair: Mock) -> None:
    began = change("Wi-Fi loses its carrier").act(pair)
    assert pair.mock_calls == [call.lte.attach(pair.alice.host), call.sleep(3.0), call.alice.host.link_down("eth0")]
    assert began == pair.now()


@pytest.mark.parametrize(
    ("name", "whose"),
    [("at who sends", ["home"]), ("at the far side", ["away"]), ("at both", ["home", "away"])],
)
def test_a_nat_is_rebound_where_the_change_says(pair: Mock, name: str, whose: list[str]) -> None:
    change(f"NAT rebinding {name}").act(pair)
    assert pair.mock_calls == [getattr(call, site).router.rebind() for site in whose]


def test_the_router_that_gets_another_address_is_the_one_at_home(pair: Mock) -> None:
    change("the router gets another address").act(pair)
    assert pair.mock_calls == [call.home.roam()]


@pytest.mark.parametrize(
    ("name", "host"), [("own link", call.alice.host), ("uplink of the router", call.home.router.host)]
)
def test_a_link_that_was_down_counts_from_when_it_is_up_again(pair: Mock, name: str, host: Any) -> None:
    began = change(name).act(pair)
    assert pair.mock_calls == [host.link_down("eth0"), call.sleep(OUTAGE_S), host.link_up("eth0")]
    assert began == pair.now()


@pytest.mark.parametrize("seconds", [10.0, 65.0])
def test_a_node_that_is_stopped_counts_from_when_it_goes_on(pair: Mock, seconds: float) -> None:
    began = change(f"stopped for {seconds:.0f} s").act(pair)
    assert pair.mock_calls == [STOP, call.sleep(seconds), GO]
    assert began == pair.now()


def change(beginning: str) -> Change:
    (found,) = [each for each in CHANGES if each.name.startswith(beginning)]
    return found
