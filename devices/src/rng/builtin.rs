//! `rng-builtin`: random numbers from the kernel's generator.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use device_model::{
    prelude::*,
    qom_core::BoxedError,
    rng_backend::{EntropySource, RngBackend},
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::source::{Generator, Source};

/// Random numbers from the generator of the host's kernel
///
/// It asks the kernel as every program does (`getrandom(2)`) and needs no file.
#[qom_type(secure, parent = RngBackend, interfaces(UserCreatable))]
#[derive(Debug)]
pub struct RngBuiltin {
    works: AtomicBool,
}

struct Kernel;

impl Generator for Kernel {
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(getrandom(bytes, GetRandomFlags::NONBLOCK)?)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn ends(&self) -> bool {
        false
    }
}

impl RngBackend for RngBuiltin {
    fn open(&self, events: &Arc<EventLoop>) -> io::Result<Box<dyn EntropySource>> {
        if !self.works.load(Ordering::Acquire) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(Box::new(Source::new(Arc::new(Kernel), events)?))
    }
}

impl UserCreatable for RngBuiltin {
    fn complete(&self, _object: &Obj, _platform: &Platform) -> Result<(), BoxedError> {
        self.works.store(true, Ordering::Release);
        Ok(())
    }

    fn undo(&self) {
        self.works.store(false, Ordering::Release);
    }
}
