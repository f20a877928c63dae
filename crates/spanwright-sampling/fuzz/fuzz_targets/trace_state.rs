//! Values of an `ot` member are read by the grammar.
#![no_main]

#[path = "../../tests/support/laws.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod laws;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &str| laws::assert_reads_by_the_grammar(value));
