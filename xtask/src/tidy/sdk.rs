//! One file of a crate touches the SDK.
//!
//! Its traits will change again. What must follow such a change shall be a few dozen lines in a place that everybody knows.

use super::{
    layers::{FACADE, layer_of},
    report::Report,
    rust_source::has,
    tree::Tree,
};

const SDK: &str = "opentelemetry_sdk";
const BOUNDARY: &str = "src/otel.rs";

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for member in &tree.members {
        if layer_of(&member.name).is_none() || member.name == FACADE {
            continue;
        }
        for (path, source) in tree.sources_of(member, "src") {
            if path == member.directory().join(BOUNDARY) {
                continue;
            }
            for (line, _) in source.code_lines().filter(|(_, code)| has(code, SDK)) {
                report.finding(
                    path,
                    line,
                    format!("names `{SDK}`: implement its traits in {BOUNDARY} and let the rest know nothing of it"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            report::said,
            tree::fixture::{member, tree},
        },
        *,
    };

    const USE: &str = "use opentelemetry_sdk::trace::SpanData;\n";

    #[test]
    fn the_sdk_is_named_in_one_file_alone() {
        let files = [
            ("crates/spanwright-otlp/src/otel.rs", USE),
            ("crates/spanwright-otlp/src/lib.rs", "//! See opentelemetry_sdk.\n"),
            ("crates/spanwright-otlp/src/encode.rs", USE),
            ("crates/spanwright-otlp/src/encode/otel.rs", USE),
        ];
        let said = said(check, &tree(vec![member("spanwright-otlp")], &files));
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[1].starts_with("crates/spanwright-otlp/src/encode.rs:1: names `opentelemetry_sdk`"),
            "{said:?}"
        );
        assert!(
            said[0].starts_with("crates/spanwright-otlp/src/encode/otel.rs:1:"),
            "{said:?}"
        );
    }

    #[test]
    fn tests_benches_the_facade_and_the_outside_may_name_it() {
        let in_test = format!("#[cfg(test)]\nmod tests {{\n    {USE}}}\n");
        let files = [
            ("crates/spanwright-otlp/src/encode.rs", in_test.as_str()),
            ("crates/spanwright-otlp/tests/encode.rs", USE),
            ("crates/spanwright-otlp/benches/encode.rs", USE),
            ("crates/spanwright/src/lib.rs", USE),
            ("crates/spanwright-testing/src/probe.rs", USE),
        ];
        let members = vec![
            member("spanwright-otlp"),
            member("spanwright"),
            member("spanwright-testing"),
        ];
        assert!(said(check, &tree(members, &files)).is_empty());
    }
}
