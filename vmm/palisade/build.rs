//! Tells the linker which functions run first, so that they lie side by side.
//!
//! `cargo xtask order` writes the file.

fn main() {
    let order = concat!(env!("CARGO_MANIFEST_DIR"), "/start.order");
    println!("cargo::rerun-if-changed={order}");
    println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={order}");
    // What an older program had is passed over in silence.
    println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
}
