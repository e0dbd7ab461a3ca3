//! What a command is about to create: a request, and the descriptors that it numbers.

use std::{os::fd::OwnedFd, sync::Arc};

use device_model::{
    monitor::{CommandContext, CommandError},
    qom_core::{Class, Created, Given, Request},
};

use super::descriptors::put_numbers;
use crate::accelerator::ACCELERATOR;

/// A request. The descriptors whose numbers it has stay theirs for as long as this is held.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) request: Request,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl Prepared {
    /// A request for an object of that class with these properties, in which a client may have given
    /// names of descriptors.
    ///
    /// # Errors
    /// If no descriptor has such a name.
    pub(super) fn new(
        context: &CommandContext<'_>,
        class: &Class,
        request: Request,
        mut properties: Vec<(String, Given)>,
    ) -> Result<Self, CommandError> {
        let descriptors = put_numbers(context, class, &mut properties)?;
        let request =
            properties.into_iter().fold(request, |request, (name, value)| request.set(name, value));
        Ok(Self { request, descriptors })
    }

    /// A request that numbers no descriptor.
    pub(super) const fn of(request: Request) -> Self {
        Self { request, descriptors: Vec::new() }
    }

    /// The same for a machine that has the accelerator.
    pub(super) fn with_accel(self) -> Self {
        Self { request: self.request.set("accel", ACCELERATOR), ..self }
    }

    /// Creates it. The descriptors stay open for as long as the object is there.
    ///
    /// # Errors
    /// If it can't be, or the policy refuses it.
    pub(super) fn create(self, context: &CommandContext<'_>) -> Result<Created, CommandError> {
        let created = context.vm().create(vec![self.request])?;
        if let Some(object) = created.objects.first() {
            for descriptor in self.descriptors {
                context.platform().descriptors().keep(object, descriptor);
            }
        }
        Ok(created)
    }
}
