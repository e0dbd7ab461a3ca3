//! What options ask of a machine that runs no guest: hardly anything, and a processor to look at.

use device_model::qom_core::{PropertyType, Request};
use serde_json::Value;

use super::{
    super::error::{OptionError, StartError},
    ACCELERATOR, Builder, Chosen, refuse, refuse_key, too_many_cpus,
};

impl Builder<'_> {
    /// The request for a machine that runs no guest, of which `request` is the beginning.
    ///
    /// # Errors
    /// If an option is for a guest, or for more processors than the machine can have.
    pub(super) fn without_guest(
        &self,
        machine: &Chosen<'_>,
        mut request: Request,
    ) -> Result<Request, StartError> {
        let line = self.line;
        let no_guest = || OptionError::NoGuest { machine: machine.name.clone() };
        let for_guest = [
            line.kernel().map(|(entry, _)| entry),
            line.bios().map(|(entry, _)| entry),
            line.initrd().map(|(entry, _)| entry),
            line.append().map(|(entry, _)| entry),
            line.memory().map(|(entry, _)| entry),
        ];
        if let Some(entry) = for_guest.into_iter().flatten().next() {
            return Err(refuse(entry, no_guest()));
        }
        if let Some((entry, _)) = self.machine_property("memory-size") {
            return Err(refuse_key(entry, "memory-size", no_guest()));
        }
        let max_cpus = machine.data.max_cpus;
        if let Some((entry, topology)) = line.topology() {
            let cpus = topology.cpus.max(topology.maxcpus);
            if cpus > max_cpus {
                return Err(too_many_cpus(entry, cpus, machine));
            }
        }
        if let Some((entry, _)) = line.cpu()
            && max_cpus == 0
        {
            return Err(refuse(entry, no_guest()));
        }
        request = self.cpu_model(machine, request)?;
        match self.machine_property("cpus") {
            // `-smp 1` alone, as without it, is a machine that could have one.
            None => {
                let has_one = line.cpu().is_some() || self.machine_property("cpu-type").is_some();
                request = request.set("cpus", Value::from(u32::from(has_one)));
            }
            // A bad value is the tree's to refuse.
            Some((entry, given)) => {
                if let Ok(cpus) = u32::from_given(given)
                    && cpus > max_cpus
                {
                    return Err(too_many_cpus(entry, cpus, machine));
                }
            }
        }
        if self.requests.iter().any(|request| request.is_at(ACCELERATOR)) {
            request = request.set("accel", ACCELERATOR);
        }
        Ok(request)
    }
}
