"""Every bound and timer of the handshake, with its reason. Spec: docs/spec/session.md, section 7."""

# Reassembly.
MAX_FRAGMENTS = 16  # four bits of the header
MAX_MESSAGE_BYTES = 16 * 1024  # the longest, M3 with a record of 8,192 bytes, has 12,906
REASSEMBLY_S = 5.0  # ten times the first retransmission: fragments of three flights can meet
MAX_UNVALIDATED_REASSEMBLIES = 64  # of M1, from anybody: at most 64 x 2 x 2,416 bytes
MAX_UNVALIDATED_A_PREFIX = 4  # a /24 or /48: a flood pushes out its own neighbours first
MAX_KNOWN_REASSEMBLIES = 256  # of M2 and M3 for connection ids that we gave out: at most 256 x 2 x 12.9 KB
MAX_KNOWN_A_SOURCE = 2  # for one connection id and address: M3 has two forms
MAX_VARIANTS = 2  # of one fragment: the genuine one and a forged one
MAX_COMBINATIONS = 64  # of variants, each tried with one SHA-256: all of an M2 of which every fragment has a forgery

# Repair of single fragments.
SILENCE_S = 0.02  # fragments of one flight arrive together; after this long one is lost
REPAIR_RETRY_S = 0.1  # doubled with each request that brings nothing: a round trip is longer than the silence
MAX_REPAIR_REQUESTS = 6  # a reassembly; then the retransmission of the whole flight must do
MAX_REPAIR_ANSWERS = 8  # a flight that we sent as initiator: who forges requests gets no stream of datagrams

# The initiator.
MAX_ENDPOINTS = 8  # of one attempt, as many as a call carries: 20 KB a flight
RETRANSMIT_S = 0.5
MAX_RETRANSMIT_S = 10.0
RETRANSMIT_JITTER = 0.2  # of the interval, added: two nodes that start at once drift apart
GIVE_UP_S = 30.0
# Both have begun, and ours goes on: how old our last M3 must be before the peer's is taken all the same. Ours has been
# answered by then if it was taken, as long as a datagram is under way for less than half of it.
YIELD_AFTER_S = 1.1
PAUSE_AFTER_INSISTING_S = 2.0  # longer than until the peer's third M3, which comes 1.5 to 1.8 s after its first
RETRANSMISSIONS_WITHOUT_RECORD = 2  # of M3; then the responder has probably lost our record

# The responder.
HALF_OPEN_S = GIVE_UP_S  # no longer than the initiator goes on
REFUSED_S = MAX_RETRANSMIT_S * (1 + RETRANSMIT_JITTER)  # who sent no M3 for longer waits for no answer
MAX_HALF_OPEN = 256  # 8 KB each, 21 KB with a refused M3; a quarter of the signatures that a core makes in a second
MAX_HALF_OPEN_A_PREFIX = 16  # a /24 or /48
MAX_UNPROVED_ADDRESSES = MAX_ENDPOINTS  # that one handshake, of either role, answers
AMPLIFICATION = 3  # bytes sent for each byte received before the address is proved (as RFC 9000 §8.1)
COMPLETED_S = 60.0  # M4 is repeated that long: twice what an initiator goes on for
MAX_COMPLETED = 256  # 0.3 KB each; more than a node has peers that connect within a minute
REPEAT_MESSAGE4_S = 0.2  # at most one a flight: retransmissions are 0.5 s apart
USED_S = 300.0  # a replayed M1 finds nobody that long
MAX_USED = 4096  # 40 bytes each; 13 new handshakes a second for five minutes

# Load and cookies. The bounds of rates, and the secrets behind cookies, are the engine's: engine/core/src/gate.
LOAD_HALF_OPEN = 64  # handshakes under way, a quarter of the table: from here on a new one must show its address
COOKIE_HELD_S = 120.0  # by the initiator: no longer than any secret is accepted
MAX_COOKIES = 1024  # held by an initiator, 16 bytes each: 128 attempts with eight endpoints
MAX_COOKIES_AN_ENDPOINT = 3  # taken in one attempt: more than secrets turn in 30 s; bounds what forged replies cost

# The PSK ratchet.
RATCHET_INTERVAL_S = 120.0  # of traffic: WireGuard's own interval between rekeys
RATCHET_RESEND_S = 1.0  # doubled: nothing waits for the new PSK
MAX_RATCHET_RESEND_S = 32.0  # 3.3 KB then, while there is traffic
RATCHET_REPEAT_S = 0.5  # at most one answer to repeated messages: less than the shortest interval between them
MAX_RATCHET_REASSEMBLIES = 4  # of one session: 13 KB at most, and only by who knows its cid

MAX_ALLOWED_PEERS = 4096  # the owner's trust list; each may have one attempt, of 30 KB
