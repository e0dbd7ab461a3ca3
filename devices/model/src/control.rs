//! What can be done to a VM as a whole while it runs, by monitors and others who are trusted.

use std::sync::Arc;

use qom_core::{
    CompatFinding, CompatPolicy, CreateError, Created, Finding, Given, Obj, Origin, Policy,
    PolicyStatement, RaiseError, RemoveError, Request, SetError, Tree,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{monitor::CommandError, platform::Platform};

/// Whether a VM's processors run, and if not, why. The words are QEMU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// They have not been started yet.
    Prelaunch,
    /// They run.
    Running,
    /// Somebody has stopped them.
    Paused,
    /// The guest has switched the machine off.
    Shutdown,
    /// A processor can't go on.
    InternalError,
    /// The guest's kernel has panicked.
    GuestPanicked,
    /// A disk has failed, and the user wants the machine to stop then.
    IoError,
}

/// Something that is to be done to a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop the processors where they are.
    Stop,
    /// Let them go on.
    Continue,
    /// Start the machine over.
    Reset,
    /// Ask the guest to switch the machine off, as a power button does.
    PowerDown,
    /// End the VM and the program.
    Quit,
}

/// A VM, to whoever may control it. Every method may be called on any thread but with no lock held
/// that a device takes.
pub trait VmControl: Send + Sync {
    /// Its objects.
    fn tree(&self) -> &Tree;

    /// What its devices share.
    fn platform(&self) -> &Arc<Platform>;

    /// What the user calls the guest.
    fn name(&self) -> Option<&str>;

    /// Whether its processors run.
    fn run_state(&self) -> RunState;

    /// Creates what is asked for and gives it its work: all of it, or nothing is left.
    ///
    /// # Errors
    /// If it can't be, or a policy refuses it.
    fn create(&self, requests: Vec<Request>) -> Result<Created, CreateError>;

    /// Changes a live property of an object that exists. What taints the VM from then on is told as
    /// it is of what is created, and given back.
    ///
    /// # Errors
    /// If it can't be changed, the value is bad, or the policy refuses it.
    fn set(&self, object: &Obj, property: &str, value: &Given) -> Result<Vec<Finding>, SetError>;

    /// Removes an object that was asked for, with all that it brought.
    ///
    /// # Errors
    /// If it can't go.
    fn remove(&self, object: &Obj) -> Result<(), RemoveError>;

    /// All statements of the security policy so far, and who made each.
    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)>;

    /// Raises the security policy, and gives it as it is then.
    ///
    /// # Errors
    /// If the statement would loosen it, or something exists that it would refuse.
    fn raise_policy(
        &self,
        statement: PolicyStatement,
        origin: Origin,
    ) -> Result<Policy, RaiseError>;

    /// The compatibility policy.
    fn compat(&self) -> CompatPolicy {
        self.tree().compat()
    }

    /// Does what the compatibility policy asks for besides an answer: warns, once of each thing, of
    /// what is taken with a warning, and aborts the process if a refusal is to be seen where it comes
    /// from.
    fn heed(&self, findings: &[CompatFinding]);

    /// Has something done, and returns once it is done.
    ///
    /// # Errors
    /// If it can't be done now, or the VM is at its end.
    fn order(&self, order: Order) -> Result<(), CommandError>;
}
