//! Gives an interface an address (rtnetlink, RFC 3549): unlike the ioctl it takes any number of them.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use super::{check, owned};

const NLMSG_HEADER_BYTES: usize = 16;
const IFADDRMSG_BYTES: usize = 8;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_REPLACE: u16 = 0x100;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// No duplicate address detection: nobody on a TUN device answers, and the address must work at once.
const IFA_F_NODAD: u8 = 0x02;

pub(super) fn add_address(interface_index: u32, address: IpAddr, prefix_length: u8) -> io::Result<()> {
    // SAFETY: takes no pointers; the descriptor it returns is ours alone.
    let fd =
        unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE) };
    let socket = owned(fd)?;
    let request = encode(interface_index, address, prefix_length);
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

fn encode(interface_index: u32, address: IpAddr, prefix_length: u8) -> Vec<u8> {
    let (family, octets) = match address {
        IpAddr::V4(v4) => (libc::AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (libc::AF_INET6, v6.octets().to_vec()),
    };
    let attribute_bytes = 4 + octets.len();
    let total_bytes = NLMSG_HEADER_BYTES + IFADDRMSG_BYTES + 2 * attribute_bytes;
    let mut request = Vec::with_capacity(total_bytes);
    request.extend_from_slice(&(total_bytes as u32).to_ne_bytes());
    request.extend_from_slice(&libc::RTM_NEWADDR.to_ne_bytes());
    let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
    request.extend_from_slice(&flags.to_ne_bytes());
    // Sequence and sender: one request on a socket of its own needs neither.
    request.extend_from_slice(&[0; 8]);
    request.extend_from_slice(&[family as u8, prefix_length, IFA_F_NODAD, 0]);
    request.extend_from_slice(&interface_index.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        request.extend_from_slice(&(attribute_bytes as u16).to_ne_bytes());
        request.extend_from_slice(&kind.to_ne_bytes());
        request.extend_from_slice(&octets);
    }
    request
}
