//! A node in memory that fails, and takes its time, as a test wants it.

use std::{
    collections::VecDeque,
    io,
    sync::atomic::{AtomicBool, Ordering},
};

use device_model::{
    block::{BlockError, Command, OpenContext, Operation, Pending, Submission},
    prelude::*,
};

/// Disk in memory that a test governs
#[qom_type(secure, name = "blockdev-test-node", parent = BlockNode)]
pub(crate) struct TestNode {
    /// Its length
    #[property(default = Size(1 << 16))]
    size: Size,
    bytes: Mutex<Vec<u8>>,
    /// How the next requests fail; none of them does that is not here.
    failures: Mutex<VecDeque<i32>>,
    /// What came, in order: what it was, where it begins, how far it reaches.
    came: Mutex<Vec<(Command, u64, u64)>>,
    holds: AtomicBool,
    held: Mutex<Vec<Pending>>,
}

impl TestNode {
    /// The next request fails with this error number, and so on.
    pub(crate) fn fail(&self, errors: impl IntoIterator<Item = i32>) {
        self.failures.lock().extend(errors);
    }

    /// What came since this was last called.
    pub(crate) fn came(&self) -> Vec<(Command, u64, u64)> {
        std::mem::take(&mut *self.came.lock())
    }

    /// Whether it answers nothing until it is let go.
    pub(crate) fn hold(&self, holds: bool) {
        self.holds.store(holds, Ordering::Release);
    }

    /// How many requests wait.
    pub(crate) fn holding(&self) -> usize {
        self.held.lock().len()
    }

    /// Does what waits.
    pub(crate) fn let_go(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        for mut request in held {
            let result = request.with_operation(|operation| self.perform(operation));
            request.complete(result);
        }
    }

    pub(crate) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock()
    }
}

fn span(bytes: &mut [u8], offset: u64, length: usize) -> &mut [u8] {
    let offset = usize::try_from(offset).expect("it is small");
    &mut bytes[offset..offset + length]
}

impl BlockNode for TestNode {
    fn open(&self, _: &OpenContext<'_>) -> Result<(), BlockError> {
        *self.bytes.lock() = vec![0; usize::try_from(self.size.0).expect("it is small")];
        Ok(())
    }

    fn close(&self) {}

    fn length(&self) -> u64 {
        self.bytes.lock().len() as u64
    }

    fn is_writable(&self) -> bool {
        !self.read_only()
    }

    fn filename(&self) -> String {
        "test".to_owned()
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        let (mut bytes, (mut offset, length)) = (self.bytes.lock(), operation.range());
        let command = match operation {
            Operation::Read { .. } => Command::Read,
            Operation::Write { .. } => Command::Write,
            Operation::Flush => Command::Flush,
            Operation::Discard { .. } => Command::Discard,
            Operation::WriteZeroes { unmap, .. } => Command::WriteZeroes { unmap: *unmap },
        };
        self.came.lock().push((command, offset, length));
        if let Some(error) = self.failures.lock().pop_front() {
            return Err(io::Error::from_raw_os_error(error));
        }
        match operation {
            Operation::Read { into, .. } => {
                for buffer in *into {
                    buffer.copy_from(span(&mut bytes, offset, buffer.len()));
                    offset += buffer.len() as u64;
                }
            }
            Operation::Write { from, .. } => {
                for buffer in *from {
                    buffer.copy_to(span(&mut bytes, offset, buffer.len()));
                    offset += buffer.len() as u64;
                }
            }
            Operation::WriteZeroes { .. } => {
                span(&mut bytes, offset, usize::try_from(length).expect("it is small")).fill(0);
            }
            Operation::Flush | Operation::Discard { .. } => {}
        }
        Ok(())
    }

    fn submit(&self, request: Pending) -> Submission {
        if self.holds.load(Ordering::Acquire) {
            self.held.lock().push(request);
            return Submission::Taken;
        }
        Submission::MayWait(request)
    }

    fn resize(&self, length: u64) -> Result<(), BlockError> {
        self.bytes.lock().resize(usize::try_from(length).expect("it is small"), 0);
        Ok(())
    }
}
