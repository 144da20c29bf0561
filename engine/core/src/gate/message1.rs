//! The layout of M1's datagrams. Spec: docs/spec/session.md, sections 2 and 4.1.

use subtle::ConstantTimeEq;

use crate::wireguard::Secret;
use crate::wireguard::blake::mac16;
use crate::wireguard::mac::MAC_BYTES;

const HEADER_BYTES: usize = 24;
const CID_AND_MESSAGE_ID: std::ops::Range<usize> = 4..20;
const DATAGRAM_BYTES: usize = 1_232;
const SESSION_TYPE: u8 = 0x40;
const VERSION: u8 = 1;
const MESSAGE: u8 = 1;
const FIRST_OF_TWO: u8 = 0x01;
const SECOND_OF_TWO: u8 = 0x11;
const LENGTH_AND_RESERVED: [u8; 4] = [0x09, 0x30, 0, 0]; // 2,352

/// What stands before the part of the message: all that is looked at here.
pub(super) struct Head<'a> {
    pub(super) header: &'a [u8],
    pub(super) mac1: &'a [u8],
    pub(super) mac2: &'a [u8],
    pub(super) macs: &'a [u8],
}

/// Whether a datagram says that it is of M1.
pub(super) fn is_message1(datagram: &[u8]) -> bool {
    matches!(datagram, [SESSION_TYPE, _, MESSAGE, ..])
}

impl<'a> Head<'a> {
    /// None for what no sender makes: every datagram of M1 is full.
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        if datagram.len() != DATAGRAM_BYTES {
            return None;
        }
        let (header, rest) = datagram.split_at(HEADER_BYTES);
        let (macs, _) = rest.split_at(2 * MAC_BYTES);
        let (mac1, mac2) = macs.split_at(MAC_BYTES);
        let is_layout = header[..3] == [SESSION_TYPE, VERSION, MESSAGE]
            && matches!(header[3], FIRST_OF_TWO | SECOND_OF_TWO)
            && header[20..] == LENGTH_AND_RESERVED;
        is_layout.then_some(Self { header, mac1, mac2, macs })
    }

    pub(super) fn is_first(&self) -> bool {
        self.header[3] == FIRST_OF_TWO
    }

    pub(super) fn has_mac1(&self, key: &Secret) -> bool {
        mac16(&key[..], &[self.header]).ct_eq(self.mac1).into()
    }

    pub(super) fn cid_and_message_id(&self) -> &[u8] {
        &self.header[CID_AND_MESSAGE_ID]
    }
}
