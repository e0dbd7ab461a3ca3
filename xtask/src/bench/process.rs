//! How long a program takes: to its first byte of output, between the first and the last, and to
//! its end.

use std::{
    io::{ErrorKind, Read},
    process::{Child, ChildStdout, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// The times of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// From before the process is made until its first byte is read.
    pub(super) first_byte: Duration,
    /// From the first byte until the last; none if there was only one.
    pub(super) between: Option<Duration>,
    /// From before the process is made until it has ended and been waited for.
    pub(super) whole: Duration,
}

/// Runs a program whose standard output is a pipe.
pub(super) fn run(command: &mut Command) -> Result<Run> {
    let start = Instant::now();
    let (mut child, mut output) = spawn(command)?;
    let mut byte = [0];
    let mut first = None;
    let mut last = None;
    while read(&mut output, &mut byte)? {
        let now = Instant::now();
        if first.is_none() {
            first = Some(now);
        } else {
            last = Some(now);
        }
    }
    let status = child.wait()?;
    let whole = start.elapsed();
    let name = command.get_program().to_string_lossy();
    ensure!(status.success(), "{name} failed ({status})");
    let first = first.with_context(|| format!("{name} wrote nothing"))?;
    Ok(Run { first_byte: first - start, between: last.map(|last| last - first), whole })
}

/// Starts a program whose standard output is a pipe.
pub(super) fn spawn(command: &mut Command) -> Result<(Child, ChildStdout)> {
    let mut child = command
        .spawn()
        .with_context(|| format!("can't run {}", command.get_program().to_string_lossy()))?;
    let output = child.stdout.take().context("the program's output is not a pipe")?;
    Ok((child, output))
}

/// Reads one byte. False at the end.
pub(super) fn read(output: &mut ChildStdout, byte: &mut [u8; 1]) -> Result<bool> {
    loop {
        match output.read(byte) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("can't read the program's output"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    #[test]
    fn times_come_in_their_order() {
        let run = run(&mut shell("printf A; sleep 0.05; printf B; sleep 0.05")).unwrap();
        let between = run.between.unwrap();
        assert!(!between.is_zero(), "{run:?}");
        assert!(run.whole >= run.first_byte + between + Duration::from_millis(50), "{run:?}");
    }

    #[test]
    fn one_byte_has_nothing_between() {
        assert!(run(&mut shell("printf A")).unwrap().between.is_none());
    }

    #[test]
    fn silence_and_failure_are_errors() {
        assert_eq!(run(&mut shell(":")).unwrap_err().to_string(), "sh wrote nothing");
        let error = run(&mut shell("printf A; exit 3")).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
    }
}
