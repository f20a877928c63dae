//! What the person at the terminal asks for.

/// Shown with every complaint.
pub(super) const USAGE: &str = "\
usage: cargo xtask bench [options]
  --list           name the figures and what they must reach
  --filter TEXT    only the figures with TEXT in their id
  --quick          all of them within two minutes, less certain
  --rounds N       how many samples each side gives (default 5, with --quick 2)
  --counts         instructions per span instead of times, by valgrind
  --save NAME      store the figures as target/bench/NAME.json (default latest, with --counts latest-counts)
  --compare NAME   show beside them what was stored as NAME
  --write-docs     put them into docs/performance.md";

const ROUNDS: usize = 5;
const QUICK_ROUNDS: usize = 2;

#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Options {
    pub(super) list: bool,
    pub(super) quick: bool,
    pub(super) counts: bool,
    pub(super) write_docs: bool,
    pub(super) filter: Option<String>,
    pub(super) compare: Option<String>,
    save: Option<String>,
    rounds: Option<usize>,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().cloned().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--list" => options.list = true,
                "--quick" => options.quick = true,
                "--counts" => options.counts = true,
                "--write-docs" => options.write_docs = true,
                "--filter" => options.filter = Some(value()?),
                "--compare" => options.compare = Some(label(value()?)?),
                "--save" => options.save = Some(label(value()?)?),
                "--rounds" => options.rounds = Some(rounds(&value()?)?),
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        if options.write_docs && options.filter.is_some() {
            return Err("--write-docs replaces the whole table: leave out --filter".into());
        }
        Ok(options)
    }

    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { QUICK_ROUNDS } else { ROUNDS })
    }

    /// The name that the figures are stored under.
    pub(super) fn label(&self) -> String {
        let default = if self.counts { "latest-counts" } else { "latest" };
        self.save.clone().unwrap_or_else(|| default.into())
    }
}

/// A label becomes the name of a file.
fn label(text: String) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.chars().all(is_plain) && text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(text)
    } else {
        Err(format!("`{text}` is no name: letters, digits, `-`, `_` and `.`"))
    }
}

fn rounds(text: &str) -> Result<usize, String> {
    let rounds = text.parse().ok().filter(|rounds| *rounds > 0);
    rounds.ok_or(format!("--rounds {text}: a number from 1 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn quick_runs_have_fewer_rounds_unless_they_are_told() {
        let rounds = |line| parse(line).expect("well-formed").rounds();
        assert_eq!(rounds(""), ROUNDS);
        assert_eq!(rounds("--quick"), QUICK_ROUNDS);
        assert_eq!(rounds("--rounds 9 --quick"), 9);
    }

    #[test]
    fn figures_and_counts_are_stored_apart() {
        let label = |line| parse(line).expect("well-formed").label();
        assert_eq!(
            [label(""), label("--counts"), label("--save v1.0 --counts")],
            ["latest", "latest-counts", "v1.0"]
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (line, complaint) in [
            ("--fast", "there is no option --fast"),
            ("--save", "--save needs a value"),
            ("--save ../x", "`../x` is no name"),
            ("--compare .hidden", "`.hidden` is no name"),
            ("--rounds 0", "--rounds 0: a number from 1 on"),
            ("--write-docs --filter x", "--write-docs replaces the whole table"),
        ] {
            let error = parse(line).expect_err(complaint);
            assert!(error.starts_with(complaint), "{error}");
        }
    }
}
