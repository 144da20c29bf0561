use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use shadowmesh_core::first_byte::{Kind, kind};
use shadowmesh_core::gate::{Gate, Id, Verdict};
use shadowmesh_core::wireguard::Secret;

use crate::input::Input;

const MAC1_KEY: [u8; 32] = [1; 32];
const DATAGRAM_BYTES: usize = 1_232;

/// Nothing is handed up without an open id or a mac1, and nothing is answered but the first half of an M1 that has one.
pub fn gate(data: &[u8]) {
    let mut input = Input::new(data);
    let mut now = Instant::now();
    let mut gate = Gate::new(now);
    gate.guard(Secret::new(MAC1_KEY), &Secret::new([2; 32]), Secret::new([3; 32]), now);
    let mut open = BTreeSet::new();
    while !input.is_empty() {
        match input.below(8) {
            0 => {
                let id = id(&mut input);
                gate.open_id(id);
                open.insert(id);
            }
            1 => {
                let id = id(&mut input);
                gate.close_id(id);
                open.remove(&id);
            }
            2 => gate.demand_cookies(input.flag()),
            3 => now += Duration::from_millis(input.word().into()),
            4 => {
                let length = input.below(80);
                let datagram = input.bytes(length).to_vec();
                judge(&mut gate, &datagram, &open, &mut input, now);
            }
            _ => {
                let datagram = message1(&mut input);
                judge(&mut gate, &datagram, &open, &mut input, now);
            }
        }
    }
}

fn judge(gate: &mut Gate, datagram: &[u8], open: &BTreeSet<Id>, input: &mut Input<'_>, now: Instant) {
    let source = SocketAddr::from(([192, 0, 2, input.byte()], 7));
    let is_of_peer = input.flag();
    let kind = kind(datagram);
    let is_message1 = matches!(datagram, [0x40, _, 1, ..]);
    let is_good_message1 = is_message1
        && datagram.len() == DATAGRAM_BYTES
        && datagram[24..40] == mac1(&datagram[..24])
        && datagram[20..24] == [0x09, 0x30, 0, 0];
    let at = if kind == Kind::Stun { 8 } else { 4 };
    let id = datagram.get(at..).and_then(<[u8]>::first_chunk::<8>);
    let is_expected = !is_message1 && id.is_some_and(|id| open.contains(id));
    match gate.judge(kind, datagram, source, || is_of_peer, now) {
        Verdict::HandUp => assert!(is_good_message1 || is_expected),
        Verdict::Reply(reply) => {
            assert!(is_good_message1 && datagram[3] == 1);
            assert_eq!(reply[4..20], datagram[4..20]);
        }
        Verdict::Drop(_) => assert!(!(is_expected && is_of_peer)),
    }
}

/// A right one, of which something may be changed afterwards.
fn message1(input: &mut Input<'_>) -> Vec<u8> {
    let mut datagram = vec![0x40, 1, 1, input.pick(&[0x01, 0x11])];
    datagram.extend([input.byte(); 16]);
    datagram.extend([0x09, 0x30, 0, 0]);
    datagram.extend(mac1(&datagram));
    datagram.resize(DATAGRAM_BYTES, 0);
    if input.flag() {
        let at = input.below(60);
        datagram[at] = input.byte();
    }
    datagram.truncate(DATAGRAM_BYTES - input.below(2) * usize::from(input.flag()));
    datagram
}

/// Few different ones.
fn id(input: &mut Input<'_>) -> Id {
    [input.byte() % 4; 8]
}

fn mac1(header: &[u8]) -> [u8; 16] {
    let mut mac = Blake2sMac::<U16>::new_from_slice(&MAC1_KEY).expect("32 bytes");
    mac.update(header);
    mac.finalize_fixed().into()
}
