//! Control messages (cmsg(3)): what a send or a receive says beside the datagram.

use std::ptr;

/// Room for two control messages of an integer.
const CONTROL_BYTES: usize = 64;

/// To be kept where it is while the message header that points to it is in use.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(super) struct Control([u8; CONTROL_BYTES]);

/// What the kernel tells of a received message.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// The size of each datagram but the last, when there are several in the message.
    pub(super) segment_bytes: Option<usize>,
    /// Of the outer IP header.
    pub(super) traffic_class: u8,
}

impl Control {
    pub(super) const EMPTY: Self = Self([0; CONTROL_BYTES]);

    /// Lets the kernel write into it.
    pub(super) fn attach(&mut self, header: &mut libc::msghdr) {
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_BYTES as _;
    }

    /// Adds a control message to `header`, which has none or some from here. Once more than there is room for is
    /// a mistake of the caller, and is left out.
    pub(super) fn push<T: Copy>(
        &mut self,
        header: &mut libc::msghdr,
        level: libc::c_int,
        kind: libc::c_int,
        value: T,
    ) {
        let used: usize = header.msg_controllen as _;
        let bytes = size_of::<T>() as u32;
        // SAFETY: only computes sizes.
        let (space, length) = unsafe { (libc::CMSG_SPACE(bytes) as usize, libc::CMSG_LEN(bytes)) };
        let Some(room) = self.0.get_mut(used..used + space) else {
            return;
        };
        let control = room.as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: the room has CMSG_SPACE bytes, for the header and the value behind it. It is aligned: the buffer
        // is, and so is every CMSG_SPACE.
        unsafe {
            (*control).cmsg_level = level;
            (*control).cmsg_type = kind;
            (*control).cmsg_len = length as _;
            libc::CMSG_DATA(control).cast::<T>().write_unaligned(value);
        }
        header.msg_control = self.0.as_mut_ptr().cast();
        header.msg_controllen = (used + space) as _;
    }
}

/// `header` is as `recvmmsg` has left it, with the buffer of a [`Control`] that is still there.
pub(super) fn told(header: &libc::msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: the kernel has filled in the control buffer and its length; the macros stay inside it. Each kind has at
    // least the bytes that are read: IP_TOS is a byte, the others are integers.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(message) = ptr::NonNull::new(control) {
            let data = libc::CMSG_DATA(control);
            match (message.as_ref().cmsg_level, message.as_ref().cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.cast::<libc::c_int>().read_unaligned();
                    told.segment_bytes = usize::try_from(size).ok().filter(|size| *size > 0);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => told.traffic_class = data.read(),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    told.traffic_class = data.cast::<libc::c_int>().read_unaligned() as u8;
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> libc::msghdr {
        // SAFETY: a msghdr is plain integers and pointers, for which zero is valid.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn what_is_pushed_is_told() {
        let (mut control, mut header) = (Control::EMPTY, empty());
        assert_eq!(told(&header), Told::default());
        control.push(&mut header, libc::SOL_UDP, libc::UDP_GRO, 1312 as libc::c_int);
        assert_eq!(told(&header), Told { segment_bytes: Some(1312), traffic_class: 0 });
        control.push(&mut header, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, 0xb9 as libc::c_int);
        assert_eq!(told(&header), Told { segment_bytes: Some(1312), traffic_class: 0xb9 });
    }

    #[test]
    fn the_byte_of_ipv4_is_told_as_well() {
        let (mut control, mut header) = (Control::EMPTY, empty());
        control.push(&mut header, libc::IPPROTO_IP, libc::IP_TOS, 0xb8u8);
        assert_eq!(told(&header).traffic_class, 0xb8);
    }

    #[test]
    fn there_is_room_for_two_integers_and_what_is_too_much_is_left_out() {
        let (mut control, mut header) = (Control::EMPTY, empty());
        for _ in 0..3 {
            control.push(&mut header, libc::IPPROTO_IP, libc::IP_TOS, 1 as libc::c_int);
        }
        let bytes: usize = header.msg_controllen as _;
        assert!(bytes >= 2 * (size_of::<libc::cmsghdr>() + size_of::<libc::c_int>()));
        assert!(bytes <= CONTROL_BYTES);
    }
}
