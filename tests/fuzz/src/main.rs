//! The fuzzer: libFuzzer around the target that the environment names.

#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

/// The function of the target that the environment names; ends the process if there is none.
fn chosen() -> fn(&[u8]) {
    // As in programs whose `main` is Rust's: who writes to a reader that has gone gets an error.
    if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::default()) {
        eprintln!("fuzz: can't take over SIGPIPE: {error}");
        std::process::exit(2);
    }
    let name = std::env::var(fuzz::TARGET_VARIABLE).unwrap_or_default();
    match fuzz::find(&name) {
        Some(target) => target.run,
        None => {
            eprintln!("fuzz: {} is '{name}', which is no target", fuzz::TARGET_VARIABLE);
            std::process::exit(2);
        }
    }
}

fuzz_target!(|data: &[u8]| RUN.get_or_init(chosen)(data));
