//! `null-co`: a disk that keeps nothing, to measure what stands before it.

use std::{io, thread, time::Duration};

use device_model::{
    block::{BlockError, Command, OpenContext, Operation, Pending, Submission, zero},
    prelude::*,
};

/// Disk that keeps nothing
#[qom_type(secure, parent = BlockNode)]
#[derive(Debug)]
pub struct BlockdevNullCo {
    /// Its length
    #[property(default = Size(1 << 30))]
    size: Size,
    /// How long each request takes, in nanoseconds
    #[property(name = "latency-ns")]
    latency: u64,
    /// Whether it reads as zeroes, rather than leaving what is in the reader's buffers
    #[property]
    read_zeroes: bool,
    is_open: Realized<()>,
}

impl BlockdevNullCo {
    fn answer(&self, operation: &Operation<'_>) {
        if let Operation::Read { into, .. } = operation
            && self.read_zeroes
        {
            zero(into);
        }
    }
}

impl BlockNode for BlockdevNullCo {
    fn open(&self, _: &OpenContext<'_>) -> Result<(), BlockError> {
        self.is_open.set(());
        Ok(())
    }

    fn close(&self) {
        self.is_open.clear();
    }

    fn length(&self) -> u64 {
        if self.is_open.is_set() { self.size.0 } else { 0 }
    }

    fn is_writable(&self) -> bool {
        !self.read_only()
    }

    fn filename(&self) -> String {
        "null-co://".to_owned()
    }

    fn allocated(&self) -> Option<u64> {
        Some(0)
    }

    fn perform(&self, operation: &Operation<'_>) -> io::Result<()> {
        if self.latency > 0 {
            thread::sleep(Duration::from_nanos(self.latency));
        }
        self.answer(operation);
        Ok(())
    }

    fn submit(&self, mut request: Pending) -> Submission {
        if self.latency > 0 {
            return Submission::MayWait(request);
        }
        let result = match request.what().0 {
            Command::Read if self.read_zeroes => request.with_operation(|operation| {
                self.answer(operation);
                Ok(())
            }),
            _ => Ok(()),
        };
        Submission::Done(request, result)
    }
}
