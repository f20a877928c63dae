//! Percent-encoding, as the values of headers in a variable and the message of a gRPC status have it.

/// Decodes `%41`. A `%` that no two hexadecimal digits follow stands for itself.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut rest = text.as_ref();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        let escaped = match tail {
            [high, low, after @ ..] if *first == b'%' => digit(*high).zip(digit(*low)).map(|digits| (digits, after)),
            _ => None,
        };
        let (byte, next) = match escaped {
            Some(((high, low), after)) => (high << 4 | low, after),
            None => (*first, tail),
        };
        decoded.push(byte);
        rest = next;
    }
    decoded
}

fn digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_escape_stands_for_itself() {
        for (encoded, decoded) in [
            ("", ""),
            ("plain", "plain"),
            ("%41%2c%2C", "A,,"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
            ("%c3%a9", "\u{e9}"),
        ] {
            assert_eq!(decode(encoded), decoded.as_bytes(), "{encoded}");
        }
    }
}
