"""Documents of the control API as text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from shadowmesh.control import schema

_MIN_TABLE_GAP = 2
_PATH_KINDS = {"LAN": "LAN", "direct IPv6": "direct", "direct IPv4": "direct", "through NAT": "NAT"}
_CIPHERS = {"chacha20poly1305": "ChaCha20", "aes256gcm": "AES-256"}


def identity(document: schema.IdentityDocument) -> str:
    names = document.identity
    lines = [
        ("fingerprint", names.fingerprint),
        ("PeerID", names.peer_id),
        ("address", names.address),
        ("key file", "sealed with a passphrase" if document.sealed else "not sealed"),
    ]
    head = "This node's new identity. Others trust it by its fingerprint." if document.created else ""
    return "\n".join([head, *pairs(lines)] if head else pairs(lines))


def status(document: schema.StatusDocument, *, now: float) -> str:
    """`now`: seconds since 1970."""
    engine = document.engine
    head = f"shadowmesh {document.version}, {document.mode}, up {duration(document.uptime_s)} (pid {document.pid})"
    facts = [
        ("fingerprint", document.identity.fingerprint),
        ("address", document.identity.address),
        ("region", document.region),
        ("backbone", _link(document.link, now)),
        ("engine", f"UDP port {engine.port}, " + (f"device {engine.tun}" if engine.tun else "no device")),
        ("reachable at", ", ".join(engine.addresses) or "-"),
        ("seen as", ", ".join(document.link.reflexive) or "-"),
    ]
    if engine.drops:
        facts.append(("dropped", ", ".join(f"{count} {reason}" for reason, count in sorted(engine.drops.items()))))
    return "\n".join([head, "", *pairs(facts), "", *_peers(document.peers)])


def trusted(entry: schema.Trusted) -> str:
    return f"{entry.name} {entry.fingerprint}".strip()


def trust_list(document: schema.TrustListDocument) -> str:
    if not document.trusted:
        return "No peer is trusted. Add one: shadowmesh peers trust FINGERPRINT --name NAME"
    rows = [[entry.name or "-", entry.address, entry.fingerprint] for entry in document.trusted]
    return "\n".join(table(["NAME", "ADDRESS", "FINGERPRINT"], rows))


def look_up(document: schema.LookupDocument) -> str:
    record = document.record
    facts = [
        ("PeerID", document.peer_id),
        ("address", document.address),
        ("found in", f"{document.source} in {milliseconds(document.took_s)}"),
        ("online", {True: "yes", False: "no", None: "not known"}[document.online]),
    ]
    if record is not None:
        facts += [
            ("mode", record.mode),
            ("region", record.region),
            ("can", ", ".join(record.capabilities) or "-"),
            ("reachable at", ", ".join(record.endpoints) or "addresses go to trusted peers only"),
            ("WireGuard", record.wireguard_key),
            ("record", f"number {record.sequence}, {record.size_bytes} bytes, id {record.record_id[:16]}"),
        ]
    return "\n".join(pairs(facts))


def ping(peer: str, document: schema.PingDocument) -> str:
    if document.rtt_s is None:
        return f"no answer from {peer}" + (f" by {document.path}" if document.path else "")
    line = f"pong from {peer} by {document.path}: {milliseconds(document.rtt_s)}"
    if document.connected_in_s is not None:
        line += f" (connected in {milliseconds(document.connected_in_s)})"
    return line


def pings(document: schema.PingsDocument) -> str:
    times = [ping.rtt_s for ping in document.pings if ping.rtt_s is not None]
    line = f"{document.sent} sent, {document.received} received"
    if times:
        low, mean, high = min(times), sum(times) / len(times), max(times)
        line += f"; least {milliseconds(low)}, mean {milliseconds(mean)}, most {milliseconds(high)}"
    return line


class _LogLine(msgspec.Struct):
    message: str
    at: str = ""
    level: str = ""
    exc_info: str = ""


def log_line(line: bytes) -> str:
    """A line that is not ours, from a crash, is shown as it is."""
    try:
        entry = msgspec.json.decode(line, type=_LogLine)
    except schema.NOT_UNDERSTOOD:
        return line.decode("utf-8", "replace").rstrip("\n")
    text = f"{entry.at[:19].replace('T', ' ')} {entry.level:<7} {entry.message}"
    return f"{text}\n{entry.exc_info}" if entry.exc_info else text


def duration(seconds: float) -> str:
    """In its two largest units: `2 h 13 min`."""
    whole = int(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, length), (next_name, next_length) in pairwise(units):
        if whole >= length:
            rest = whole % length // next_length
            return f"{whole // length} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{whole} s"


def milliseconds(seconds: float) -> str:
    value = seconds * 1000
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def byte_count(count: int) -> str:
    """In powers of 1,000, as network interfaces are sold."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


def _link(link: schema.Link, now: float) -> str:
    text = f"{link.state} for {duration(link.since_s)}"
    if link.url:
        text += f", {link.url}"
    if link.token_expires_at is not None and link.state == "online":
        text += f", token good for {duration(max(0.0, link.token_expires_at - now))}"
    return text + (f" ({link.reason})" if link.reason else "")


def _peers(peers: Sequence[schema.Peer]) -> list[str]:
    if not peers:
        return ["No peer is trusted. Add one: shadowmesh peers trust FINGERPRINT --name NAME"]
    return table(
        ["PEER", "ADDRESS", "STATE", "PATH", "PROBE", "RECEIVED", "SENT", "HANDSHAKE", "CIPHER"],
        [_peer(peer) for peer in peers],
    )


def _path(peer: schema.Peer) -> str:
    if peer.path is None:
        return "-"
    words = [peer.path, _PATH_KINDS.get(peer.path_kind or "", ""), "in fragments" if peer.path_narrow else ""]
    return " ".join(filter(None, words))


def _peer(peer: schema.Peer) -> list[str]:
    probe = "-"
    if peer.rtt_s is not None and peer.probe_age_s is not None:
        probe = f"{milliseconds(peer.rtt_s)}, {duration(peer.probe_age_s)} ago"
    return [
        peer.name or f"{peer.peer_id[:12]}…",
        peer.address,
        peer.state + (f" ({peer.reason})" if peer.reason else ""),
        _path(peer),
        probe,
        byte_count(peer.rx_bytes),
        byte_count(peer.tx_bytes),
        "-" if peer.handshake_age_s is None else f"{duration(peer.handshake_age_s)} ago",
        "-" if peer.cipher is None else _CIPHERS[peer.cipher],
    ]


def pairs(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in facts) + _MIN_TABLE_GAP
    return [f"{name:<{width}}{value}" for name, value in facts]


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) + _MIN_TABLE_GAP for column in range(len(head))]
    lines = ("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in [head, *rows])
    return [line.rstrip() for line in lines]
