use super::*;

fn code(text: &str) -> String {
    RustSource::new(text).code.join("\n")
}

#[test]
fn comments_and_the_insides_of_strings_are_blank() {
    assert_eq!(code("a(); // dbg!(1)\nb();"), "a();           \nb();");
    assert_eq!(code("a /* x /* y */ z */ b"), "a                   b");
    assert_eq!(code(r#"f("todo!()", g)"#), r#"f("       ", g)"#);
    assert_eq!(code(r#"f("a\"b", g)"#), r#"f("    ", g)"#);
    assert_eq!(code("f(\"é\", g)"), "f(\"  \", g)");
}

#[test]
fn raw_strings_end_at_their_own_quote() {
    assert_eq!(code(r###"f(r#"a "b" c"#, g)"###), r###"f(r#"       "#, g)"###);
    assert_eq!(code(r##"f(r"a\", br"b", g)"##), r##"f(r"  ", br" ", g)"##);
    assert_eq!(code("for r#type in vector {}"), "for r#type in vector {}");
}

#[test]
fn quotes_of_characters_and_lifetimes_open_no_string() {
    assert_eq!(
        code(r#"match c { '"' => 'a', '\'' => '\\', _ => '\u{7f}' }"#),
        r#"match c { ' ' => ' ', '  ' => '  ', _ => '      ' }"#
    );
    assert_eq!(
        code("fn f<'a>(x: &'a str) -> &'a str { \"x\" }"),
        "fn f<'a>(x: &'a str) -> &'a str { \" \" }"
    );
}

#[test]
fn comments_and_strings_know_their_lines() {
    let source = RustSource::new("/* one\ntwo */\nlet a = \"x\ny\"; // three\n");
    assert_eq!(
        source.comments,
        [
            (1, "/* one".to_owned()),
            (2, "two */".to_owned()),
            (4, "// three".to_owned())
        ]
    );
    assert_eq!(source.strings, [(3, "x\ny".to_owned())]);
}

#[test]
fn code_and_tests_are_told_apart() {
    let source = RustSource::new("fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n");
    let code: Vec<usize> = source.code_lines().map(|(line, _)| line).collect();
    let tests: Vec<usize> = source.test_lines().map(|(line, _)| line).collect();
    assert_eq!(code, [1, 7]);
    assert_eq!(tests, [3, 4, 5, 6]);
}

#[test]
fn a_test_module_in_another_file_is_named() {
    let source = RustSource::new(
        "#[cfg(test)]\n#[path = \"x.rs\"]\npub(crate) mod support;\n#[cfg(all(test, unix))] mod tests;\n",
    );
    assert_eq!(source.test_modules, ["support", "tests"]);
}

#[test]
fn an_unfinished_literal_is_no_reason_to_panic() {
    for text in [
        "\"",
        "r#\"",
        "'",
        "'\\",
        "b\"\\",
        "/*",
        "r",
        "'\\é",
        "#[cfg(test)] mod x {",
        "#[cfg(test)] }",
    ] {
        RustSource::new(text);
    }
}

#[test]
fn a_phrase_is_found_only_where_a_word_begins() {
    assert!(has("x = todo!();", "todo!"));
    assert!(has("std::thread::sleep(d)", "thread::sleep"));
    assert!(!has("not_a_todo!()", "todo!"));
}
