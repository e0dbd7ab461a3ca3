//! The value of `-smp`: how many CPUs, and how they lie in sockets, cores and threads.

use super::excerpt::excerpt;
use super::key::{Key, names};
use super::keyval::{KeyvalError, OptionArgs, Syntax, Words};
use device_model::qom_core::Suggestion;

/// The syntax of `-smp`.
pub const SYNTAX: Syntax = Syntax { implied_key: Some("cpus"), words: Words::Refused, json: false };

/// The keys of `-smp`.
pub(super) const KEYS: [Key; 5] = [
    Key::number("cpus", "CPUs that there are"),
    Key::number("maxcpus", "CPUs that there could be"),
    Key::number("sockets", "Sockets"),
    Key::number("cores", "Cores of each socket"),
    Key::number("threads", "Threads of each core"),
];

/// What `-smp` said: the numbers that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmpRequest {
    cpus: Option<u32>,
    maxcpus: Option<u32>,
    sockets: Option<u32>,
    cores: Option<u32>,
    threads: Option<u32>,
}

/// A whole topology: `sockets * cores * threads == maxcpus`, `cpus <= maxcpus`, none zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    /// CPUs present at the start.
    pub cpus: u32,
    /// CPUs that there is room for.
    pub maxcpus: u32,
    /// Sockets in the machine.
    pub sockets: u32,
    /// Cores in a socket.
    pub cores: u32,
    /// Threads in a core.
    pub threads: u32,
}

/// What is wrong with the value of `-smp`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmpError {
    /// The text is outside the option syntax.
    #[error(transparent)]
    Keyval(#[from] KeyvalError),
    /// A key that does not exist.
    #[error("{key}: unknown key, expected cpus, maxcpus, sockets, cores or threads{suggestion}")]
    UnknownKey {
        /// The key, shortened where it is long.
        key: String,
        /// The nearest key.
        suggestion: Suggestion,
    },
    /// A value that is no count.
    #[error("{key}: expected a whole number from 1 to {max}, given '{given}'", max = u32::MAX)]
    Number {
        /// The key.
        key: String,
        /// The value, shortened where it is long.
        given: String,
    },
    /// The counts do not multiply to the number of CPUs.
    #[error(
        "sockets * cores * threads: expected the product to be {maxcpus} ({source_key}), \
         given {sockets} * {cores} * {threads}"
    )]
    Product {
        /// The number of CPUs that the product has to be.
        maxcpus: u32,
        /// Which key gave that number.
        source_key: &'static str,
        /// Sockets, given or worked out.
        sockets: u32,
        /// Cores in a socket, given or worked out.
        cores: u32,
        /// Threads in a core, given or worked out.
        threads: u32,
    },
    /// More CPUs at the start than there is room for.
    #[error("cpus: expected at most maxcpus={maxcpus}, given {cpus}")]
    TooManyCpus {
        /// CPUs at the start.
        cpus: u32,
        /// Room for CPUs.
        maxcpus: u32,
    },
    /// A product that does not fit.
    #[error("sockets * cores * threads: expected at most {max} CPUs, given more", max = u32::MAX)]
    TooLarge,
}

impl SmpRequest {
    /// Reads the keys of one `-smp`.
    ///
    /// # Errors
    /// [`SmpError`] for an unknown key or a value that is not a decimal number from 1 up.
    pub fn from_args(args: &OptionArgs) -> Result<Self, SmpError> {
        let mut request = Self::default();
        if let Some(cpus) = &args.implied {
            request.cpus = Some(count("cpus", cpus)?);
        }
        for (key, value) in &args.entries {
            let field = match key.as_str() {
                "maxcpus" => &mut request.maxcpus,
                "sockets" => &mut request.sockets,
                "cores" => &mut request.cores,
                "threads" => &mut request.threads,
                _ => {
                    let suggestion = Suggestion::of(key, names(&KEYS));
                    return Err(SmpError::UnknownKey { key: excerpt(key), suggestion });
                }
            };
            *field = Some(count(key, &value.to_string())?);
        }
        Ok(request)
    }

    /// This request with a later one laid over it, key by key, as QEMU does with several `-smp`.
    pub fn merged(self, later: Self) -> Self {
        Self {
            cpus: later.cpus.or(self.cpus),
            maxcpus: later.maxcpus.or(self.maxcpus),
            sockets: later.sockets.or(self.sockets),
            cores: later.cores.or(self.cores),
            threads: later.threads.or(self.threads),
        }
    }

    /// Works out what was not said.
    ///
    /// Without a number of CPUs, what is missing is 1 and the product is their number. With one
    /// (`maxcpus`, else `cpus`), it is spread over cores first, then sockets, then threads: of what
    /// is missing, the first of these takes what the others leave, and the others are 1.
    ///
    /// # Errors
    /// [`SmpError`] when the product does not come out at `maxcpus`, or `cpus` is above it.
    pub fn topology(self) -> Result<Topology, SmpError> {
        let (mut sockets, mut cores, mut threads) = (self.sockets, self.cores, self.threads);
        if let Some(total) = self.maxcpus.or(self.cpus) {
            let given = [sockets, cores, threads]
                .into_iter()
                .flatten()
                .try_fold(1u32, u32::checked_mul)
                .ok_or(SmpError::TooLarge)?;
            // No part is zero, so neither is the product; a part that does not divide evenly, or
            // not at all, shows in the product below.
            let left = total.checked_div(given).unwrap_or(1).max(1);
            let open = [&mut cores, &mut sockets, &mut threads];
            if let Some(first) = open.into_iter().find(|part| part.is_none()) {
                *first = Some(left);
            }
        }
        let (sockets, cores, threads) =
            (sockets.unwrap_or(1), cores.unwrap_or(1), threads.unwrap_or(1));
        let product = sockets
            .checked_mul(cores)
            .and_then(|product| product.checked_mul(threads))
            .ok_or(SmpError::TooLarge)?;
        let maxcpus = self.maxcpus.or(self.cpus).unwrap_or(product);
        if product != maxcpus {
            let source_key = if self.maxcpus.is_some() { "maxcpus" } else { "cpus" };
            return Err(SmpError::Product { maxcpus, source_key, sockets, cores, threads });
        }
        let cpus = self.cpus.unwrap_or(maxcpus);
        if cpus > maxcpus {
            return Err(SmpError::TooManyCpus { cpus, maxcpus });
        }
        Ok(Topology { cpus, maxcpus, sockets, cores, threads })
    }
}

fn count(key: &str, given: &str) -> Result<u32, SmpError> {
    let error = || SmpError::Number { key: key.to_owned(), given: excerpt(given) };
    if !given.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(error());
    }
    given.parse().ok().filter(|count| *count > 0).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topology(text: &str) -> Result<Topology, SmpError> {
        SmpRequest::from_args(&OptionArgs::parse(text, SYNTAX)?)?.topology()
    }

    fn counts(text: &str) -> [u32; 5] {
        let Topology { cpus, maxcpus, sockets, cores, threads } = topology(text).unwrap();
        [cpus, maxcpus, sockets, cores, threads]
    }

    #[test]
    fn a_bare_number_is_that_many_cores() {
        assert_eq!(counts("4"), [4, 4, 1, 4, 1]);
        assert_eq!(counts("cpus=4"), [4, 4, 1, 4, 1]);
    }

    #[test]
    fn what_is_missing_is_worked_out() {
        assert_eq!(counts("8,sockets=2"), [8, 8, 2, 4, 1]);
        assert_eq!(counts("8,cores=2"), [8, 8, 4, 2, 1]);
        assert_eq!(counts("8,threads=2"), [8, 8, 1, 4, 2]);
        assert_eq!(counts("8,sockets=2,cores=2"), [8, 8, 2, 2, 2]);
        assert_eq!(counts("2,maxcpus=8"), [2, 8, 1, 8, 1]);
        assert_eq!(counts("sockets=2,cores=3"), [6, 6, 2, 3, 1]);
        assert_eq!(counts("maxcpus=6,threads=2"), [6, 6, 1, 3, 2]);
        assert_eq!(counts(""), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn the_product_has_to_come_out() {
        assert_eq!(
            topology("6,sockets=2,cores=2,threads=2").unwrap_err().to_string(),
            "sockets * cores * threads: expected the product to be 6 (cpus), given 2 * 2 * 2"
        );
        assert!(matches!(topology("7,sockets=2"), Err(SmpError::Product { maxcpus: 7, .. })));
        assert!(matches!(topology("1,sockets=2"), Err(SmpError::Product { maxcpus: 1, .. })));
        assert!(matches!(
            topology("2,maxcpus=9,cores=2"),
            Err(SmpError::Product { source_key: "maxcpus", .. })
        ));
    }

    #[test]
    fn the_cpus_have_to_fit() {
        assert_eq!(
            topology("9,maxcpus=8").unwrap_err().to_string(),
            "cpus: expected at most maxcpus=8, given 9"
        );
    }

    #[test]
    fn overflow_is_an_error() {
        assert_eq!(topology("sockets=65536,cores=65536"), Err(SmpError::TooLarge));
        assert_eq!(topology("1,sockets=65536,cores=65536,threads=2"), Err(SmpError::TooLarge));
    }

    #[test]
    fn counts_are_decimal_from_one_up() {
        for text in ["0", "-1", "+1", "1.5", "0x4", "4294967296", "four", "cores=", "1 "] {
            assert!(matches!(topology(text), Err(SmpError::Number { .. })), "{text}");
        }
    }

    #[test]
    fn a_mistyped_key_names_the_nearest() {
        assert_eq!(
            topology("4,core=2").unwrap_err().to_string(),
            "core: unknown key, expected cpus, maxcpus, sockets, cores or threads; \
             did you mean 'cores'?"
        );
    }

    #[test]
    fn a_later_request_overrides_key_by_key() {
        let read = |text| SmpRequest::from_args(&OptionArgs::parse(text, SYNTAX).unwrap()).unwrap();
        let merged = read("4,sockets=4").merged(read("cpus=8,threads=2"));
        assert_eq!(merged, read("8,sockets=4,threads=2"));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "(cpus|cores|sockets|maxcpus)?=?[0-9]{0,11}|.*") {
            let _ = topology(&text);
        }

        #[test]
        fn every_topology_adds_up(
            cpus in prop::option::of(1u32..70_000),
            maxcpus in prop::option::of(1u32..70_000),
            sockets in prop::option::of(1u32..300),
            cores in prop::option::of(1u32..300),
            threads in prop::option::of(1u32..300),
        ) {
            let request = SmpRequest { cpus, maxcpus, sockets, cores, threads };
            if let Ok(found) = request.topology() {
                prop_assert_eq!(found.sockets * found.cores * found.threads, found.maxcpus);
                prop_assert!(0 < found.cpus && found.cpus <= found.maxcpus);
                prop_assert!(cpus.is_none_or(|given| given == found.cpus));
                prop_assert!(maxcpus.is_none_or(|given| given == found.maxcpus));
                prop_assert!(sockets.is_none_or(|given| given == found.sockets));
                prop_assert!(cores.is_none_or(|given| given == found.cores));
                prop_assert!(threads.is_none_or(|given| given == found.threads));
            }
        }
    }
}
