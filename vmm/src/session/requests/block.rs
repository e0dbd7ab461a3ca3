//! Block nodes.

use super::{super::error::StartError, Builder, Chosen, origin, origin_of, refuse, refuse_key};
use crate::{
    creation::{
        block::{BLOCKDEVS, Definition, Disk, Drive, NodeNames, Place},
        device,
    },
    options::{
        command_line::{Entry, OptionValue},
        keyval::OptionArgs,
    },
};
use device_model::qom_core::{Action, Given, Request, Value};

/// A disk, the option that it is of, and the name of its node.
pub(super) type DiskOf<'a> = (&'a Entry, Disk, String);

impl<'a> Builder<'a> {
    /// The nodes of all `-blockdev` and `-drive`, in their order, and the disks that stand before
    /// them.
    pub(super) fn block_nodes(&mut self) -> Result<Vec<DiskOf<'a>>, StartError> {
        let mut names = NodeNames::default();
        let mut disks = Vec::new();
        let mut drives = 0;
        let may_guess = crate::session::policy(self.line).0.insecure() != Action::Refuse;
        for entry in self.line.block_nodes() {
            let place = Place { registry: self.registry, names: &mut names };
            let (definition, disk) = match &entry.value {
                OptionValue::Blockdev(arguments) => (Definition::new(&entries(arguments)), None),
                OptionValue::Drive(arguments) => {
                    let drive = Drive::new(arguments);
                    drives += 1;
                    let definition =
                        drive.definition(&place, self.descriptors, drives - 1, may_guess);
                    (definition, drive.disk().map_err(|problem| refuse(entry, problem.into()))?)
                }
                _ => continue,
            };
            let (request, name) = definition
                .and_then(|definition| definition.request(place, |key| origin_of(entry, key)))
                .map_err(|problem| refuse(entry, problem.into()))?;
            self.requests.push(from(request, entry));
            disks.extend(disk.map(|disk| (entry, disk, name)));
        }
        Ok(disks)
    }

    /// The disks of all `-drive` that have one, behind the devices that were given in full.
    pub(super) fn disks(
        &mut self,
        machine: &Chosen<'_>,
        disks: Vec<DiskOf<'_>>,
    ) -> Result<(), StartError> {
        let devices = u64::try_from(self.line.devices().count()).unwrap_or(u64::MAX);
        for (position, (entry, disk, node)) in (devices..).zip(disks) {
            let Disk { driver, properties } = disk;
            let (_, plug) = device::pluggable(self.registry, driver)
                .map_err(|problem| refuse_key(entry, "if", problem.into()))?;
            device::check_bus(machine.class, driver, plug, None)
                .map_err(|problem| refuse_key(entry, "if", problem.into()))?;
            let request = device::at_position(driver, position);
            let request = request.set("drive", Value::from(format!("{BLOCKDEVS}/{node}")));
            let request = properties.into_iter().fold(request, |request, (key, name, value)| {
                request.set_by(origin_of(entry, key), name, value)
            });
            self.requests.push(from(request, entry));
        }
        Ok(())
    }
}

fn from(request: Request, entry: &Entry) -> Request {
    request.from(origin(entry))
}

/// All keys, that of the driver included.
fn entries(arguments: &OptionArgs) -> Vec<(String, Given)> {
    let driver = arguments.implied.iter().map(|it| ("driver".to_owned(), Given::from(&**it)));
    driver.chain(arguments.entries.iter().cloned()).collect()
}
