//! BLAKE2s as WireGuard uses it besides the handshake.

use blake2::digest::consts::{U16, U32};
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Digest};

use super::Secret;

pub(super) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Blake2s256::new();
    for part in parts {
        Digest::update(&mut hash, part);
    }
    hash.finalize().into()
}

/// `key`: 1 to 32 bytes.
pub(crate) fn mac16(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    mac::<Blake2sMac<U16>>(key, parts).finalize_fixed().into()
}

/// `key`: 1 to 32 bytes.
pub(super) fn mac32(key: &[u8], parts: &[&[u8]]) -> Secret {
    Secret::new(mac::<Blake2sMac<U32>>(key, parts).finalize_fixed().into())
}

fn mac<M: KeyInit + Update>(key: &[u8], parts: &[&[u8]]) -> M {
    let mut mac = M::new_from_slice(key).expect("BLAKE2s takes keys of up to 32 bytes");
    for part in parts {
        mac.update(part);
    }
    mac
}
