//! The tree of all objects of one VM: the one way in, and the policy that watches it.

mod change;
mod completion;
mod creation;
mod lock;
mod removal;

use std::{collections::BTreeMap, fmt, sync::Arc};

pub use self::{
    completion::{Completion, NoCompletion},
    creation::Created,
};
use parking_lot::{Mutex, MutexGuard};

use self::{creation::Ready, lock::ChangeLock};
use crate::{
    ClassType, Container, TreeId,
    compat::{self, CompatPolicy},
    configuration::{Context, Surroundings},
    error::{CreateError, ForeignError, PathError, PlanError},
    global::Globals,
    object::Obj,
    path,
    permit::Permit,
    plan::Plan,
    planner::Planner,
    policy::Policy,
    registry::Registry,
    request::{Origin, Request},
    taint::{Taint, TaintRecord},
    verdict::{judge_type, refused},
};

/// The tree of the objects of one VM.
///
/// It can be read at any time. It changes one thing at a time: a [`Completion`], a judge or an
/// object that asks for another change meanwhile gets a
/// [`ReentryError`](crate::ReentryError), since it would wait for itself.
pub struct Tree {
    id: TreeId,
    registry: Arc<Registry>,
    globals: Globals,
    compat: CompatPolicy,
    context: Option<Arc<Context>>,
    root: Obj,
    /// Held from the judging to the being, so that nothing comes between.
    changes: ChangeLock,
    /// Never held while code of a type or a completion runs.
    state: Mutex<State>,
}

struct State {
    policy: Policy,
    taints: TaintRecord,
}

impl Tree {
    /// An empty tree.
    ///
    /// # Errors
    /// If the registry lacks the type of the root, `container`.
    pub fn new(
        registry: Arc<Registry>,
        policy: Policy,
        globals: Globals,
    ) -> Result<Self, CreateError> {
        let id = TreeId::next();
        let origin = Origin::new("the root of the object tree");
        let class = registry.class(Container::INFO.name).map(Arc::clone).ok_or_else(|| {
            CreateError::Plan {
                origin: origin.clone(),
                error: PlanError::unknown_type(&registry, Container::INFO.name),
            }
        })?;
        let (settings, links) = (BTreeMap::new(), BTreeMap::new());
        let root = Ready { class: &class, settings: &settings, origin: &origin, requested: false }
            .construct(id, None, links)?;
        root.make_root();
        root.set_complete(true);
        let state = Mutex::new(State { policy, taints: TaintRecord::default() });
        let (compat, changes) = (CompatPolicy::default(), ChangeLock::default());
        Ok(Self { id, registry, globals, compat, context: None, root, changes, state })
    }

    /// The same with another compatibility policy than the default, for the life of the tree.
    #[must_use]
    pub fn with_compat(self, compat: CompatPolicy) -> Self {
        Self { compat, ..self }
    }

    /// The same with something that judges and planners may ask, for the life of the tree, by
    /// [`Configuration::context`](crate::Configuration::context): what names in properties stand
    /// for. The tree itself knows nothing of it.
    #[must_use]
    pub fn with_context<T: std::any::Any + Send + Sync>(self, context: Arc<T>) -> Self {
        Self { context: Some(context), ..self }
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { registry: &self.registry, context: self.context.as_deref() }
    }

    /// The tree's identity.
    #[must_use]
    pub const fn id(&self) -> TreeId {
        self.id
    }

    /// The types that it makes objects of.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The global settings.
    #[must_use]
    pub const fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> &Obj {
        &self.root
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.state().policy
    }

    /// What becomes of what is deprecated or unstable.
    #[must_use]
    pub const fn compat(&self) -> CompatPolicy {
        self.compat
    }

    /// Everything that exists or existed although require-secure would have refused it, in the
    /// order in which it came. The VM is tainted if there is anything.
    #[must_use]
    pub fn taints(&self) -> Vec<Taint> {
        self.state().taints.list()
    }

    /// Works out what requests would create. Nothing is created.
    ///
    /// # Errors
    /// If a request can't be planned.
    pub fn plan(&self, requests: impl IntoIterator<Item = Request>) -> Result<Plan, CreateError> {
        let resolve = |path: &str| self.resolve(path);
        let (registry, context) = (&self.registry, self.context.as_ref());
        let mut planner =
            Planner::new(registry, context, &self.globals, self.id, &self.root, &resolve);
        for request in requests {
            planner.request(request)?;
        }
        Ok(planner.finish())
    }

    /// A permit for one object of that type, if the policies let the type be. What the object would
    /// be configured to be and bring with it is judged when the permit is used.
    ///
    /// # Errors
    /// If there is no such concrete type, or a policy refuses it.
    pub fn permit(&self, type_name: &str) -> Result<Permit, CreateError> {
        let origin = Origin::new(type_name);
        let wrong = |error| CreateError::Plan { origin: origin.clone(), error };
        let class = self
            .registry
            .class(type_name)
            .ok_or_else(|| wrong(PlanError::unknown_type(&self.registry, type_name)))?;
        let type_id =
            class.type_id().ok_or_else(|| wrong(PlanError::Abstract { name: class.name() }))?;
        refused(judge_type(self.policy(), class, "", &origin).as_slice())?;
        compat::rejected(compat::judge_type(self.compat, class, "", &origin).as_slice())?;
        Ok(Permit::new(self.id, type_id, class.name()))
    }

    /// The object at a canonical path, or the only one that a partial path fits.
    ///
    /// # Errors
    /// If there is none, or a partial path fits several.
    pub fn resolve(&self, path: &str) -> Result<Obj, PathError> {
        path::resolve(&self.root, path)
    }

    /// Every object of the tree, parents first and siblings sorted by name.
    #[must_use]
    pub fn walk(&self) -> Vec<Obj> {
        path::descendants(&self.root)
    }

    /// Checks that a handle is one of this tree's.
    ///
    /// # Errors
    /// If it is another's.
    pub fn own(&self, object: &Obj) -> Result<(), ForeignError> {
        if object.tree() == self.id {
            return Ok(());
        }
        Err(ForeignError { what: format!("the object of type '{}'", object.class().name()) })
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").field("id", &self.id).finish_non_exhaustive()
    }
}
