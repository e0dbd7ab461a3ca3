//! Block nodes.

use super::{super::error::StartError, Builder, origin, origin_of, refuse};
use crate::{
    creation::block::{Definition, Drive, NodeNames, Place},
    options::{
        command_line::{Entry, OptionValue},
        keyval::OptionArgs,
    },
};
use device_model::qom_core::{Action, Given, Request};

impl Builder<'_> {
    /// The nodes of all `-blockdev` and `-drive`, in their order.
    pub(super) fn block_nodes(&mut self) -> Result<(), StartError> {
        let mut names = NodeNames::default();
        let mut drives = 0;
        let may_guess = crate::session::policy(self.line).0.insecure() != Action::Refuse;
        for entry in self.line.block_nodes() {
            let place = Place { registry: self.registry, names: &mut names };
            let definition = match &entry.value {
                OptionValue::Blockdev(arguments) => Definition::new(&entries(arguments)),
                OptionValue::Drive(arguments) => {
                    drives += 1;
                    Drive::new(arguments).definition(
                        &place,
                        self.descriptors,
                        drives - 1,
                        may_guess,
                    )
                }
                _ => continue,
            };
            let request = definition
                .and_then(|definition| definition.request(place, |key| origin_of(entry, key)))
                .map_err(|problem| refuse(entry, problem.into()))?;
            self.requests.push(from(request.0, entry));
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
