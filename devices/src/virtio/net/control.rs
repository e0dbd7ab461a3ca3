//! Commands of the control queue (virtio 1.2, section 5.1.6.5).

use device_model::virtio::Buffers;

use super::{
    filter::{Addresses, Filter, MOST_ADDRESSES, Switch},
    mac::MacAddress,
    spec::{ADDRESS, control, feature},
};

/// The most bytes of a command, so that it is bounded how long one takes: a table of more addresses
/// than any driver has is refused.
const LONGEST: usize = 0x1_0000;

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// To receive other frames.
    Switch(Switch, bool),
    /// To receive frames to those stations and those groups.
    Table(Addresses, Addresses),
    /// To have that address.
    Address(MacAddress),
    /// To receive a VLAN or not.
    Vlan(u16, bool),
    /// To use so many pairs of queues.
    Pairs(u16),
    /// To have frames left unfinished like that.
    Offloads(u64),
}

/// What is left of a command's bytes.
struct Data<'a, 'b> {
    buffers: &'a mut Buffers<'b>,
    left: usize,
}

impl Data<'_, '_> {
    /// The next bytes, if there are as many.
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.left = self.left.checked_sub(N)?;
        (self.buffers.read(&mut bytes) == N).then_some(bytes)
    }

    /// The same, if there are no more.
    fn all<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take().filter(|_| self.left == 0)
    }

    fn switch(&mut self) -> Option<bool> {
        self.all().map(|[on]: [u8; 1]| on != 0)
    }

    /// A table of addresses, all of which are read.
    fn addresses(&mut self) -> Option<Addresses> {
        let count = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        if count > self.left / ADDRESS {
            return None;
        }
        let mut kept = Vec::with_capacity(count.min(MOST_ADDRESSES));
        for _ in 0..count {
            let address = MacAddress(self.take()?);
            if kept.len() < MOST_ADDRESSES {
                kept.push(address);
            }
        }
        Some(match count {
            0 => Addresses::None,
            count if count > MOST_ADDRESSES => Addresses::TooMany,
            _ => Addresses::These(kept),
        })
    }
}

/// Reads a command of so many bytes, for a driver that has agreed on those features; none if there is
/// no such command.
pub(super) fn parse(buffers: &mut Buffers<'_>, length: usize, features: u64) -> Option<Command> {
    if length > LONGEST {
        return None;
    }
    let mut data = Data { buffers, left: length };
    let [class, command] = data.take::<{ control::HEADER }>()?;
    let (needed, switch) = match (class, command) {
        control::RX_PROMISC => (feature::CTRL_RX, Some(Switch::Promiscuous)),
        control::RX_ALLMULTI => (feature::CTRL_RX, Some(Switch::AllGroups)),
        control::RX_ALLUNI => (feature::CTRL_RX_EXTRA, Some(Switch::AllStations)),
        control::RX_NOMULTI => (feature::CTRL_RX_EXTRA, Some(Switch::NoGroups)),
        control::RX_NOUNI => (feature::CTRL_RX_EXTRA, Some(Switch::NoStations)),
        control::RX_NOBCAST => (feature::CTRL_RX_EXTRA, Some(Switch::NoBroadcast)),
        control::MAC_TABLE_SET => (feature::CTRL_RX, None),
        control::MAC_ADDR_SET => (feature::CTRL_MAC_ADDR, None),
        control::VLAN_ADD | control::VLAN_DEL => (feature::CTRL_VLAN, None),
        control::MQ_VQ_PAIRS_SET => (feature::MQ, None),
        control::GUEST_OFFLOADS_SET => (feature::CTRL_GUEST_OFFLOADS, None),
        _ => return None,
    };
    if features & needed == 0 {
        return None;
    }
    if let Some(switch) = switch {
        return Some(Command::Switch(switch, data.switch()?));
    }
    Some(match (class, command) {
        control::MAC_TABLE_SET => {
            let (stations, groups) = (data.addresses()?, data.addresses()?);
            if data.left > 0 {
                return None;
            }
            Command::Table(stations, groups)
        }
        control::MAC_ADDR_SET => Command::Address(MacAddress(data.all()?)),
        control::MQ_VQ_PAIRS_SET => Command::Pairs(u16::from_le_bytes(data.all()?)),
        control::GUEST_OFFLOADS_SET => {
            let wanted = u64::from_le_bytes(data.all()?);
            // No more than was agreed on.
            if wanted & !(features & feature::GUEST_OFFLOADS) != 0 {
                return None;
            }
            Command::Offloads(wanted)
        }
        which => Command::Vlan(u16::from_le_bytes(data.all()?), which == control::VLAN_ADD),
    })
}

impl Filter {
    /// Does what a command asks of it. False if it can't, or the command is not its own.
    pub(super) fn execute(&mut self, command: Command) -> bool {
        match command {
            Command::Switch(which, on) => self.switch(which, on),
            Command::Table(stations, groups) => self.set_table(stations, groups),
            Command::Address(address) => self.set_own(address),
            Command::Vlan(vlan, on) => return self.set_vlan(vlan, on),
            Command::Pairs(_) | Command::Offloads(_) => return false,
        }
        true
    }
}
