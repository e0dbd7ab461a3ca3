//! What every thread may reach of a VM: its objects, and the main thread's ear.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use device_model::{
    control::{Order, RunState, VmControl},
    memory_backend::MemoryBackend,
    monitor::CommandError,
    platform::Platform,
    preparation::prepare,
    qom_core::{
        Action, CompatFinding, CompatInput, CreateError, Created, Feature, Finding, Given, Obj,
        Origin, Policy, PolicyStatement, RaiseError, RemoveError, Request, SetError, Subject, Tree,
    },
    taint::announce_taints,
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
    stated: Mutex<Vec<(PolicyStatement, Origin)>>,
    /// What was warned of.
    warned: Mutex<HashSet<(Subject, Feature)>>,
    pub(super) name: Option<String>,
    pub(super) inbox: Inbox,
    /// Written by the main thread alone.
    state: Mutex<RunState>,
    /// Whether what is made stays: the VM has come to be.
    stays: AtomicBool,
}

impl Control {
    /// Of a VM that has not started yet.
    pub(super) fn new(
        tree: Tree,
        platform: Arc<Platform>,
        stated: Vec<(PolicyStatement, Origin)>,
        name: Option<String>,
    ) -> Self {
        let inbox = Inbox::new(Arc::clone(platform.events()));
        let (stated, state) = (Mutex::new(stated), Mutex::new(RunState::Prelaunch));
        let stays = AtomicBool::new(false);
        Self { tree, platform, stated, warned: Mutex::default(), name, inbox, state, stays }
    }

    /// Lets what objects make on the host stay, those that come from here on.
    pub(super) fn keep_what_will_be_made(&self) {
        self.stays.store(true, Ordering::Release);
    }

    /// Lets what objects made on the host stay, those that are there.
    pub(super) fn keep_what_was_made(&self) {
        keep(&self.tree.walk());
    }

    /// Says whether processors run.
    pub(super) fn set_run_state(&self, state: RunState) {
        *self.state.lock() = state;
    }

    /// All statements of the security policy so far.
    pub(super) fn stated(&self) -> Vec<PolicyStatement> {
        self.stated.lock().iter().map(|(statement, _)| *statement).collect()
    }

    /// Creates objects of a VM that runs. What they need of others is done before the tree changes,
    /// so that nobody else waits for that; but nothing is done for what will be refused.
    fn create_prepared(&self, requests: Vec<Request>) -> Result<Created, CreateError> {
        let Ok(plan) = self.tree.plan(requests.iter().cloned()) else {
            // Told as it is by whoever creates.
            return self.tree.create(requests, &mut Realizer::new(&self.platform));
        };
        let findings = plan.judge(self.tree.policy())?;
        let refused = findings.iter().any(|finding| finding.action == Action::Refuse)
            || plan.judge_compat(self.tree.compat()).iter().any(|it| it.action.refuses());
        let prepared = if refused { BTreeMap::new() } else { prepare(&plan)? };
        let mut realizer = Realizer::new(&self.platform).with_prepared(prepared);
        self.tree.create_planned(plan, &mut realizer)
    }

    /// Aborts if a refusal is to be seen where it comes from.
    fn abort_if_told(&self, error: &CreateError) {
        if let CreateError::Refused(refusals) = error
            && self.tree.policy().aborts()
        {
            for refusal in refusals {
                report::refused(refusal, &self.stated());
            }
            std::process::abort();
        }
    }
}

fn keep(objects: &[Obj]) {
    objects
        .iter()
        .filter_map(|object| object.cast::<dyn MemoryBackend>())
        .for_each(|backend| backend.keep());
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
        // Those of one that does not run yet may need each other.
        let created = match self.stays.load(Ordering::Acquire) {
            true => self.create_prepared(requests),
            false => self.tree.create(requests, &mut Realizer::new(&self.platform)),
        };
        match &created {
            Ok(created) => {
                if let Some(name) = &self.name {
                    report::name_guest(name);
                }
                if self.stays.load(Ordering::Acquire) {
                    keep(&created.objects);
                }
                report::taints(&created.findings);
                self.heed(&created.warnings);
                announce_taints(&self.platform, &created.findings);
            }
            Err(CreateError::Incompatible(findings)) => self.heed(findings),
            Err(error) => self.abort_if_told(error),
        }
        created
    }

    fn set(&self, object: &Obj, property: &str, value: &Given) -> Result<Vec<Finding>, SetError> {
        let findings = self.tree.set(object, property, value)?;
        report::taints(&findings);
        announce_taints(&self.platform, &findings);
        Ok(findings)
    }

    fn remove(&self, object: &Obj) -> Result<(), RemoveError> {
        self.tree.remove(object, &mut Realizer::new(&self.platform))
    }

    fn policy_statements(&self) -> Vec<(PolicyStatement, Origin)> {
        self.stated.lock().clone()
    }

    fn raise_policy(
        &self,
        statement: PolicyStatement,
        origin: Origin,
    ) -> Result<Policy, RaiseError> {
        // Under the lock, so that the list is in the order in which they came to hold.
        let mut stated = self.stated.lock();
        let policy = self.tree.raise(statement)?;
        // Whoever says the same again and again adds nothing to the list.
        if !stated.contains(&(statement, origin.clone())) {
            stated.push((statement, origin));
        }
        Ok(policy)
    }

    fn heed(&self, findings: &[CompatFinding]) {
        let crashing: Vec<_> =
            findings.iter().filter(|finding| finding.action == CompatInput::Crash).collect();
        for finding in &crashing {
            report::incompatible(finding);
        }
        if !crashing.is_empty() {
            std::process::abort();
        }
        for finding in findings.iter().filter(|finding| finding.action == CompatInput::Warn) {
            let (subject, feature) = (finding.subject.clone(), finding.feature);
            if self.warned.lock().insert((subject, feature)) {
                report::warning(&report::with_origin(finding, &finding.warning()));
            }
        }
    }

    fn order(&self, order: Order) -> Result<(), CommandError> {
        let (done, answer) = mpsc::sync_channel(1);
        self.inbox.put(News::Order(order, done));
        answer.recv().unwrap_or_else(|_| Err(CommandError::generic("the VM is at its end")))
    }
}
