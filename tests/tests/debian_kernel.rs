//! A distribution's kernel boots as the distribution ships it.

use rustix::process::Signal;
use tests::{Vmm, debian_kernel};

/// The processor of the host without what hosts that emulate every instruction can't execute. On
/// others it does no harm.
const CPU: &str = "-cpu host,-cx16,-xsave,-popcnt,-smap,-rdtscp,-invpcid";

#[test]
fn debians_bzimage_boots_until_it_knows_its_memory_and_ends_by_a_signal() {
    // `earlyprintk` has the kernel write from its first line on; with `console=ttyS0` alone it keeps
    // its lines until its serial driver starts, which is after an instruction of its own checks that
    // hosts that emulate every one can't execute.
    let options = ["-append", "console=ttyS0 earlyprintk=ttyS0"];
    let vmm = Vmm::line("-m 256M").and(CPU).kernel(debian_kernel()).args(options);
    let running = vmm.start();
    running.wait_for("Linux version ");
    running.wait_for("Command line: console=ttyS0 earlyprintk=ttyS0");
    running.wait_for("BIOS-e820: [mem 0x0000000000100000-0x000000000fffffff] usable");
    running.wait_for("Zone ranges:");
    running.signal(Signal::TERM);
    let ended = running.finish().code(0);
    ended.complains_only(&["palisade: terminating on signal 15"]);
}
