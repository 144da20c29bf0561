"""When to call a peer that we have a session with: its path is silent, or we are at other addresses than before.

The call brings each side the other's candidates of now; both punch, and the session goes on by the path that is found.
Spec: docs/spec/paths.md, section 5.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shadowmesh.identity.names import PeerID
from shadowmesh.mesh.calls import MIN_INTERVAL_S

ASK_FIRST_S = 0.25  # STUN servers are asked meanwhile: a call without our address of now would be in vain
SETTLE_S = 0.05  # after the first answer: only with a second one is it known what the NAT does
REPEAT_S = 2.5  # while the path is silent: a call that was lost, or came before our new addresses were known
NEWS_S = 10.0  # after a change of network: STUN has answered by then, or will not


@dataclass(slots=True)
class _Search:
    due_at: float
    called_at: float = -math.inf
    news_until: float = -math.inf  # addresses that are learnt until then are told, whether the path is silent or not

    def call_at(self, at: float) -> None:
        self.due_at = min(self.due_at, max(at, self.called_at + MIN_INTERVAL_S))


class PathSearch:
    """Only peers with a session. While calls are passed on: take what is `due`, then read `next_timeout()`."""

    def __init__(self) -> None:
        self._searches: dict[PeerID, _Search] = {}

    def path_silent(self, peer: PeerID, now: float) -> None:
        self._search(peer).call_at(now + ASK_FIRST_S)

    def network_changed(self, peers: Iterable[PeerID], now: float) -> None:
        for peer in peers:
            search = self._search(peer)
            search.news_until = now + NEWS_S
            search.call_at(now + ASK_FIRST_S)

    def addresses_changed(self, now: float) -> None:
        for search in self._searches.values():
            search.call_at(now + SETTLE_S)

    def link_opened(self, now: float) -> None:
        """Calls are passed on again: what was called before may have gone nowhere."""
        for search in self._searches.values():
            search.call_at(now + ASK_FIRST_S)

    def stop(self, peer: PeerID) -> None:
        """It has no session any more."""
        self._searches.pop(peer, None)

    def due(self, is_silent: Callable[[PeerID], bool], now: float) -> list[PeerID]:
        """Whom to call now. What is neither silent nor has news of ours to hear is forgotten."""
        called = []
        for peer, search in list(self._searches.items()):
            if now < search.due_at:
                continue
            if not is_silent(peer) and now >= search.news_until:
                del self._searches[peer]
                continue
            called.append(peer)
            search.called_at = now
            search.due_at = now + REPEAT_S if is_silent(peer) else max(now + MIN_INTERVAL_S, search.news_until)
        return called

    def next_timeout(self) -> float | None:
        return min((search.due_at for search in self._searches.values()), default=None)

    def _search(self, peer: PeerID) -> _Search:
        return self._searches.setdefault(peer, _Search(math.inf))
