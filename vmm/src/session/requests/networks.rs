//! Network backends.

use super::{super::error::StartError, Builder, origin, origin_of, refuse_key, unique_id};
use crate::creation::netdev;

impl Builder<'_> {
    pub(super) fn netdevs(&mut self) -> Result<(), StartError> {
        let mut ids: Vec<String> = Vec::new();
        for (entry, arguments) in self.line.netdevs() {
            let name = arguments.implied.as_deref().unwrap_or_default();
            let class = netdev::backend(self.registry, name)
                .map_err(|problem| refuse_key(entry, "type", problem.into()))?;
            let id = unique_id(&mut ids, "netdev", entry, arguments)?;
            let request = netdev::properties(class, netdev::all_given(arguments))
                .into_iter()
                .fold(netdev::with_id(name, &id), |request, (key, value)| {
                    request.set_by(origin_of(entry, &key), &key, value)
                });
            self.requests.push(request.from(origin(entry)));
        }
        Ok(())
    }
}
