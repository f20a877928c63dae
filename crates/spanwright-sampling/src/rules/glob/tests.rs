use proptest::prelude::*;

use super::*;

/// By the definition: each star is tried with every length. Exponential.
fn reference(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([MANY, behind @ ..], _) => (0..=text.len()).any(|skipped| reference(behind, &text[skipped..])),
        ([ONE, pattern @ ..], [_, text @ ..]) => reference(pattern, text),
        ([wanted, pattern @ ..], [found, text @ ..]) if wanted == found => reference(pattern, text),
        _ => false,
    }
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// Few characters, so that much fits; one of them of two bytes and one of four.
fn pattern() -> impl Strategy<Value = String> {
    "[abé𝄞*?]{0,8}"
}

fn text() -> impl Strategy<Value = String> {
    "[abé𝄞]{0,10}"
}

/// Every text of up to four characters of a small alphabet, with one that is in no pattern.
fn all_texts() -> Vec<String> {
    let longer = |texts: &[String]| -> Vec<String> {
        let texts = texts
            .iter()
            .flat_map(|text| "abz".chars().map(move |next| format!("{text}{next}")));
        texts.collect()
    };
    let mut all = vec![String::new()];
    let mut latest = all.clone();
    for _ in 0..5 {
        latest = longer(&latest);
        all.extend(latest.iter().cloned());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_pattern_fits_what_its_definition_says(pattern in pattern(), text in text()) {
        prop_assert_eq!(Glob::new(&pattern).matches(&text), reference(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn a_text_that_fits_has_what_the_pattern_has(pattern in "[abé?*]{0,6}", text in "[abé]{0,8}") {
        let glob = Glob::new(&pattern);
        prop_assert!(!glob.matches(&text) || Fingerprint::of(&text).may_contain(glob.fingerprint()));
        prop_assert!(Fingerprint::FULL.may_contain(glob.fingerprint()));
    }

    #[test]
    fn a_part_fits_what_contains_it(part in "[ab*?]{0,3}", text in "[ab*?]{0,8}") {
        prop_assert_eq!(Glob::containing(&part).matches(&text), text.contains(&part));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_said_of_two_patterns_is_true_of_every_text(one in "[ab*?]{0,5}", other in "[ab*?]{0,5}") {
        let (one, other) = (Glob::new(&one), Glob::new(&other));
        let (covers, is_disjoint) = (one.covers(&other), one.is_disjoint(&other));
        for text in all_texts() {
            let (fits, fits_other) = (one.matches(&text), other.matches(&text));
            prop_assert!(!covers || !fits_other || fits, "{one} covers {other}, but {text}");
            prop_assert!(!is_disjoint || !fits || !fits_other, "{one} and {other} have {text}");
        }
    }
}

#[test]
fn a_wildcard_is_any_character_and_case_counts() {
    for (pattern, text, fits) in [
        ("GET /checkout*", "GET /checkout", true),
        ("GET /checkout*", "GET /checkout/7", true),
        ("GET /checkout*", "POST GET /checkout", false),
        ("get /*", "GET /", false),
        ("4*", "404", true),
        ("4??", "404", true),
        ("4??", "40", false),
        ("?", "é", true),
        ("?", "", false),
        ("*", "", true),
        ("", "", true),
        ("", "a", false),
        ("a*a", "a", false),
        ("ab*ba", "aba", false),
        ("ab*ba", "abba", true),
        ("*é?", "xéy", true),
        ("*.*.*", "a.b", false),
        ("[a]\\*", "[a]\\x", true),
    ] {
        assert_eq!(Glob::new(pattern).matches(text), fits, "`{pattern}` and `{text}`");
    }
}

#[test]
fn most_patterns_that_do_not_fit_are_told_by_a_glance() {
    let name = Fingerprint::of("GET /api/v1/health/{id}/details");
    let words = [
        "users", "orders", "cart", "checkout", "login", "search", "items", "reviews", "payments",
    ];
    let mistaken = words
        .map(|word| Glob::new(&format!("*/{word}*")))
        .map(|glob| glob.fingerprint());
    assert!(mistaken.into_iter().all(|pattern| !name.may_contain(pattern)));
    assert!(name.may_contain(Glob::new("*/v?/health/*").fingerprint()));
}

#[test]
fn one_pattern_covers_another_whichever_way_it_is_written() {
    for (one, other, covers) in [
        ("*", "", true),
        ("*", "a*?b", true),
        ("a*", "ab*", true),
        ("ab*", "a*", false),
        ("*b*", "a*bc", true),
        ("a?c", "abc", true),
        ("a?c", "a?c", true),
        ("a?c", "a*c", false),
        ("*?", "?*", true),
        ("?*", "*?", true),
        ("?*?", "**??", true),
        ("*??", "?*", false),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "a*c", false),
        ("*a*", "*aa*", true),
    ] {
        assert_eq!(
            Glob::new(one).covers(&Glob::new(other)),
            covers,
            "`{one}` covers `{other}`"
        );
    }
}

#[test]
fn patterns_are_disjoint_by_start_end_and_length() {
    for (one, other, is_disjoint) in [
        ("GET *", "POST *", true),
        ("*.js", "*.ts", true),
        ("*js", "*.js", false),
        ("a?c", "*d", true),
        ("abc", "????*", true),
        ("a*", "*b", false),
        ("a?*", "?b*", false),
    ] {
        let (one, other) = (Glob::new(one), Glob::new(other));
        assert_eq!(one.is_disjoint(&other), is_disjoint, "{one} and {other}");
        assert_eq!(other.is_disjoint(&one), is_disjoint, "{other} and {one}");
    }
}

#[test]
fn what_a_part_says_is_literal_also_to_the_lint() {
    let star = Glob::containing("*");
    assert!(star.matches("a*b") && !star.matches("ab"));
    assert!(Glob::new("*").covers(&star) && !star.covers(&Glob::new("*")));
    assert!(!Glob::containing("?").covers(&Glob::new("*?*")));
    assert!(Glob::containing("").is_everything());
}

/// With backtracking over every star this would not end before the sun does.
#[test]
fn a_hostile_pattern_takes_no_longer_than_the_product_of_lengths() {
    let text = format!("{}b", "a".repeat(5_000));
    for stem in [
        "a*".repeat(500),
        "*a?".repeat(300),
        "?*a".repeat(300),
        "*aa*a".repeat(200),
    ] {
        let (fits, does_not) = (Glob::new(&format!("{stem}*b")), Glob::new(&format!("{stem}*c*")));
        assert!(fits.matches(&text), "{fits}");
        assert!(!does_not.matches(&text), "{does_not}");
        assert!(fits.covers(&fits) && !fits.covers(&does_not));
    }
}

#[cfg(feature = "remote")]
proptest! {
    #[test]
    fn a_pattern_that_ignores_case_fits_what_it_fits_in_lower_case(pattern in "[aBé*?]{0,6}", text in "[AbBaÉé]{0,8}") {
        let folded = Glob::new(&pattern.to_ascii_lowercase()).matches(&text.to_ascii_lowercase());
        prop_assert_eq!(Glob::ignoring_case(&pattern).matches(&text), folded);
        prop_assert_eq!(Glob::ignoring_case(&text).matches(&text.to_ascii_uppercase()), true);
    }
}
