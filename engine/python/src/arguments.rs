//! Python values as the engine's types; ValueError with one clear line where they are not.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use pyo3::PyResult;
use pyo3::exceptions::PyValueError;
use shadowmesh_core::allowed_ips::Prefix;
use shadowmesh_core::gate::{ID_BYTES, Id};
use shadowmesh_core::wireguard::{Cipher, PublicKey, Secret};
use shadowmesh_io::Offloads;
use zeroize::Zeroizing;

pub(crate) type Address = (String, u16);

fn invalid<T>(message: String) -> PyResult<T> {
    Err(PyValueError::new_err(message))
}

pub(crate) fn public_key(bytes: &[u8]) -> PyResult<PublicKey> {
    bytes
        .try_into()
        .map(PublicKey)
        .or_else(|_| invalid(format!("public_key: {} bytes, want 32", bytes.len())))
}

pub(crate) fn secret(name: &str, bytes: &[u8]) -> PyResult<Secret> {
    if bytes.len() != 32 {
        return invalid(format!("{name}: {} bytes, want 32", bytes.len()));
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return invalid(format!("{name}: all zero"));
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(bytes);
    Ok(secret)
}

pub(crate) fn control_id(bytes: &[u8]) -> PyResult<Id> {
    bytes.try_into().or_else(|_| invalid(format!("id: {} bytes, want {ID_BYTES}", bytes.len())))
}

pub(crate) fn cipher(name: &str) -> PyResult<Cipher> {
    match name {
        "chacha20poly1305" => Ok(Cipher::ChaCha20Poly1305),
        "aes256gcm" => Ok(Cipher::Aes256Gcm),
        _ => invalid(format!("cipher: {name:?}, want chacha20poly1305 or aes256gcm")),
    }
}

/// All of them but those.
pub(crate) fn offloads(without: &[String]) -> PyResult<Offloads> {
    without.iter().try_fold(Offloads::ALL, |left, name| {
        left.without(name).map_or_else(
            || invalid(format!("without: {name:?}, want any of {}", Offloads::NAMES.join(", "))),
            Ok,
        )
    })
}

/// A link-local address carries its interface's number: `fe80::1%3`.
pub(crate) fn endpoint((host, port): &(String, u16)) -> PyResult<SocketAddr> {
    let (address, scope) = match host.split_once('%') {
        Some((address, scope)) => (address, scope.parse().ok()),
        None => (host.as_str(), Some(0)),
    };
    let refused = || invalid(format!("no IP address and port: {host:?}, {port}"));
    let (Ok(ip), Some(scope)) = (address.parse::<IpAddr>(), scope) else {
        return refused();
    };
    if *port == 0 {
        return refused();
    }
    Ok(match ip.to_canonical() {
        IpAddr::V6(v6) => SocketAddrV6::new(v6, *port, 0, scope).into(),
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), *port),
    })
}

pub(crate) fn address(endpoint: SocketAddr) -> Address {
    let host = match endpoint {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => endpoint.ip().to_string(),
    };
    (host, endpoint.port())
}

pub(crate) fn prefixes(texts: &[String]) -> PyResult<Vec<Prefix>> {
    let parse = |text: &String| text.parse().or_else(|()| invalid(format!("no address prefix: {text:?}")));
    texts.iter().map(parse).collect()
}

/// An address of this host with the length of its network.
pub(crate) fn interface_address(text: &str) -> PyResult<(IpAddr, u8)> {
    let parsed = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        let length = length.parse().ok()?;
        Prefix::new(address, length).map(|_| (address, length))
    });
    parsed.map_or_else(|| invalid(format!("no address with prefix length: {text:?}")), Ok)
}
