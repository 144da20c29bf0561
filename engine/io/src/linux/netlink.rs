//! Settings of an interface by rtnetlink (RFC 3549): unlike the ioctls it takes any number of addresses, and lets
//! the owner of a user namespace set the queue length.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use super::{check, owned};

const NLMSG_HEADER_BYTES: usize = 16;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFLA_TXQLEN: u16 = 13;
/// No duplicate address detection: nobody on a TUN device answers, and the address must work at once.
const IFA_F_NODAD: u8 = 0x02;

pub(super) fn add_address(interface_index: u32, address: IpAddr, prefix_length: u8) -> io::Result<()> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let mut body = vec![family as u8, prefix_length, IFA_F_NODAD, 0];
    body.extend_from_slice(&interface_index.to_ne_bytes());
    let attributes = [(IFA_LOCAL, octets.as_slice()), (IFA_ADDRESS, octets.as_slice())];
    transact(&encode(libc::RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &body, &attributes))
}

pub(super) fn set_queue_length(interface_index: u32, packets: u32) -> io::Result<()> {
    // struct ifinfomsg: family and padding, type, index, flags, change mask.
    let mut body = vec![libc::AF_UNSPEC as u8, 0, 0, 0];
    body.extend_from_slice(&interface_index.to_ne_bytes());
    body.extend_from_slice(&[0; 8]);
    transact(&encode(libc::RTM_NEWLINK, 0, &body, &[(IFLA_TXQLEN, &packets.to_ne_bytes())]))
}

fn transact(request: &[u8]) -> io::Result<()> {
    // SAFETY: takes no pointers; the descriptor it returns is ours alone.
    let fd =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    let socket = owned(fd)?;
    // SAFETY: the buffer is valid for its length. Without an address it goes to the kernel.
    let sent = unsafe { libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut answer = [0u8; 1024];
    // SAFETY: the buffer is valid for its length.
    let received = unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
    check(received as libc::c_int)?;
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    let code = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if kind != NLMSG_ERROR {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) }
}

/// Body and attributes are multiples of four bytes, so nothing needs padding.
fn encode(kind: u16, flags: u16, body: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let attribute_bytes: usize =
        attributes.iter().map(|(_, value)| ATTRIBUTE_HEADER_BYTES + value.len()).sum();
    let total_bytes = NLMSG_HEADER_BYTES + body.len() + attribute_bytes;
    let mut request = Vec::with_capacity(total_bytes);
    request.extend_from_slice(&(total_bytes as u32).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    // Sequence and sender: one request on a socket of its own needs neither.
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(body);
    for (kind, value) in attributes {
        request.extend_from_slice(&((ATTRIBUTE_HEADER_BYTES + value.len()) as u16).to_ne_bytes());
        request.extend_from_slice(&kind.to_ne_bytes());
        request.extend_from_slice(value);
    }
    request
}
