"""What the control API can ask: each command as documents in and out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shadowmesh._engine import Counters
from shadowmesh.control import schema
from shadowmesh.control.diagnosis import NetcheckDocument, WhyDocument
from shadowmesh.control.errors import ControlError, ErrorCode
from shadowmesh.control.version import program_version
from shadowmesh.identity.names import Fingerprint, PeerID
from shadowmesh.mesh.errors import MeshError, NameTaken, NotTrusted, PeerAlreadyTrusted
from shadowmesh.mesh.outputs import ConnectFailed
from shadowmesh.mesh.state import MeshConfig, PeerState, TrustedPeer
from shadowmesh.node import diagnosis, reports
from shadowmesh.node.daemon import Daemon
from shadowmesh.node.peer_names import check_name, find_peer, find_trusted
from shadowmesh.paths.port_mapping.status import MappingStatus
from shadowmesh.records.region import Region
from shadowmesh.wire.errors import DecodeError

LOOK_UP_TIMEOUT_S = 20.0
"""More than the backbone client gives a request."""
PROBE_WAIT_S = 0.6
"""A round trip between any two places of the world, and the half second after which a path counts as silent."""
NETCHECK_S = 3.0
"""Three requests to each observer are out by then; who needs longer counts as silent."""


class Commands:
    """Every method raises ShadowMeshError."""

    def __init__(
        self,
        daemon: Daemon,
        config: MeshConfig,
        fingerprint: Fingerprint,
        *,
        port: int,
        tun: str | None,
        host_addresses: Callable[[], list[str]],
        port_mappings: Callable[[], list[MappingStatus]],
        stop: Callable[[], None],
    ) -> None:
        self._daemon = daemon
        self._config = config
        self._fingerprint = fingerprint
        self._port = port
        self._tun = tun
        self._host_addresses = host_addresses
        self._port_mappings = port_mappings
        self._stop = stop
        self._started_at = daemon.now()
        self._sequences = itertools.count(1)

    async def status(self, _: None) -> schema.StatusDocument:
        daemon = self._daemon
        await self._probe_paths()
        now = daemon.now()
        counters = daemon.engine.counters()
        traffic = _traffic(counters)
        drops = {f"engine: {reason}": count for reason, count in counters.drops.items() if count}
        drops |= {f"node: {reason}": count for reason, count in daemon.mesh.drops.items() if count}
        if daemon.engine.send_failures:
            drops["node: not sent"] = daemon.engine.send_failures
        return schema.StatusDocument(
            version=program_version(),
            pid=os.getpid(),
            uptime_s=now - self._started_at,
            mode=reports.mode(self._config.mode),
            region=Region.of(self._config.region).label,
            identity=reports.identity(self._fingerprint),
            link=reports.link(daemon.mesh.link(), now - daemon.link_changed_at),
            engine=schema.Engine(port=self._port, tun=self._tun, addresses=self._host_addresses(), drops=drops),
            peers=[reports.peer(status, traffic, now) for status in daemon.mesh.peers()],
        )

    async def trusted(self, _: None) -> schema.TrustListDocument:
        return reports.trust_list(self._daemon.mesh.trusted())

    async def trust(self, request: schema.TrustRequest) -> schema.TrustedDocument:
        entry = trusted_peer(request)
        _refusing(lambda: self._daemon.command(lambda mesh, now: mesh.trust(entry, now)))
        return schema.TrustedDocument(peer=reports.trusted(entry))

    async def untrust(self, request: schema.PeerRequest) -> schema.TrustedDocument:
        entry = find_trusted(request.peer, self._daemon.mesh.trusted())
        _refusing(lambda: self._daemon.command(lambda mesh, now: mesh.untrust(entry.fingerprint, now)))
        return schema.TrustedDocument(peer=reports.trusted(entry))

    async def look_up(self, request: schema.PeerRequest) -> schema.LookupDocument:
        daemon, began = self._daemon, self._daemon.now()
        peer = find_peer(request.peer, daemon.mesh.trusted())
        waiting = daemon.look_ups.expect(peer)
        with waiting:
            _refusing(lambda: daemon.command(lambda mesh, now: mesh.look_up(peer, now)))
            try:
                found = await waiting.answer(LOOK_UP_TIMEOUT_S)
            except TimeoutError:
                raise ControlError(
                    ErrorCode.UNREACHABLE, f"no answer within {LOOK_UP_TIMEOUT_S:g} s", "see `shadowmesh logs`"
                ) from None
        return schema.LookupDocument(
            peer_id=str(peer),
            address=str(peer.overlay_address),
            found=found.record is not None,
            source=_source(found.source),
            online=found.online,
            took_s=daemon.now() - began,
            record=None if found.record is None else reports.record_facts(found.record),
            failure=found.failure,
        )

    async def ping(self, request: schema.PingRequest) -> schema.PingDocument:
        daemon, began = self._daemon, self._daemon.now()
        peer = find_trusted(request.peer, daemon.mesh.trusted()).fingerprint.peer_id
        try:
            connected_in_s = None if self._connected(peer) else await self._connect(peer, request)
            sequence = next(self._sequences)
            waiting = daemon.pongs.expect((peer, sequence))
            with waiting:
                _refusing(lambda: daemon.command(lambda mesh, now: mesh.ping(peer, sequence, now)))
                ponged = await waiting.answer(max(0.0, began + request.timeout_s - daemon.now()))
        except TimeoutError:
            reason = f"{request.peer}: no answer within {request.timeout_s:g} s"
            raise ControlError(ErrorCode.UNREACHABLE, reason, f"see `shadowmesh why {request.peer}`") from None
        return schema.PingDocument(
            peer_id=str(peer), path=str(ponged.path), rtt_s=ponged.rtt_s, connected_in_s=connected_in_s
        )

    async def netcheck(self, _: None) -> NetcheckDocument:
        daemon, began = self._daemon, self._daemon.now()
        waiting = daemon.network_checks.expect(None)
        with waiting:
            daemon.command(lambda mesh, now: mesh.check_network(now))
            with suppress(TimeoutError):  # the report says who has not answered
                await waiting.answer(NETCHECK_S)
        report = replace(daemon.mesh.network(), is_asking=False)
        return diagnosis.netcheck(report, self._port_mappings(), port=self._port, took_s=daemon.now() - began)

    async def why(self, request: schema.PeerRequest) -> WhyDocument:
        daemon, now = self._daemon, self._daemon.now()
        entry = find_trusted(request.peer, daemon.mesh.trusted())
        report = daemon.mesh.peer_report(entry.fingerprint.peer_id)
        return diagnosis.why(
            report,
            daemon.mesh.network(),
            self._port_mappings(),
            reports.peer(report.status, _traffic(daemon.engine.counters()), now),
            port=self._port,
            own_fingerprint=str(self._fingerprint),
            now=now,
        )

    async def stop(self, _: None) -> schema.StoppingDocument:
        self._stop()
        return schema.StoppingDocument(pid=os.getpid())

    async def _probe_paths(self) -> None:
        """What is shown as connected has just answered, or is shown with an older probe and the reason."""
        began = self._daemon.now()
        self._daemon.feed(lambda mesh, now: mesh.probe_paths(now))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_WAIT_S):
                while self._daemon.mesh.unprobed_since(began):
                    await self._daemon.input_handled()

    def _connected(self, peer: PeerID) -> bool:
        return any(status.peer == peer and status.state is PeerState.CONNECTED for status in self._daemon.mesh.peers())

    async def _connect(self, peer: PeerID, request: schema.PingRequest) -> float:
        """How long it took. Raises ControlError (UNREACHABLE), TimeoutError."""
        daemon, began = self._daemon, self._daemon.now()
        waiting = daemon.connections.expect(peer)
        with waiting:
            _refusing(lambda: daemon.command(lambda mesh, now: mesh.connect(peer, now)))
            outcome = await waiting.answer(request.timeout_s)
        if isinstance(outcome, ConnectFailed):
            remedy = f"see `shadowmesh why {request.peer}`"
            raise ControlError(ErrorCode.UNREACHABLE, f"can't connect: {outcome.reason}", remedy)
        return daemon.now() - began


def _traffic(counters: Counters) -> dict[bytes, reports.Traffic]:
    """By WireGuard key."""
    return {
        peer.public_key: reports.Traffic(peer.rx_bytes, peer.tx_bytes, peer.handshake_age_s) for peer in counters.peers
    }


def trusted_peer(request: schema.TrustRequest) -> TrustedPeer:
    """Raises ControlError (USAGE)."""
    if request.name:
        check_name(request.name)
    try:
        return TrustedPeer(Fingerprint.parse(request.fingerprint), request.name)
    except DecodeError as error:
        raise ControlError(
            ErrorCode.USAGE, str(error), "the peer's owner finds its fingerprint with `shadowmesh id`"
        ) from None


def refusal(error: MeshError) -> ControlError:
    """What the mesh refused, as the control API says it."""
    match error:
        case NotTrusted():
            return ControlError(ErrorCode.NOT_TRUSTED, str(error), "add it with `shadowmesh peers trust FINGERPRINT`")
        case PeerAlreadyTrusted():
            return ControlError(ErrorCode.ALREADY_TRUSTED, str(error), "`shadowmesh peers list` shows who is trusted")
        case NameTaken():
            return ControlError(ErrorCode.NAME_TAKEN, str(error), "choose another with --name")
        case _:
            return ControlError(ErrorCode.FAILED, str(error), "`shadowmesh peers list` shows who is trusted")


def _refusing(command: Callable[[], None]) -> None:
    try:
        command()
    except MeshError as error:
        raise refusal(error) from None


def _source(text: str) -> schema.SourceName:
    match text:
        case "cache":
            return "cache"
        case "backbone":
            return "backbone"
    return ""
