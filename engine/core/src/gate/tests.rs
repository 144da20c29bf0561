use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use zeroize::Zeroizing;

use super::*;
use crate::wireguard::blake::mac16;

const MAC1_KEY: [u8; 32] = [1; 32];
const COOKIE_KEY: [u8; 32] = [2; 32];
const OPEN: Id = *b"expected";

fn secret(bytes: [u8; 32]) -> Secret {
    Zeroizing::new(bytes)
}

fn guarded(now: Instant) -> Gate {
    let mut gate = Gate::new(now);
    gate.guard(secret(MAC1_KEY), &secret(COOKIE_KEY), secret([3; 32]), now);
    gate.open_id(OPEN);
    gate
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn stranger() -> SocketAddr {
    address("192.0.2.1:7")
}

fn judge(gate: &mut Gate, datagram: &[u8], now: Instant) -> Verdict {
    gate.judge(crate::first_byte::kind(datagram), datagram, stranger(), || false, now)
}

/// One of the two datagrams of an M1.
fn message1(cid: u64, index: u8, cookie: Option<&[u8]>) -> Vec<u8> {
    let mut datagram = vec![0x40, 1, 1, index << 4 | 1];
    datagram.extend(cid.to_be_bytes());
    datagram.extend(*b"messagid");
    datagram.extend([0x09, 0x30, 0, 0]);
    let mac1 = mac16(&MAC1_KEY, &[&datagram]);
    let mac2 = cookie.map_or([0; 16], |cookie| mac16(cookie, &[&datagram, &mac1]));
    datagram.extend(mac1);
    datagram.extend(mac2);
    datagram.resize(1_232, 0);
    datagram
}

fn opened(reply: &[u8; COOKIE_REPLY_BYTES], datagram: &[u8]) -> Vec<u8> {
    let bound = [&reply[..20], &datagram[24..56]].concat();
    let key = ring::aead::UnboundKey::new(&ring::aead::AES_256_GCM, &COOKIE_KEY).unwrap();
    let nonce = ring::aead::Nonce::try_assume_unique_for_key(&reply[20..32]).unwrap();
    let mut sealed = reply[32..].to_vec();
    let key = ring::aead::LessSafeKey::new(key);
    key.open_in_place(nonce, ring::aead::Aad::from(bound), &mut sealed).unwrap().to_vec()
}

/// Makes the gate ask for cookies.
fn flood(gate: &mut Gate, now: Instant) {
    for number in 0..=LOAD_PER_SECOND as u64 {
        judge(gate, &message1(number, 1, None), now);
    }
}

fn cookie_for(gate: &mut Gate, source: SocketAddr, now: Instant) -> Vec<u8> {
    let first = message1(1, 0, None);
    match gate.judge(Kind::Control, &first, source, || false, now) {
        Verdict::Reply(reply) => opened(&reply, &first),
        other => panic!("{other:?}"),
    }
}

#[test]
fn before_it_is_guarded_all_is_handed_up() {
    let now = Instant::now();
    let mut gate = Gate::new(now);
    assert_eq!(judge(&mut gate, &[0x40; 30], now), Verdict::HandUp);
    assert_eq!(judge(&mut gate, &message1(1, 0, None), now), Verdict::HandUp);
}

#[test]
fn only_datagrams_with_an_id_that_is_open_are_handed_up() {
    let now = Instant::now();
    let mut gate = guarded(now);
    for first_byte in [0x40, 0x41, 0x42, 0x44, 0x45, 0x46, 0x47, 0xff] {
        let mut datagram = [first_byte, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let unknown = Verdict::Drop(DropReason::ControlUnknownId);
        assert_eq!(judge(&mut gate, &datagram, now), unknown, "{first_byte:#x}");
        datagram[4..12].copy_from_slice(&OPEN);
        assert_eq!(judge(&mut gate, &datagram, now), Verdict::HandUp, "{first_byte:#x}");
        assert_eq!(judge(&mut gate, &datagram[..11], now), unknown, "cut short");
    }
    gate.close_id(OPEN);
    let closed = [&[0x44, 1, 0, 0][..], &OPEN].concat();
    assert_eq!(judge(&mut gate, &closed, now), Verdict::Drop(DropReason::ControlUnknownId));
}

#[test]
fn the_id_of_an_answer_by_stun_is_the_begin_of_its_transaction_id() {
    let now = Instant::now();
    let mut gate = guarded(now);
    let answer = |id: &[u8]| [&[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], id, &[0; 4]].concat();
    assert_eq!(judge(&mut gate, &answer(&OPEN), now), Verdict::HandUp);
    assert_eq!(judge(&mut gate, &answer(b"imagined"), now), Verdict::Drop(DropReason::ControlUnknownId));
}

#[test]
fn who_has_seen_an_id_on_the_way_is_limited_unless_he_is_where_a_peer_is() {
    let now = Instant::now();
    let mut gate = guarded(now);
    let datagram = [&[0x44, 1, 0, 0][..], &OPEN].concat();
    let passed = (0..1_000).filter(|_| judge(&mut gate, &datagram, now) == Verdict::HandUp).count();
    assert_eq!(passed, CONTROL_OF_NETWORK.burst as usize);
    assert_eq!(judge(&mut gate, &datagram, now), Verdict::Drop(DropReason::ControlRate));
    assert_eq!(gate.judge(Kind::Control, &datagram, stranger(), || true, now), Verdict::HandUp);
}

#[test]
fn message_1_needs_no_id_but_a_mac1_over_the_whole_header() {
    let now = Instant::now();
    let mut gate = guarded(now);
    let good = message1(1, 0, None);
    assert_eq!(judge(&mut gate, &good, now), Verdict::HandUp);
    for at in 4..20 {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert_eq!(judge(&mut gate, &changed, now), Verdict::Drop(DropReason::ControlMac), "byte {at}");
    }
    let mut other_half = good.clone();
    other_half[3] = 0x11;
    assert_eq!(judge(&mut gate, &other_half, now), Verdict::Drop(DropReason::ControlMac));
}

#[test]
fn a_message_1_that_nobody_sends_is_refused_before_its_mac1() {
    let now = Instant::now();
    let mut gate = guarded(now);
    let malformed = Verdict::Drop(DropReason::ControlMalformed);
    for (at, value) in [(1, 2), (3, 0x00), (3, 0x21), (3, 0x02), (20, 8), (21, 0x31), (22, 1), (23, 1)] {
        let mut datagram = message1(1, 0, None);
        datagram[at] = value;
        let mac1 = mac16(&MAC1_KEY, &[&datagram[..24]]);
        datagram[24..40].copy_from_slice(&mac1);
        assert_eq!(judge(&mut gate, &datagram, now), malformed, "byte {at}: {value:#x}");
    }
    let good = message1(1, 0, None);
    assert_eq!(judge(&mut gate, &good[..1_231], now), malformed);
    assert_eq!(judge(&mut gate, &[&good[..], &[0]].concat(), now), malformed);
}

#[test]
fn under_load_the_first_datagram_is_answered_with_a_cookie_which_opens_the_gate_there_and_nowhere_else() {
    let now = Instant::now();
    let mut gate = guarded(now);
    flood(&mut gate, now);
    let no_cookie = Verdict::Drop(DropReason::ControlCookie);
    assert_eq!(judge(&mut gate, &message1(1, 1, None), now), no_cookie, "one reply an M1");
    let cookie = cookie_for(&mut gate, stranger(), now);
    for index in [0, 1] {
        let shown = message1(2, index, Some(&cookie));
        assert_eq!(judge(&mut gate, &shown, now), Verdict::HandUp);
        for other in ["192.0.2.1:8", "192.0.2.2:7", "[2001:db8::1]:7"] {
            let verdict = gate.judge(Kind::Control, &shown, address(other), || false, now);
            assert_ne!(verdict, Verdict::HandUp, "{other}");
        }
        let mapped = address("[::ffff:192.0.2.1]:7");
        assert_eq!(gate.judge(Kind::Control, &shown, mapped, || false, now), Verdict::HandUp);
    }
}

#[test]
fn load_ends_a_second_after_the_flood() {
    let mut now = Instant::now();
    let mut gate = guarded(now);
    for number in 0..5_000 {
        now += Duration::from_millis(1);
        let verdict = judge(&mut gate, &message1(number, 1, None), now);
        if number > 200 {
            assert_eq!(verdict, Verdict::Drop(DropReason::ControlCookie));
        }
    }
    assert_eq!(judge(&mut gate, &message1(1, 1, None), now + Duration::from_secs(2)), Verdict::HandUp);
}

#[test]
fn a_hundred_datagrams_a_second_are_no_load() {
    let mut now = Instant::now();
    let mut gate = guarded(now);
    for number in 0..2_000 {
        now += Duration::from_millis(10);
        assert_eq!(judge(&mut gate, &message1(number, 1, None), now), Verdict::HandUp);
    }
}

#[test]
fn cookies_are_demanded_of_everybody_while_python_wants_them() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let cookie = cookie_for(&mut gate, stranger(), now);
    assert_eq!(judge(&mut gate, &message1(1, 1, Some(&cookie)), now), Verdict::HandUp);
    assert_ne!(judge(&mut gate, &message1(1, 1, None), now), Verdict::HandUp);
    gate.demand_cookies(false);
    assert_eq!(judge(&mut gate, &message1(1, 1, None), now), Verdict::HandUp);
}

#[test]
fn a_cookie_is_good_for_two_to_four_minutes() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let shown = message1(1, 1, Some(&cookie_for(&mut gate, stranger(), now)));
    for (after_s, is_good) in [(119, true), (121, true), (239, true), (241, false)] {
        let verdict = judge(&mut gate, &shown, now + Duration::from_secs(after_s));
        assert_eq!(verdict == Verdict::HandUp, is_good, "after {after_s} s");
    }
    let later = now + Duration::from_secs(3_600);
    let shown = message1(1, 1, Some(&cookie_for(&mut gate, stranger(), later)));
    assert_eq!(judge(&mut gate, &shown, later + Duration::from_secs(100)), Verdict::HandUp);
    let much_later = later + Duration::from_secs(1_000);
    assert_ne!(judge(&mut gate, &shown, much_later), Verdict::HandUp, "the secret before is too old as well");
}

#[test]
fn one_network_that_shows_cookies_has_eight_datagrams_a_second() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let shown = message1(1, 1, Some(&cookie_for(&mut gate, stranger(), now)));
    let mut passed = |at| (0..100).filter(|_| judge(&mut gate, &shown, at) == Verdict::HandUp).count();
    assert_eq!(passed(now), 16);
    assert_eq!(passed(now + Duration::from_secs(1)), 8);
}

#[test]
fn all_networks_that_show_cookies_are_bounded_together() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let mut passed = 0;
    for network in 0..=255 {
        let source = SocketAddr::from(([203, 0, network, 1], 7));
        let shown = message1(1, 1, Some(&cookie_for(&mut gate, source, now)));
        passed += usize::from(gate.judge(Kind::Control, &shown, source, || false, now) == Verdict::HandUp);
    }
    assert_eq!(passed, PROVED_OF_ALL.burst as usize);
}

#[test]
fn replies_to_one_network_are_bounded_and_leave_those_to_others() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let first = message1(1, 0, None);
    let replies = (0..5_000).filter(|_| matches!(judge(&mut gate, &first, now), Verdict::Reply(_))).count();
    assert_eq!(replies, REPLIES_TO_NETWORK.burst as usize);
    cookie_for(&mut gate, address("198.51.100.1:7"), now);
}

#[test]
fn no_two_replies_have_one_nonce() {
    let now = Instant::now();
    let mut gate = guarded(now);
    gate.demand_cookies(true);
    let first = message1(1, 0, None);
    let mut nonces = HashSet::new();
    while let Verdict::Reply(reply) = judge(&mut gate, &first, now) {
        assert!(nonces.insert(reply[20..32].to_vec()));
    }
    assert_eq!(nonces.len(), REPLIES_TO_NETWORK.burst as usize);
}

#[test]
fn macs_and_reply_are_those_of_the_vectors() {
    let text = include_str!("../../../../docs/spec/vectors/session.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let bytes = |section: &str, name: &str| {
        let hex = vectors[section][name].as_str().unwrap();
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect::<Vec<_>>()
    };
    let key = |name| secret(bytes("message1", name).try_into().unwrap());
    for datagram in vectors["message1"]["datagrams"].as_array().unwrap() {
        let hex = datagram.as_str().unwrap();
        let datagram: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert!(Head::parse(&datagram).unwrap().has_mac1(&key("mac1_key")));
    }
    let (cookie, mac2) = (bytes("cookie_reply", "cookie"), bytes("cookie_reply", "mac2"));
    let header_and_mac1 = bytes("cookie_reply", "header_and_mac1");
    assert_eq!(mac16(&cookie, &[&header_and_mac1]).to_vec(), mac2);
    let reply = bytes("cookie_reply", "datagram");
    let mut first = bytes("cookie_reply", "answered");
    first.resize(1_232, 0);
    let head = Head::parse(&first).unwrap();
    let nonce = bytes("cookie_reply", "nonce").try_into().unwrap();
    let sealed = cookies::sealed_reply(
        &cookies::sealing(&key("cookie_key")),
        &head,
        nonce,
        cookie.try_into().unwrap(),
    );
    assert_eq!(sealed.to_vec(), reply);
}

proptest! {
    #[test]
    fn whatever_comes_is_judged_and_passes_only_with_an_open_id(datagram in prop::collection::vec(any::<u8>(), 0..1_400)) {
        let now = Instant::now();
        let mut gate = guarded(now);
        let verdict = judge(&mut gate, &datagram, now);
        prop_assert!(verdict != Verdict::HandUp || datagram.windows(ID_BYTES).any(|window| window == OPEN));
    }

    #[test]
    fn a_message_1_of_chance_is_never_answered(body in prop::collection::vec(any::<u8>(), 1_229), index in 0..2_u8) {
        let now = Instant::now();
        let mut gate = guarded(now);
        gate.demand_cookies(true);
        let mut datagram = vec![0x40, 1, 1];
        datagram.extend(body);
        datagram[3] = index << 4 | 1;
        datagram[20..24].copy_from_slice(&[0x09, 0x30, 0, 0]);
        prop_assert_eq!(judge(&mut gate, &datagram, now), Verdict::Drop(DropReason::ControlMac));
    }
}
