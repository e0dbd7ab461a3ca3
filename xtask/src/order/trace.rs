//! Which functions a program calls, in the order of the first call of each.
//!
//! A breakpoint stands at the first byte of every function and goes when it is met, so that the
//! program soon runs at its own pace.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use rustix::process::{WaitOptions, wait};

use super::functions::Functions;

/// `int3`: the instruction that stops a program for who traces it (Intel SDM, volume 2).
const BREAKPOINT: u8 = 0xcc;

/// Stops before it becomes the program, so that it can be traced from the first instruction on.
const STOP_FIRST: &str = r#"kill -STOP $$; exec "$0" "$@""#;

/// The addresses of the functions that a program calls until it ends, as its file gives them.
pub(super) fn first_calls(command: &mut Command, functions: &Functions) -> Result<Vec<u64>> {
    let mut stopped = Command::new("sh");
    stopped.args(["-c", STOP_FIRST]).arg(command.get_program()).args(command.get_args());
    let child = stopped.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let traced = follow(pid, functions);
    if traced.is_err() {
        // It may have ended; each of its threads is waited for, as each is traced.
        let _ = kill(pid, Signal::SIGKILL);
        while wait(EVERY_THREAD).is_ok() {}
    }
    traced
}

/// Waits for threads too that are no process, but only for those that this thread has traced.
const EVERY_THREAD: WaitOptions =
    WaitOptions::from_bits_retain((libc::__WALL | libc::__WNOTHREAD).cast_unsigned());

fn follow(pid: Pid, functions: &Functions) -> Result<Vec<u64>> {
    waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    let options =
        Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).context("can't trace the program")?;
    kill(pid, Signal::SIGCONT)?;
    let mut breakpoints = None;
    let mut calls = Vec::new();
    loop {
        let (thread, status) = wait(EVERY_THREAD)?.context("no thread is left to wait for")?;
        let thread = Pid::from_raw(thread.as_raw_nonzero().get());
        if let Some(signal) = status.stopping_signal() {
            // The upper half tells that it is no signal but an event of the trace (ptrace(2)).
            let event = status.as_raw() >> 16;
            if event == libc::PTRACE_EVENT_EXEC {
                breakpoints = Some(Breakpoints::set(thread, functions)?);
            }
            let mut delivered = if event == 0 { signal } else { 0 };
            if delivered == libc::SIGTRAP {
                let met = breakpoints.as_mut().context("a trap before the program began")?;
                calls.extend(met.take(thread)?);
                delivered = 0;
            }
            go_on(thread, delivered)?;
        } else if thread == pid {
            match status.exit_status() {
                Some(0) => return Ok(calls),
                Some(code) => bail!("the program ended with status {code}"),
                None => bail!("the program was ended by signal {:?}", status.terminating_signal()),
            }
        }
    }
}

/// Lets a stopped thread run, and delivers a signal to it unless that is 0.
///
/// A real-time signal is one of those that a monitor calls its processors with, and has no name in
/// the crate that wraps the rest of ptrace.
#[allow(unsafe_code)]
fn go_on(thread: Pid, signal: i32) -> Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_CONT takes no address, and its data is the signal's number itself: no memory
    // of this process is touched. The thread is traced by this one.
    let done = unsafe {
        libc::ptrace(libc::PTRACE_CONT, thread.as_raw(), nothing, libc::c_long::from(signal))
    };
    match Errno::result(done) {
        // Another thread has ended the program meanwhile.
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("can't let the program go on"),
    }
}

/// The breakpoints in a running program.
struct Breakpoints {
    memory: File,
    /// From an address in the file to one in memory.
    slide: u64,
    /// What stood where a breakpoint stands or stood, by address in the file.
    first_bytes: HashMap<u64, u8>,
    /// Those not met yet.
    armed: HashMap<u64, u8>,
}

impl Breakpoints {
    fn set(pid: Pid, functions: &Functions) -> Result<Self> {
        let memory = format!("/proc/{pid}/mem");
        let memory = OpenOptions::new().read(true).write(true).open(&memory)?;
        let (address, offset) = functions.code();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let start = maps.lines().find_map(executable).context("no code is mapped")?;
        // A mapping begins with a page, the code within it.
        let slide = (start.0 + (offset - start.1)).wrapping_sub(address);
        let mut first_bytes = HashMap::new();
        for function in functions.addresses() {
            let mut byte = [0];
            let at = function.wrapping_add(slide);
            memory.read_exact_at(&mut byte, at)?;
            memory.write_all_at(&[BREAKPOINT], at)?;
            first_bytes.insert(function, byte[0]);
        }
        Ok(Self { memory, slide, armed: first_bytes.clone(), first_bytes })
    }

    /// Takes away the breakpoint that a thread has met, if it stands yet: two threads may meet one.
    fn take(&mut self, thread: Pid) -> Result<Option<u64>> {
        let mut registers = ptrace::getregs(thread)?;
        let at = registers.rip - 1;
        let function = at.wrapping_sub(self.slide);
        ensure!(self.first_bytes.contains_key(&function), "a trap at {at:#x}, of no function");
        registers.rip = at;
        ptrace::setregs(thread, registers)?;
        let Some(byte) = self.armed.remove(&function) else { return Ok(None) };
        self.memory.write_all_at(&[byte], at)?;
        Ok(Some(function))
    }
}

/// The address and the offset of a line of `/proc/PID/maps` that maps code of a file (proc(5)).
fn executable(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let (start, _) = fields.next()?.split_once('-')?;
    let is_code = fields.next()?.contains('x');
    let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let is_file = fields.nth(2).is_some_and(|path| path.starts_with('/'));
    let start = u64::from_str_radix(start, 16).ok()?;
    (is_code && is_file).then_some((start, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_file_is_told_from_other_mappings() {
        let code = "7f4e18343000-7f4e1882e000 r-xp 00142000 fe:00 6521731   /bin/palisade";
        assert_eq!(executable(code), Some((0x7f4e_1834_3000, 0x14_2000)));
        assert_eq!(executable(&code.replace("r-xp", "r--p")), None);
        assert_eq!(executable("7f4e189fb000-7f4e189fd000 r-xp 0 00:00 0    [vdso]"), None);
    }

    #[test]
    fn functions_come_in_the_order_of_their_first_calls() {
        // This program, which lists its tests and calls `main` first of all that is Rust's.
        let this = std::env::current_exe().unwrap();
        let functions = Functions::read(&this).unwrap();
        let mut command = Command::new(&this);
        let calls = first_calls(command.arg("--list"), &functions).unwrap();
        let name =
            |name| calls.iter().position(|at| functions.names(*at).iter().any(|n| n == name));
        let (start, main) = (name("_start").unwrap(), name("main").unwrap());
        assert!(start < main, "{start} {main}");
        let distinct: std::collections::HashSet<_> = calls.iter().collect();
        assert_eq!(distinct.len(), calls.len());
    }

    #[test]
    fn a_program_that_fails_gives_no_order() {
        let this = std::env::current_exe().unwrap();
        let functions = Functions::read(&this).unwrap();
        let mut command = Command::new(&this);
        let error = first_calls(command.arg("--no-such-option"), &functions).unwrap_err();
        assert!(error.to_string().starts_with("the program ended with status"), "{error}");
    }
}
