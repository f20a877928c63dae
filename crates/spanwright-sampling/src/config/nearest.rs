//! What somebody may have meant.

/// Of the `known` words the one that `word` is most likely a slip of, if it is near enough to one to say so.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Nobody writes such a word by accident, and the distance costs the product of the lengths.
    if word.len() > 64 {
        return None;
    }
    // The whole word in another, or what stands before a slash, is nearer than any number of letters.
    let stem = |word: &str| -> String {
        let stem = word.strip_prefix("spanwright/").unwrap_or(word);
        let stem = stem.strip_suffix("/development").unwrap_or(stem);
        stem.to_ascii_lowercase().replace('-', "_")
    };
    let wanted = stem(word);
    let ranked = known.iter().map(|known| (distance(&wanted, &stem(known)), *known));
    let (distance, nearest) = ranked.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + wanted.chars().count() / 4).then_some(nearest)
}

/// How many letters must be added, left out or changed to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = [
            "always_on",
            "probability/development",
            "sampler",
            "spanwright/adaptive",
            "span_names",
        ];
        for (word, expected) in [
            ("smapler", Some("sampler")),
            ("alwayson", Some("always_on")),
            ("Always-On", Some("always_on")),
            ("probability", Some("probability/development")),
            ("adaptive", Some("spanwright/adaptive")),
            ("adaptive/development", Some("spanwright/adaptive")),
            ("span_name", Some("span_names")),
            ("something_else", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(65), &known), None);
        assert_eq!(nearest("sampler", &[]), None);
    }
}
