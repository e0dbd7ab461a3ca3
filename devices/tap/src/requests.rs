//! The requests of `linux/if_tun.h`.
#![allow(unsafe_code, reason = "the kernel takes these requests as ioctls only")]

use std::{
    ffi::{c_int, c_short, c_uint},
    os::fd::BorrowedFd,
};

use rustix::{
    io::Errno,
    ioctl::{self, Getter, IntegerSetter, Setter, Updater, opcode},
};

/// Bytes of an interface's name with its end (`IFNAMSIZ`, linux/if.h).
pub(crate) const NAME_SIZE: usize = 16;

/// Frames of Ethernet rather than packets of IP.
pub(crate) const IFF_TAP: u16 = 0x0002;
/// Without protocol information before each frame.
pub(crate) const IFF_NO_PI: u16 = 0x1000;
/// With a `struct virtio_net_hdr` before each frame.
pub(crate) const IFF_VNET_HDR: u16 = 0x4000;
/// Several queues.
pub(crate) const IFF_MULTI_QUEUE: u16 = 0x0100;
/// Fails if there is such an interface.
pub(crate) const IFF_TUN_EXCL: u16 = 0x8000;

const TUNSETIFF: ioctl::Opcode = opcode::write::<c_int>(b'T', 202);
const TUNSETOFFLOAD: ioctl::Opcode = opcode::write::<c_uint>(b'T', 208);
const TUNGETIFF: ioctl::Opcode = opcode::read::<c_uint>(b'T', 210);
const TUNSETSNDBUF: ioctl::Opcode = opcode::write::<c_int>(b'T', 212);
const TUNSETVNETHDRSZ: ioctl::Opcode = opcode::write::<c_int>(b'T', 216);

/// Ways in which a frame may be unfinished. All but the first need the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Without checksum (`TUN_F_CSUM`).
    pub checksum: bool,
    /// TCP over IP version 4 that is yet to be divided (`TUN_F_TSO4`).
    pub tso4: bool,
    /// TCP over IP version 6 that is yet to be divided (`TUN_F_TSO6`).
    pub tso6: bool,
    /// TCP that is yet to be divided and marks congestion (`TUN_F_TSO_ECN`).
    pub ecn: bool,
    /// UDP that is yet to be divided (`TUN_F_USO4` and `TUN_F_USO6`).
    pub uso: bool,
}

impl Features {
    fn bits(self) -> usize {
        let all = [
            (self.checksum, 0x01),
            (self.tso4, 0x02),
            (self.tso6, 0x04),
            (self.ecn, 0x08),
            (self.uso, 0x20 | 0x40),
        ];
        all.into_iter().filter_map(|(on, bits)| on.then_some(bits)).sum()
    }
}

/// `struct ifreq` of linux/if.h, with the member `ifru_flags` of its union.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Interface {
    name: [u8; NAME_SIZE],
    flags: c_short,
    /// The rest of the union, whose longest member is `struct ifmap`.
    rest: [u8; 22],
}

// As the kernel copies it, on a machine with addresses of 64 bits.
const _: () = assert!(size_of::<Interface>() == 40);

impl Interface {
    /// None if that is no name.
    pub(crate) fn new(name: &str, flags: u16) -> Option<Self> {
        let forbidden = |byte: u8| byte == 0 || byte == b'/' || byte.is_ascii_whitespace();
        if name.is_empty() || matches!(name, "." | "..") || name.bytes().any(forbidden) {
            return None;
        }
        let mut bytes = [0; NAME_SIZE];
        bytes.get_mut(..NAME_SIZE - 1)?.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Some(Self { name: bytes, flags: flags.cast_signed(), rest: [0; 22] })
    }

    pub(crate) fn name(&self) -> String {
        let name = self.name.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    pub(crate) fn flags(&self) -> u16 {
        self.flags.cast_unsigned()
    }
}

/// Makes a descriptor of the clone device a queue of an interface, whose name it fills in.
pub(crate) fn set_interface(
    descriptor: BorrowedFd<'_>,
    interface: &mut Interface,
) -> Result<(), Errno> {
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, which `Interface` is laid out as.
    let request = unsafe { Updater::<'_, TUNSETIFF, Interface>::new(interface) };
    // SAFETY: the kernel touches nothing but that.
    unsafe { ioctl::ioctl(descriptor, request) }
}

/// What interface a descriptor of the clone device is a queue of.
pub(crate) fn interface(descriptor: BorrowedFd<'_>) -> Result<Interface, Errno> {
    // SAFETY: TUNGETIFF writes all of a `struct ifreq`, which `Interface` is laid out as, and of
    // which every bit pattern is valid; the caller has seen that the device is TUN's.
    let request = unsafe { Getter::<TUNGETIFF, Interface>::new() };
    // SAFETY: the kernel touches nothing but that.
    unsafe { ioctl::ioctl(descriptor, request) }
}

pub(crate) fn set_header_length(descriptor: BorrowedFd<'_>, bytes: u8) -> Result<(), Errno> {
    // SAFETY: TUNSETVNETHDRSZ reads an int.
    let request = unsafe { Setter::<TUNSETVNETHDRSZ, c_int>::new(bytes.into()) };
    // SAFETY: the kernel touches nothing but that.
    unsafe { ioctl::ioctl(descriptor, request) }
}

pub(crate) fn set_offloads(descriptor: BorrowedFd<'_>, accepted: Features) -> Result<(), Errno> {
    // SAFETY: TUNSETOFFLOAD takes its argument by value, whatever it is.
    let request = unsafe { IntegerSetter::<TUNSETOFFLOAD>::new_usize(accepted.bits()) };
    // SAFETY: the kernel touches no memory of ours.
    unsafe { ioctl::ioctl(descriptor, request) }
}

pub(crate) fn set_send_buffer(descriptor: BorrowedFd<'_>, bytes: i32) -> Result<(), Errno> {
    // SAFETY: TUNSETSNDBUF reads an int.
    let request = unsafe { Setter::<TUNSETSNDBUF, c_int>::new(bytes) };
    // SAFETY: the kernel touches nothing but that.
    unsafe { ioctl::ioctl(descriptor, request) }
}
