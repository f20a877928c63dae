//! Documents that nobody thought of: none makes the reader panic, and none is accepted with a field that nobody reads.
#![cfg(feature = "config")]

use std::fmt::{self, Write as _};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use spanwright_core::{BuildError, Env};
use spanwright_sampling::SamplerConfig;

const FIXTURES: [&str; 2] = [
    include_str!("configurations/kitchen_sink.yaml"),
    include_str!("configurations/ours.yaml"),
];

fn parse(yaml: &str) -> Result<SamplerConfig, BuildError> {
    let env = Env::from_pairs([("RATIO", "0.5"), ("TEXT", "a: [b")]);
    SamplerConfig::parse(yaml, &env)
}

/// A document as a tree that can be taken apart, written in the flow style.
#[derive(Clone, Debug)]
enum Doc {
    List(Vec<Doc>),
    Map(Vec<(String, Doc)>),
    Scalar(String),
}

impl fmt::Display for Doc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(text) => f.write_str(text),
            Self::List(items) => {
                f.write_char('[')?;
                items.iter().try_for_each(|item| write!(f, "{item}, "))?;
                f.write_char(']')
            }
            Self::Map(entries) => {
                f.write_char('{')?;
                entries
                    .iter()
                    .try_for_each(|(key, value)| write!(f, "\"{key}\": {value}, "))?;
                f.write_char('}')
            }
        }
    }
}

impl Doc {
    fn nodes(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::List(items) => 1 + items.iter().map(Self::nodes).sum::<usize>(),
            Self::Map(entries) => 1 + entries.iter().map(|(_, value)| value.nodes()).sum::<usize>(),
        }
    }

    /// Changes the node of this number, counted from the root in the order of the text.
    fn change(&mut self, number: &mut usize, change: &mut dyn FnMut(&mut Self)) {
        if *number == 0 {
            change(self);
            *number = usize::MAX;
            return;
        }
        *number -= 1;
        let children: Vec<&mut Self> = match self {
            Self::Scalar(_) => return,
            Self::List(items) => items.iter_mut().collect(),
            Self::Map(entries) => entries.iter_mut().map(|(_, value)| value).collect(),
        };
        for child in children {
            if *number == usize::MAX {
                return;
            }
            child.change(number, change);
        }
    }

    fn changed(&self, mut number: usize, mut change: impl FnMut(&mut Self)) -> Self {
        let mut doc = self.clone();
        doc.change(&mut number, &mut change);
        doc
    }
}

fn scalar(text: impl fmt::Display) -> Doc {
    Doc::Scalar(text.to_string())
}

fn nothing() -> Doc {
    scalar("null")
}

fn map<const N: usize>(entries: [(&str, Doc); N]) -> Doc {
    Doc::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

fn some(entries: Vec<(&str, Option<Doc>)>) -> Doc {
    let entries = entries
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Doc::Map(entries.collect())
}

/// None of them is a default, so that each matters.
fn ratio() -> impl Strategy<Value = Doc> {
    (1_u32..999).prop_map(|thousandths| scalar(f64::from(thousandths) / 1000.0))
}

fn rate() -> impl Strategy<Value = Doc> + Clone {
    (1_u32..100_000).prop_map(|tenths| scalar(f64::from(tenths) / 10.0))
}

fn word() -> impl Strategy<Value = Doc> {
    "[a-z][a-z0-9./]{0,12}".prop_map(|word| scalar(format_args!("w{word}")))
}

fn words() -> impl Strategy<Value = Doc> {
    vec(word(), 1..4).prop_map(Doc::List)
}

fn choice(words: &'static [&'static str]) -> impl Strategy<Value = Doc> {
    vec(select(words).prop_map(scalar), 1..3).prop_map(Doc::List)
}

fn patterns(key: Option<Doc>, included: Option<Doc>, excluded: Option<Doc>) -> Doc {
    some(vec![("key", key), ("included", included), ("excluded", excluded)])
}

fn rule(sampler: impl Strategy<Value = Doc>) -> impl Strategy<Value = Doc> {
    let values = (word(), words()).prop_map(|(key, values)| map([("key", key), ("values", values)]));
    let attribute_patterns = (word(), option::of(words()), option::of(words()));
    let name_patterns = (words(), option::of(words()));
    (
        option::of(words()),
        option::of(name_patterns.prop_map(|(included, excluded)| patterns(None, Some(included), excluded))),
        option::of(choice(&["internal", "server", "client", "producer", "consumer"])),
        option::of(choice(&["none", "local", "remote"])),
        option::of(values),
        option::of(attribute_patterns.prop_map(|(key, included, excluded)| patterns(Some(key), included, excluded))),
        sampler,
    )
        .prop_map(|(names, name_patterns, kinds, parents, values, patterns, sampler)| {
            some(vec![
                ("span_names", names),
                ("span_name_patterns", name_patterns),
                ("span_kinds", kinds),
                ("parent", parents),
                ("attribute_values", values),
                ("attribute_patterns", patterns),
                ("sampler", Some(sampler)),
            ])
        })
}

fn composable() -> impl Strategy<Value = Doc> {
    let leaf = prop_oneof![
        Just(map([("always_on", nothing())])),
        Just(map([("always_off", nothing())])),
        ratio().prop_map(|ratio| map([("probability", map([("ratio", ratio)]))])),
        (vec(word(), 1..3), rate(), option::of(1_u32..10_000)).prop_map(|(keys, rate, max_keys)| {
            let keys = keys.into_iter().map(|key| map([("attribute", key)]));
            let keys = Doc::List(keys.chain([map([("span_name", nothing())])]).collect());
            map([(
                "spanwright/per_key",
                some(vec![
                    ("keys", Some(keys)),
                    ("target_per_second", Some(rate)),
                    ("max_keys", max_keys.filter(|max| *max != 10_000).map(scalar)),
                ]),
            )])
        }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let rated = (
            rate(),
            option::of((2_u32..9).prop_map(scalar)),
            option::of(inner.clone()),
        );
        prop_oneof![
            inner
                .clone()
                .prop_map(|root| map([("parent_threshold", map([("root", root)]))])),
            vec(rule(inner.clone()), 1..4).prop_map(|rules| map([("rule_based", map([("rules", Doc::List(rules))]))])),
            vec(inner.clone(), 1..3)
                .prop_map(|samplers| map([("spanwright/any_of", map([("samplers", Doc::List(samplers))]))])),
            (word(), word(), inner.clone()).prop_map(|(key, value, sampler)| {
                let attributes = Doc::Map(vec![(key.to_string(), value)]);
                map([(
                    "spanwright/annotating",
                    map([("attributes", attributes), ("sampler", sampler)]),
                )])
            }),
            (rated.clone(), select(vec!["traces_per_second", "spans_per_second"])).prop_map(
                |((rate, burst, sampler), unit)| {
                    let fields = vec![(unit, Some(rate)), ("max_burst", burst), ("sampler", sampler)];
                    map([("spanwright/rate_limiting", some(fields))])
                }
            ),
            rated.prop_map(|(rate, burst, sampler)| {
                let fields = vec![
                    ("target_per_second", Some(rate)),
                    ("max_burst", burst),
                    ("sampler", sampler),
                ];
                map([("spanwright/adaptive", some(fields))])
            }),
        ]
    })
}

/// A whole file, or only what counts of it.
fn document() -> impl Strategy<Value = Doc> {
    let composite = composable().prop_map(|node| map([("composite/development", node)]));
    let share = ratio().prop_map(|ratio| map([("probability/development", map([("ratio", ratio)]))]));
    let sampler = prop_oneof![composite, share].boxed();
    let branches = (
        sampler.clone(),
        option::of(sampler.clone()),
        option::of(sampler.clone()),
    );
    let by_parent = branches.prop_map(|(root, sampled, not_sampled)| {
        // What a parent does by itself is no branch of its own.
        let is_default = |branch: &Doc| branch.to_string().contains("\"composite/development\": {\"always_o");
        let fields = vec![
            ("root", Some(root)),
            ("remote_parent_sampled", sampled.filter(|branch| !is_default(branch))),
            (
                "local_parent_not_sampled",
                not_sampled.filter(|branch| !is_default(branch)),
            ),
        ];
        map([("parent_based", some(fields))])
    });
    let sampler = prop_oneof![sampler, by_parent].boxed();
    let recording = sampler
        .clone()
        .prop_map(|root| map([("always_record", map([("root", root)]))]));
    prop_oneof![sampler, recording]
}

/// Text, and what YAML takes for more than text.
fn yaml_like() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        select(vec![
            "\n",
            "  ",
            "    ",
            "- ",
            ": ",
            ":",
            "? ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "#",
            "&a ",
            "*a",
            "!!str ",
            "!x ",
            "|\n",
            ">-\n",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            "'",
            "\"",
            "\\",
            "${RATIO}",
            "${TEXT}",
            "$$",
            "${",
            "\t",
            "\u{feff}",
            "\0",
            "<<",
            "~",
        ])
        .prop_map(str::to_owned),
        select(vec![
            "rule_based",
            "rules",
            "sampler",
            "always_on",
            "probability",
            "ratio",
            "0.5",
            "parent_threshold",
            "root",
            "tracer_provider",
            "composite/development",
            "spanwright/any_of",
            "samplers",
            "file_format",
            "1.1",
            "name",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

/// Cuts, repeats and replaces pieces.
fn mutated(fixture: &str, edits: &[(Index, Index, u8, String)]) -> String {
    let mut chars: Vec<char> = fixture.chars().collect();
    for (from, to, kind, text) in edits {
        if chars.is_empty() {
            break;
        }
        let (from, to) = (from.index(chars.len()), to.index(chars.len()));
        let range = from.min(to)..from.max(to).min(from.min(to) + 40);
        let piece: Vec<char> = chars[range.clone()].to_vec();
        match kind % 4 {
            0 => drop(chars.drain(range)),
            1 => drop(chars.splice(range.start..range.start, piece)),
            2 => drop(chars.splice(range.start..range.start, text.chars())),
            _ => drop(chars.splice(range, text.chars())),
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_is_read_or_refused(text in prop_oneof![any::<String>(), yaml_like()]) {
        if let Err(error) = parse(&text) {
            prop_assert!(!error.field().is_empty() && !error.accepted().is_empty());
        }
    }

    #[test]
    fn changed_documents_are_read_or_refused(
        fixture in select(FIXTURES.to_vec()),
        edits in vec((any::<Index>(), any::<Index>(), any::<u8>(), yaml_like()), 1..4),
    ) {
        _ = parse(&mutated(fixture, &edits));
    }

}

proptest! {
    // Each reads a few hundred documents.
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_field_of_an_accepted_document_is_read(doc in document(), is_file in any::<bool>()) {
        let whole = |doc: &Doc| {
            if is_file { format!("{{tracer_provider: {{sampler: {doc}}}}}") } else { doc.to_string() }
        };
        let config = parse(&whole(&doc)).map_err(|error| TestCaseError::fail(format!("{error}\n{doc}")))?;
        prop_assert_eq!(&parse(&whole(&doc)).expect("the same"), &config);
        for number in 0..doc.nodes() {
            // What nothing takes, in place of each value.
            let poisoned = doc.changed(number, |value| *value = map([("zzz", Doc::List(vec![nothing()]))]));
            prop_assert!(parse(&whole(&poisoned)).is_err(), "{}", poisoned);

            // Each key by another name, and each key gone.
            let Some(keys) = keys_at(&doc, number) else { continue };
            for key in 0..keys {
                let renamed = doc.changed(number, |value| {
                    if let Doc::Map(entries) = value {
                        entries[key].0.push('z');
                    }
                });
                prop_assert!(parse(&whole(&renamed)).map_or(true, |other| other != config), "{}", renamed);
                let shortened = doc.changed(number, |value| {
                    if let Doc::Map(entries) = value {
                        entries.remove(key);
                    }
                });
                prop_assert!(parse(&whole(&shortened)).map_or(true, |other| other != config), "{}", shortened);
            }
        }
    }
}

fn keys_at(doc: &Doc, number: usize) -> Option<usize> {
    let mut keys = None;
    doc.changed(number, |value| {
        if let Doc::Map(entries) = value {
            keys = Some(entries.len());
        }
    });
    keys
}
