//! Assembles the guest of `palisade demo`, so that the program needs no file for it.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    fs::write(Path::new(&out).join("demo-guest.elf"), guests::demo()?)?;
    Ok(())
}
