//! The whole command line: everything that can be asked of it has an answer, and what more is said
//! of the policy never loosens it.

use crate::Target;
use device_model::qom_core::Policy;
use vmm::options::command_line::CommandLine;

inventory::submit!(Target { name: "command-line", covers: &[], run });

/// Arguments, separated by newlines.
fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    // It would read a file of the host, which is its use; what is in one is another target.
    if text.contains("readconfig") {
        return;
    }
    match CommandLine::parse(text.split('\n').map(Into::into)) {
        Ok(line) => {
            judge(&line);
            assert!(line.entries().iter().all(|entry| !entry.to_string().is_empty()));
        }
        Err(error) => assert!(error.to_string().len() < 8192, "a message of any length"),
    }
}

fn judge(line: &CommandLine) {
    let _ = (line.machine(), line.cpu(), line.display(), line.is_paused(), line.has_no_reboot());
    if let Some((entry, size)) = line.memory() {
        assert_ne!(size, 0, "{entry}");
    }
    if let Some((_, topology)) = line.topology() {
        let parts = topology.sockets.checked_mul(topology.cores);
        assert!(parts.and_then(|parts| parts.checked_mul(topology.threads)).is_some());
    }
    for statement in line.compat_statements() {
        assert!(!statement.to_string().is_empty());
    }
    let mut stated = Vec::new();
    for (entry, statement) in line.policy_statements() {
        let before = Policy::of(&stated);
        let any = !stated.is_empty();
        stated.push(statement);
        let after = Policy::of(&stated);
        if any {
            assert!(before.undeclared() <= after.undeclared(), "{entry}");
            assert!(before.insecure() <= after.insecure(), "{entry}");
        }
    }
}
