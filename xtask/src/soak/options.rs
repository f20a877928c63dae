//! What the person at the terminal asks for.

/// Shown with every complaint.
pub(super) const USAGE: &str = "\
usage: cargo xtask soak [options]
  --list         name the stages and their sizes
  --stage NAME   only this stage; may be given more than once
  --quick        smaller sizes: all of them within some ten minutes";

#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Options {
    pub(super) list: bool,
    pub(super) quick: bool,
    /// None is all.
    pub(super) stages: Vec<String>,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--list" => options.list = true,
                "--quick" => options.quick = true,
                "--stage" => options
                    .stages
                    .push(arguments.next().cloned().ok_or("--stage needs a name")?),
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_add_up_and_what_cannot_be_used_is_named() {
        let parse = |line: &str| Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let options = parse("--stage kills --quick --stage outage").expect("well-formed");
        assert!(options.quick && !options.list);
        assert_eq!(options.stages, ["kills", "outage"]);
        assert_eq!(parse("--stage").expect_err("no name"), "--stage needs a name");
        assert_eq!(parse("--slow").expect_err("none"), "there is no option --slow");
    }
}
