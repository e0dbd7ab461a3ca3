//! Addresses of network cards, as users write them.

use std::fmt;

use device_model::prelude::*;

use super::spec::ADDRESS;

/// The address of a network card (IEEE 802, section 8): six bytes in hexadecimal with colons between
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MacAddress(pub [u8; ADDRESS]);

impl MacAddress {
    /// What a card has that is given none, if it is the first (QEMU's `net/net.c` has the same);
    /// those that follow count up.
    pub const FIRST: Self = Self([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
    /// All stations.
    pub const BROADCAST: Self = Self([0xff; ADDRESS]);

    /// Whether it is of a group of stations.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// The first of the addresses for cards that are given none that is not among those, if any is
    /// left.
    #[must_use]
    pub fn free(taken: &[Self]) -> Option<Self> {
        let Self([a, b, c, d, e, first]) = Self::FIRST;
        let mut all = (first..=u8::MAX).chain(0..first).map(|last| Self([a, b, c, d, e, last]));
        all.find(|address| !taken.contains(address))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}

impl PropertyType for MacAddress {
    fn value_type() -> ValueType {
        String::value_type()
    }

    fn from_text(text: &str) -> Result<Self, ValueError> {
        let problem = || ValueError::Type {
            expected: "six bytes in hexadecimal, as 52:54:00:12:34:56",
            given: text.to_owned(),
        };
        let mut bytes = [0; ADDRESS];
        let mut words = text.split([':', '-']);
        for byte in &mut bytes {
            let word = words.next().filter(|word| word.len() == 2).ok_or_else(problem)?;
            let is_hex = word.bytes().all(|digit| digit.is_ascii_hexdigit());
            let value = u8::from_str_radix(word, 16).ok().filter(|_| is_hex);
            *byte = value.ok_or_else(problem)?;
        }
        match words.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(problem()),
        }
    }

    fn from_json(value: &qom_core::Value) -> Result<Self, ValueError> {
        Self::from_text(&String::from_json(value)?)
    }

    fn to_json(&self) -> qom_core::Value {
        self.to_string().to_json()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let address = MacAddress::from_text("52:54:00:AB:cd:0f").unwrap();
        assert_eq!(address.to_string(), "52:54:00:ab:cd:0f");
        assert_eq!(MacAddress::from_text("52-54-00-ab-cd-0f").unwrap(), address);
        assert_eq!(MacAddress::from_json(&address.to_json()).unwrap(), address);
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            ":",
            "52:54:00:12:34",
            "52:54:00:12:34:56:78",
            "52:54:00:12:34:",
            "52:54:0:12:34:56",
            "52:54:000:12:34:56",
            "52:54:+0:12:34:56",
            "52:54:0g:12:34:56",
            "5254.0012.3456",
            "52:54:00:12:34:é",
        ] {
            MacAddress::from_text(text).expect_err(text);
        }
    }

    #[test]
    fn addresses_count_up_past_those_that_are_taken() {
        let first = MacAddress::FIRST;
        assert_eq!(MacAddress::free(&[]), Some(first));
        let second = MacAddress::free(&[first]).unwrap();
        assert_eq!(second.to_string(), "52:54:00:12:34:57");
        assert_eq!(MacAddress::free(&[second]), Some(first));
        let mut taken = Vec::new();
        while let Some(next) = MacAddress::free(&taken) {
            taken.push(next);
        }
        assert_eq!(taken.len(), 256, "then there is none");
    }
}
