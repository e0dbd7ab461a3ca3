//! A VM: its objects, and the platform that they share.

use std::sync::Arc;

use device_model::{
    control::VmControl,
    platform::Platform,
    qom_core::{CreateError, Obj, Plan, Registry, Request, Tree},
};

use super::{
    control::Control, error::StartError, handed_over::handed_over, policy, realizer::Realizer,
    report, requests, signals::EndSignals, tree,
};
use crate::{
    loader::Loader, machine::MACHINE, monitor::Monitor, options::command_line::CommandLine,
};

/// A VM whose objects all exist and whose processors are at rest.
#[derive(Debug)]
pub struct Vm {
    pub(super) control: Arc<Control>,
    pub(super) reboots: bool,
    pub(super) paused: bool,
    pub(super) signals: EndSignals,
    /// What loads the files that the guest starts from, in the order of creation: a kernel comes
    /// before what lies beside it.
    pub(super) loaders: Vec<Obj>,
}

impl Vm {
    /// Creates all that a command line asks for.
    ///
    /// # Errors
    /// If anything of it can't be, or the policy refuses it. Nothing is left then.
    pub fn create(registry: &Arc<Registry>, line: &CommandLine) -> Result<Self, StartError> {
        let descriptors = handed_over(line)?;
        let requests = requests::requests(line, registry, &descriptors)?;
        let (_, stated) = policy(line);
        let tree = tree(registry, line, &descriptors)?;
        let foretold = cfg!(debug_assertions).then(|| tree.plan(requests.iter().cloned()));
        let platform = Platform::with_descriptors(tree.id(), descriptors)
            .map_err(|source| StartError::Host { action: "prepare a machine", source })?;
        // Before there is anything, so that a signal while it is made does not leave a terminal as
        // the guest has it. It ends the VM once that is complete.
        let signals = EndSignals::take()
            .map_err(|source| StartError::Host { action: "take over signals", source })?;
        let name = line.guest_name().map(|(_, name)| name.guest.clone());
        let mut vm = Self {
            control: Arc::new(Control::new(tree, Arc::new(platform), stated, name)),
            reboots: !line.has_no_reboot(),
            paused: line.is_paused(),
            signals,
            loaders: Vec::new(),
        };
        if let Some(process) = line.guest_name().and_then(|(_, name)| name.process.as_deref()) {
            name_process(process)
                .map_err(|source| StartError::Host { action: "name the process", source })?;
        }
        let mut objects = vm.create_objects(requests)?;
        // What `check` would have told is what there is.
        debug_assert!(foretold.is_none_or(|plan| plan.is_ok_and(|plan| vm.is_as(&plan))));
        objects.retain(Obj::is::<dyn Loader>);
        vm.loaders = objects;
        for warning in vm.tree().globals().warnings(registry) {
            report::warning(&warning);
        }
        Ok(vm)
    }

    /// Creates what is asked for, by the one way there is.
    pub(crate) fn create_objects(
        &self,
        requests: impl IntoIterator<Item = Request>,
    ) -> Result<Vec<Obj>, StartError> {
        match self.control.create(requests.into_iter().collect()) {
            Ok(created) => Ok(created.objects),
            Err(CreateError::Refused(refusals)) => {
                Err(StartError::Refused { refusals, stated: self.control.stated() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The tree of its objects.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.control.tree
    }

    /// What its devices share.
    #[must_use]
    pub fn platform(&self) -> &Arc<Platform> {
        &self.control.platform
    }

    /// Loads again what the guest starts from, which it may have written over since.
    pub(super) fn reload(&self) -> Result<(), StartError> {
        for object in &self.loaders {
            if let Some(loader) = object.cast::<dyn Loader>() {
                loader.load(self.platform()).map_err(|error| StartError::Reload {
                    place: object.origin().to_string(),
                    error,
                })?;
            }
        }
        Ok(())
    }

    /// The machine.
    pub(super) fn machine(&self) -> Option<Obj> {
        self.tree().resolve(MACHINE).ok()
    }

    /// Whether the objects that exist are those of a plan, of the types that it says.
    fn is_as(&self, plan: &Plan) -> bool {
        let mut foretold: Vec<_> = plan
            .objects()
            .iter()
            .map(|planned| (planned.path().to_owned(), planned.class().name()))
            .collect();
        let mut there: Vec<_> = self
            .tree()
            .walk()
            .iter()
            .skip(1)
            .map(|object| (object.path().unwrap_or_default(), object.class().name()))
            .collect();
        foretold.sort_unstable();
        there.sort_unstable();
        foretold == there
    }

    fn monitors(&self) -> impl Iterator<Item = (Obj, Arc<dyn Monitor>)> {
        let with_monitor = |object: Obj| object.cast::<dyn Monitor>().map(|it| (object, it));
        self.tree().walk().into_iter().filter_map(with_monitor)
    }

    /// Lets clients of monitors control the VM from here on.
    pub(super) fn start_monitors(&self) -> Result<(), StartError> {
        for (object, monitor) in self.monitors() {
            let control: Arc<dyn VmControl> = self.control.clone();
            monitor
                .start(&object, control)
                .map_err(|source| StartError::Host { action: "start a monitor", source })?;
        }
        Ok(())
    }

    /// Lets each monitor end what it is at, and no more.
    pub(super) fn stop_monitors(&self) {
        for (_, monitor) in self.monitors() {
            monitor.stop();
        }
    }
}

/// Gives the process the name that tools list it by, of which the kernel keeps 15 bytes.
fn name_process(name: &str) -> std::io::Result<()> {
    // The name was checked to have no NUL.
    let name = std::ffi::CString::new(name)?;
    Ok(rustix::thread::set_name(&name)?)
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.control.inbox.close();
        // Before the tree changes: a monitor's client may be at changing it.
        self.stop_monitors();
        self.tree().clear(&mut Realizer::new(self.platform()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_listed_by_its_name_as_far_as_the_kernel_keeps_it() {
        // The kernel keeps the process's name as that of its first thread; this one has its own.
        let named = std::thread::spawn(|| {
            name_process("a-name-of-many-bytes").expect("any thread may");
            std::fs::read_to_string("/proc/thread-self/comm").expect("it runs")
        });
        assert_eq!(named.join().expect("it ends"), "a-name-of-many-\n");
    }
}
