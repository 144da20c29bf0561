//! The four messages (the paper, section 5.4): each begins with its type and three zero bytes.

use super::noise::{MESSAGE1_BYTES, MESSAGE2_BYTES};
use super::{HEADER_BYTES, Index, TAG_BYTES};

const INITIATION: u32 = 1;
const RESPONSE: u32 = 2;
const COOKIE: u32 = 3;
const DATA: u32 = 4;

const MACS_BYTES: usize = 32;
const INITIATION_BYTES: usize = 4 + 4 + MESSAGE1_BYTES + MACS_BYTES;
const RESPONSE_BYTES: usize = 4 + 8 + MESSAGE2_BYTES + MACS_BYTES;
const COOKIE_BYTES: usize = 4 + 4 + 24 + 32;

#[derive(Debug)]
pub(super) enum Message<'a> {
    Initiation { sender: Index, noise: &'a [u8; MESSAGE1_BYTES] },
    Response { sender: Index, receiver: Index, noise: &'a [u8; MESSAGE2_BYTES] },
    Cookie { receiver: Index, nonce: &'a [u8; 24], sealed: &'a [u8; 32] },
    Data { receiver: Index, counter: u64 },
}

impl<'a> Message<'a> {
    pub(super) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (kind, rest) = datagram.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let index = Index(u32::from_le_bytes(*index));
        match (u32::from_le_bytes(*kind), datagram.len()) {
            (INITIATION, INITIATION_BYTES) => {
                Some(Self::Initiation { sender: index, noise: rest.first_chunk()? })
            }
            (RESPONSE, RESPONSE_BYTES) => {
                let (receiver, rest) = rest.split_first_chunk()?;
                let receiver = Index(u32::from_le_bytes(*receiver));
                Some(Self::Response { sender: index, receiver, noise: rest.first_chunk()? })
            }
            (COOKIE, COOKIE_BYTES) => {
                let (nonce, rest) = rest.split_first_chunk()?;
                Some(Self::Cookie { receiver: index, nonce, sealed: rest.first_chunk()? })
            }
            (DATA, length) if length >= HEADER_BYTES + TAG_BYTES => {
                Some(Self::Data { receiver: index, counter: u64::from_le_bytes(*rest.first_chunk()?) })
            }
            _ => None,
        }
    }
}

/// Without its MACs, for which there is room at the end.
pub(super) fn initiation(sender: Index, noise: &[u8; MESSAGE1_BYTES]) -> Vec<u8> {
    let zero_macs = [0; MACS_BYTES];
    [&INITIATION.to_le_bytes()[..], &sender.0.to_le_bytes(), noise, &zero_macs].concat()
}

/// Without its MACs, for which there is room at the end.
pub(super) fn response(sender: Index, receiver: Index, noise: &[u8; MESSAGE2_BYTES]) -> Vec<u8> {
    let (sender, receiver) = (sender.0.to_le_bytes(), receiver.0.to_le_bytes());
    [&RESPONSE.to_le_bytes()[..], &sender, &receiver, noise, &[0; MACS_BYTES]].concat()
}

pub(super) fn cookie(receiver: Index, nonce: &[u8; 24], sealed: &[u8; 32]) -> Vec<u8> {
    [&COOKIE.to_le_bytes()[..], &receiver.0.to_le_bytes(), nonce, sealed].concat()
}

pub(super) fn data_header(receiver: Index, counter: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&DATA.to_le_bytes());
    header[4..8].copy_from_slice(&receiver.0.to_le_bytes());
    header[8..].copy_from_slice(&counter.to_le_bytes());
    header
}
