//! Numbers and data as commands have them.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Reads a number: decimal, or hexadecimal after `0x`. Other numbers than 0 do not start with a 0,
/// which QEMU would read as octal. None: it is no such number, or is more than 64 bits wide.
pub(super) fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => return None,
        None => (text, 10),
    };
    // A sign is no digit, though Rust reads one.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Reads bytes, two hex digits each, after `0x`.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

/// Writes bytes as [`hex`] reads them.
pub(super) fn to_hex(data: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    let mut text = String::with_capacity(2 + 2 * data.len());
    text.push_str("0x");
    for byte in data {
        text.extend([digit(byte >> 4), digit(*byte)]);
    }
    text
}

/// Reads bytes in base64 with its padding (RFC 4648, section 4).
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Writes bytes as [`base64`](fn@base64) reads them.
pub(super) fn to_base64(data: &[u8]) -> String {
    STANDARD.encode(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal_and_nothing_else() {
        for (text, value) in [
            ("0", 0),
            ("10", 10),
            ("0x10", 16),
            ("0XfF", 255),
            ("18446744073709551615", u64::MAX),
            ("0x0000000000000000000001", 1),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        for text in [
            "",
            "0x",
            "+1",
            "-1",
            "0x-1",
            "0x+1",
            "010",
            "1f",
            "1_0",
            "0x1g",
            "٣",
            "18446744073709551616",
            "0x10000000000000000",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn data_is_read_as_it_is_written() {
        let data: Vec<u8> = (0..=255).collect();
        assert_eq!(hex(&to_hex(&data)), Some(data.clone()));
        assert_eq!(base64(&to_base64(&data)), Some(data));
        assert_eq!(to_hex(&[0, 0xaf, 0x10]), "0x00af10");
        assert_eq!(hex("0xAf"), Some(vec![0xaf]));
        assert_eq!(hex("0x"), Some(Vec::new()));
        for text in ["", "af", "0xa", "0x0g", "0x+1", "0xaé"] {
            assert_eq!(hex(text), None, "{text}");
        }
        assert_eq!(to_base64(b"qtest"), "cXRlc3Q=");
        for text in ["cXRlc3Q", "cXRlc3Q= ", "-_==", "="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }
}
