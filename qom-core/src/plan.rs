//! Plans: every object that requests would bring, worked out before the first side effect.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{
    Obj, TreeId,
    class::Class,
    compat::{self, CompatFinding, CompatPolicy},
    configuration::{Configuration, Context, Setting, Surroundings},
    error::{CreateError, PlanError},
    path,
    policy::Policy,
    registry::Registry,
    request::{Origin, Origins},
    snapshot::Snapshot,
    verdict::{Finding, judge, judge_new},
};

/// What some requests would create, children included, in the order of creation. Nothing has
/// happened yet; the dry run and the real run use the same plan.
pub struct Plan {
    pub(crate) tree: TreeId,
    pub(crate) registry: Arc<Registry>,
    pub(crate) context: Option<Arc<Context>>,
    pub(crate) objects: Vec<Planned>,
}

/// One object of a plan.
#[derive(Debug)]
pub struct Planned {
    pub(crate) class: Arc<Class>,
    pub(crate) path: String,
    pub(crate) parent: ParentRef,
    pub(crate) origins: Origins,
    /// Whether somebody asked for it, rather than a class announcing it.
    pub(crate) requested: bool,
    pub(crate) settings: BTreeMap<&'static str, Setting>,
    pub(crate) links: BTreeMap<&'static str, LinkTarget>,
}

#[derive(Clone, Debug)]
pub(crate) enum ParentRef {
    Existing(Obj),
    Planned(usize),
}

#[derive(Clone, Debug)]
pub(crate) enum LinkTarget {
    Existing(Obj),
    Planned(usize),
}

impl Plan {
    /// The objects, in the order of creation.
    #[must_use]
    pub fn objects(&self) -> &[Planned] {
        &self.objects
    }

    pub(crate) fn tree(&self) -> TreeId {
        self.tree
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings { registry: &self.registry, context: self.context.as_deref() }
    }

    /// Lists all that require-secure would refuse, with what `policy` makes of each: of the objects
    /// of the plan, and of those that exist and would share with them what they link to.
    ///
    /// # Errors
    /// If a property's judge fails.
    pub fn judge(&self, policy: Policy) -> Result<Vec<Finding>, CreateError> {
        let planned = self.judge_each(policy)?.into_iter().map(|(_, finding)| finding);
        let sharers = self.judge_sharers(policy)?.into_iter().map(|(_, finding)| finding);
        Ok(planned.chain(sharers).collect())
    }

    /// What require-secure would refuse of objects that exist, once those of the plan link to what
    /// they link to, and not before. Each with the object.
    pub(crate) fn judge_sharers(&self, policy: Policy) -> Result<Vec<(Obj, Finding)>, CreateError> {
        let mut found: Vec<(Obj, Finding)> = Vec::new();
        for planned in &self.objects {
            for (property, target) in &planned.links {
                let LinkTarget::Existing(target) = target else { continue };
                let origins = Origins::all(planned.origins.of(Some(property)).clone());
                for user in path::users(target) {
                    if found.iter().any(|(known, _)| known.same(&user)) {
                        continue;
                    }
                    let now = Snapshot::of(&user);
                    let alone = now.configuration(self.surroundings(), None);
                    let shared = Configuration { planned: &self.objects, ..alone };
                    let new = judge_new(policy, &alone, &shared, &origins)
                        .map_err(|error| planned.error(error))?;
                    found.extend(new.into_iter().map(|finding| (user.clone(), finding)));
                }
            }
        }
        Ok(found)
    }

    /// As [`Plan::judge`], each with the position of the object.
    pub(crate) fn judge_each(&self, policy: Policy) -> Result<Vec<(usize, Finding)>, CreateError> {
        let mut findings = Vec::new();
        for (position, planned) in self.objects.iter().enumerate() {
            let configuration = planned.configuration(&self.objects, self.surroundings());
            let found = judge(policy, &configuration, &planned.origins)
                .map_err(|error| planned.error(error))?;
            findings.extend(found.into_iter().map(|finding| (position, finding)));
        }
        Ok(findings)
    }

    /// Lists all that is deprecated or unstable and that `policy` does not take without a word.
    #[must_use]
    pub fn judge_compat(&self, policy: CompatPolicy) -> Vec<CompatFinding> {
        if policy.accepts_all_input() {
            return Vec::new();
        }
        self.objects.iter().flat_map(|planned| planned.judge_compat(policy)).collect()
    }

    /// The effective configuration of the object at that position.
    #[must_use]
    pub fn configuration(&self, position: usize) -> Option<Configuration<'_>> {
        Some(self.objects.get(position)?.configuration(&self.objects, self.surroundings()))
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("objects", &self.objects).finish_non_exhaustive()
    }
}

impl Planned {
    /// The object's class.
    #[must_use]
    pub fn class(&self) -> &Arc<Class> {
        &self.class
    }

    /// The canonical path that it will have.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last part of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(&*self.path, |(_, name)| name)
    }

    /// Who asked for it, or for the object that brings it.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        self.origins.object()
    }

    /// Who asked for what an error is about.
    pub(crate) fn origin_of(&self, error: &PlanError) -> &Origin {
        self.origins.of(error.property())
    }

    /// An error about it, with who asked.
    pub(crate) fn error(&self, error: PlanError) -> CreateError {
        CreateError::Plan { origin: self.origin_of(&error).clone(), error }
    }

    /// Whether somebody asked for it, rather than a class announcing it.
    #[must_use]
    pub const fn is_requested(&self) -> bool {
        self.requested
    }

    fn judge_compat(&self, policy: CompatPolicy) -> Vec<CompatFinding> {
        let Self { class, path, settings, requested, origins, .. } = self;
        compat::judge(policy, class, path, settings, *requested, origins)
    }

    /// Whether one of its links leads there.
    pub(crate) fn links_to(&self, target: &LinkTarget) -> bool {
        self.links.values().any(|link| match (link, target) {
            (LinkTarget::Existing(link), LinkTarget::Existing(target)) => link.same(target),
            (LinkTarget::Planned(link), LinkTarget::Planned(target)) => link == target,
            _ => false,
        })
    }

    pub(crate) const fn parent(&self) -> &ParentRef {
        &self.parent
    }

    pub(crate) const fn links(&self) -> &BTreeMap<&'static str, LinkTarget> {
        &self.links
    }

    pub(crate) const fn settings(&self) -> &BTreeMap<&'static str, Setting> {
        &self.settings
    }

    pub(crate) fn configuration<'a>(
        &'a self,
        planned: &'a [Self],
        surroundings: Surroundings<'a>,
    ) -> Configuration<'a> {
        Configuration {
            class: &self.class,
            path: &self.path,
            settings: &self.settings,
            links: &self.links,
            planned,
            surroundings,
            object: None,
            change: None,
        }
    }
}
