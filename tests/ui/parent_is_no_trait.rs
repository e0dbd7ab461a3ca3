//! Parents that are no classes: a struct, a text, a trait of another kind.
use qom_core::{Object, qom_type};

/// A serial port.
#[qom_type(parent = Object)]
struct Serial;

/// A better one; but a struct is final.
#[qom_type(parent = Serial)]
struct BetterSerial;

/// The name of a class is the trait's.
#[qom_type(parent = "object")]
struct Text;

/// So is a path to nothing.
#[qom_type(parent = dyn Object)]
struct Dyn;

trait Plain {}
impl Plain for NoClass {}

/// The parent is a trait, and no class.
#[qom_type(parent = Plain)]
struct NoClass;

fn main() {}
