//! How much memory a program takes for itself.
//!
//! The guest has written its first byte and runs in circles, so that everything is set up and
//! nothing changes. Then the peak of the program's resident memory (`VmHWM` in `/proc/PID/status`)
//! less what is resident of the guest's memory (the mapping of at least 128 MiB in
//! `/proc/PID/smaps`) is the program's own: its code and libraries, heap, stacks. Pages that it
//! shares with others count in full, for either program.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use super::process;

/// KiB of the guest's memory.
const GUEST_KIB: u64 = 128 << 10;
/// How long the program is given to come to rest after the guest's first byte.
const REST: Duration = Duration::from_millis(10);

/// The program's own peak, in MiB.
pub(super) fn own_peak(command: &mut Command) -> Result<f64> {
    let (mut child, mut output) = process::spawn(command)?;
    let sampled = (|| {
        ensure!(process::read(&mut output, &mut [0])?, "the guest wrote nothing");
        thread::sleep(REST);
        let folder = format!("/proc/{}", child.id());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let smaps = fs::read_to_string(format!("{folder}/smaps"))?;
        own_kib(&status, &smaps)
    })();
    // It would run for ever.
    child.kill()?;
    child.wait()?;
    // A process's pages are few: nothing is lost.
    #[allow(clippy::cast_precision_loss)]
    Ok(sampled? as f64 / 1024.0)
}

/// The peak less the guest's memory, in KiB, from the texts of the two files (proc(5)).
fn own_kib(status: &str, smaps: &str) -> Result<u64> {
    let peak = status.lines().find_map(|line| field(line, "VmHWM:")).context("no VmHWM")?;
    let mut guest = None;
    let mut is_guest = false;
    for line in smaps.lines() {
        if let Some(size) = field(line, "Size:") {
            is_guest = size >= GUEST_KIB;
        } else if is_guest && let Some(resident) = field(line, "Rss:") {
            ensure!(guest.is_none(), "two mappings are as large as the guest's memory");
            guest = Some(resident);
        }
    }
    let guest = guest.context("no mapping is as large as the guest's memory")?;
    peak.checked_sub(guest).context("more of the guest's memory is resident than of all")
}

/// The number of a line such as `Rss:    12 kB`.
fn field(line: &str, name: &str) -> Option<u64> {
    line.strip_prefix(name)?.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nVmPeak:\t  140000 kB\nVmHWM:\t    3000 kB\nVmRSS:\t 2900 kB\n";
    const SMALL: &str = "00400000-00500000 r-xp 0 0:0 0 x\nSize:   1024 kB\nRss:   900 kB\n";
    const GUEST: &str = "7f00-7f80 rw-p 0 0:0 0\nSize:   131072 kB\nRss:    44 kB\nPss:    44 kB\n";

    #[test]
    fn the_guest_s_memory_is_taken_off() {
        assert_eq!(own_kib(STATUS, &[SMALL, GUEST, SMALL].concat()).unwrap(), 2956);
    }

    #[test]
    fn a_guest_that_is_not_found_is_no_measurement() {
        let message = |smaps: &str| own_kib(STATUS, smaps).unwrap_err().to_string();
        assert_eq!(message(SMALL), "no mapping is as large as the guest's memory");
        let twice = [GUEST, GUEST].concat();
        assert_eq!(message(&twice), "two mappings are as large as the guest's memory");
    }
}
