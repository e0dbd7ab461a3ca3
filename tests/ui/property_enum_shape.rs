//! An enumeration of words has words and nothing else.
use qom_core::PropertyEnum;

#[derive(Clone, PropertyEnum)]
struct NoEnum;

#[derive(Clone, PropertyEnum)]
enum Empty {}

#[derive(Clone, PropertyEnum)]
enum Fields {
    Number(u8),
    Named { number: u8 },
}

#[derive(Clone, PropertyEnum)]
enum Words {
    LineWise,
    #[property(name = "line-wise")]
    Line,
    #[property(name = "Not Valid")]
    Other,
    #[property(nam = "x")]
    Third,
}

#[derive(Clone, PropertyEnum)]
enum Generic<T> {
    Word(T),
}

fn main() {}
