//! Whole guests, macro diagnostics, policy: tests that start the real program.
