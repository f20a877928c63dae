//! No unsafe code, and no way to let it in.

use super::{report::Report, tree::Tree};

const FORBIDDEN: &str = "#![forbid(unsafe_code)]";

/// Where a measurement may one day ask for it, and where an allocator that counts can only be made with it. The workspace's
/// lints deny it there as well, until a module says otherwise.
const MAY_RELAX: &[&str] = &["spanwright-attributes", "spanwright-batching", "spanwright-testing"];

pub(super) fn check(tree: &Tree, report: &mut Report) {
    for member in tree
        .members
        .iter()
        .filter(|member| !MAY_RELAX.contains(&member.name.as_str()))
    {
        for root in &member.roots {
            let forbids = tree
                .sources
                .get(root)
                .is_some_and(|source| source.all_lines().any(|(_, code)| code.trim() == FORBIDDEN));
            if !forbids {
                report.finding(
                    root,
                    1,
                    format!("does not forbid unsafe code: write `{FORBIDDEN}` below its docs"),
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

    #[test]
    fn a_crate_that_does_not_forbid_it_is_found() {
        let says = |name: &str, text: &str| {
            said(
                check,
                &tree(vec![member(name)], &[(&format!("crates/{name}/src/lib.rs"), text)]),
            )
            .join("\n")
        };
        assert_eq!(says("spanwright-core", "//! Docs.\n#![forbid(unsafe_code)]\n"), "");
        let said = says("spanwright-core", "//! #![forbid(unsafe_code)]\n");
        assert!(
            said.starts_with("crates/spanwright-core/src/lib.rs:1: does not forbid unsafe code"),
            "{said}"
        );
        assert_eq!(says("spanwright-batching", ""), "");
    }
}
