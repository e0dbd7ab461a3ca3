//! What every thread may reach of a VM: its objects, and the main thread's ear.

use std::sync::{Arc, mpsc};

use device_model::{
    control::{Order, RunState, VmControl},
    monitor::CommandError,
    platform::Platform,
    qom_core::{CreateError, Created, Obj, PolicyStatement, RemoveError, Request, Tree},
};
use parking_lot::Mutex;

use super::{
    inbox::{Inbox, News},
    realizer::Realizer,
    report,
};

/// What every thread may reach of a VM.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) tree: Tree,
    pub(super) platform: Arc<Platform>,
    pub(super) stated: Vec<PolicyStatement>,
    pub(super) name: Option<String>,
    pub(super) inbox: Inbox,
    /// Written by the main thread alone.
    state: Mutex<RunState>,
}

impl Control {
    /// Of a VM that has not started yet.
    pub(super) fn new(
        tree: Tree,
        platform: Arc<Platform>,
        stated: Vec<PolicyStatement>,
        name: Option<String>,
    ) -> Self {
        let inbox = Inbox::new(Arc::clone(platform.events()));
        Self { tree, platform, stated, name, inbox, state: Mutex::new(RunState::Prelaunch) }
    }

    /// Says whether processors run.
    pub(super) fn set_run_state(&self, state: RunState) {
        *self.state.lock() = state;
    }

    /// Whether the last thing that somebody tried to create made the process abort.
    fn abort_if_told(&self, error: &CreateError) {
        if let CreateError::Refused(refusals) = error
            && self.tree.policy().aborts()
        {
            for refusal in refusals {
                report::refused(refusal, &self.stated);
            }
            std::process::abort();
        }
    }
}

impl VmControl for Control {
    fn tree(&self) -> &Tree {
        &self.tree
    }

    fn platform(&self) -> &Arc<Platform> {
        &self.platform
    }

    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn run_state(&self) -> RunState {
        *self.state.lock()
    }

    fn create(&self, requests: Vec<Request>) -> Result<Created, CreateError> {
        let created = self.tree.create(requests, &mut Realizer::new(&self.platform));
        match &created {
            Ok(created) => {
                if let Some(name) = &self.name {
                    report::name_guest(name);
                }
                report::taints(&created.findings);
            }
            Err(error) => self.abort_if_told(error),
        }
        created
    }

    fn remove(&self, object: &Obj) -> Result<(), RemoveError> {
        self.tree.remove(object, &mut Realizer::new(&self.platform))
    }

    fn order(&self, order: Order) -> Result<(), CommandError> {
        let (done, answer) = mpsc::sync_channel(1);
        self.inbox.put(News::Order(order, done));
        answer.recv().unwrap_or_else(|_| Err(CommandError::generic("the VM is at its end")))
    }
}
