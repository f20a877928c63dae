//! `cargo xtask interop`: what we export, as read by receivers that other people wrote.
//!
//! A program of ours exports spans through the pipeline and prints what it sent; receivers on other foundations print what
//! arrived; the two are compared field by field. It also gets everything through proxies and servers that refuse, delay and close
//! connections, as they do it. And our composite samplers answer the same questions as those of another SDK.
//! `xtask/interop/README.md` describes the documents that are compared.

mod compare;
mod document;
mod environment;
mod envoy;
mod faults;
mod program;
mod receivers;
mod sampling;
mod tap;
mod wire;

use self::{
    environment::Environment,
    program::Program,
    receivers::{Receiver, Receivers},
    tap::Tap,
    wire::Encoding,
};
use crate::{Failure, cargo::Workspace};

/// One way from us to a receiver.
struct Check {
    receiver: Receiver,
    protocol: Protocol,
    compression: Encoding,
    /// Whether the receiver refuses that compression, so that we must send the batch again in another way.
    falls_back: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Protocol {
    Grpc,
    Http,
}

const fn check(receiver: Receiver, protocol: Protocol, compression: Encoding) -> Check {
    Check {
        receiver,
        protocol,
        compression,
        falls_back: false,
    }
}

const fn falls_back(receiver: Receiver, protocol: Protocol, compression: Encoding) -> Check {
    Check {
        receiver,
        protocol,
        compression,
        falls_back: true,
    }
}

const CHECKS: &[Check] = &[
    check(Receiver::Python, Protocol::Grpc, Encoding::None),
    check(Receiver::Python, Protocol::Grpc, Encoding::Gzip),
    // The C core knows no zstd: it answers INTERNAL, "Error parsing 'grpc-encoding' metadata", and never reads the message.
    falls_back(Receiver::Python, Protocol::Grpc, Encoding::Zstd),
    check(Receiver::Python, Protocol::Http, Encoding::None),
    check(Receiver::Python, Protocol::Http, Encoding::Gzip),
    check(Receiver::Python, Protocol::Http, Encoding::Zstd),
    check(Receiver::Rotel, Protocol::Grpc, Encoding::None),
    check(Receiver::Rotel, Protocol::Grpc, Encoding::Gzip),
    // UNIMPLEMENTED, with a list of what it accepts.
    falls_back(Receiver::Rotel, Protocol::Grpc, Encoding::Zstd),
    check(Receiver::Rotel, Protocol::Http, Encoding::None),
    check(Receiver::Rotel, Protocol::Http, Encoding::Gzip),
    // 400 without a word.
    falls_back(Receiver::Rotel, Protocol::Http, Encoding::Zstd),
];

const MOST_DIFFERENCES_SHOWN: usize = 8;

/// Runs every check and prints one line for each; `--program PATH` checks another program than our example.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let path = match arguments {
        [] => None,
        [flag, path] if flag == "--program" => Some(path.as_str()),
        _ => return Err("takes no arguments but `--program PATH`".into()),
    };
    let workspace = Workspace::load()?;
    let environment = Environment::prepare(&workspace)?;
    let program = match path {
        Some(path) => Program::at(path),
        None => Program::build(&workspace)?,
    };
    println!(
        "{:<18} {:<8} {:<18} {:<14} result",
        "receiver", "protocol", "compression", "on the wire"
    );
    let mut failed = 0;
    for check in CHECKS {
        let outcome = check.run(&environment, &program);
        failed += usize::from(outcome.differences.is_some());
        check.print(&outcome);
    }
    // The samplers are ours, whatever program exports, and only ours goes on for long.
    let (faults, samplers) = match path {
        None => (
            faults::run(&workspace, &environment),
            sampling::run(&workspace, &environment),
        ),
        Some(_) => (Ok(()), Ok(())),
    };
    match failed {
        0 => faults.and(samplers),
        _ => Err(format!("{failed} of {} checks failed", CHECKS.len()).into()),
    }
}

/// What a check has shown.
struct Outcome {
    spans: usize,
    /// How the requests were encoded, in their order.
    wire: Vec<Encoding>,
    differences: Option<Vec<String>>,
}

impl Check {
    fn run(&self, environment: &Environment, program: &Program) -> Outcome {
        let mut outcome = Outcome {
            spans: 0,
            wire: Vec::new(),
            differences: None,
        };
        if let Err(failure) = self.try_run(environment, program, &mut outcome) {
            outcome.differences = Some(failure.to_string().lines().map(str::to_owned).collect());
        }
        outcome
    }

    fn try_run(&self, environment: &Environment, program: &Program, outcome: &mut Outcome) -> Result<(), Failure> {
        let receivers = Receivers::start(self.receiver, environment)?;
        let tap = Tap::start(receivers.address(self.protocol))?;
        let sent = program.export(tap.address(), self.protocol, self.compression);
        outcome.wire = tap.finish().iter().flat_map(|stream| wire::encodings(stream)).collect();
        let sent = sent?;
        outcome.spans = sent.len();
        let arrived = receivers.finish(sent.len())?;
        let mut differences = compare::differences(&sent, &arrived);
        differences.extend(self.wrong_wire(&outcome.wire));
        outcome.differences = (!differences.is_empty()).then_some(differences);
        Ok(())
    }

    /// What is wrong with the encodings that were really used. Spans may arrive although a setting was ignored.
    fn wrong_wire(&self, wire: &[Encoding]) -> Option<String> {
        let wanted = self.compression;
        if !self.falls_back {
            let all = !wire.is_empty() && wire.iter().all(|used| *used == wanted);
            return (!all).then(|| format!("every request should be encoded with {wanted}"));
        }
        let fell_back = wire.first() == Some(&wanted) && wire.last().is_some_and(|last| *last != wanted);
        (!fell_back)
            .then(|| format!("the first request should be encoded with {wanted}, and the last with something else"))
    }

    fn print(&self, outcome: &Outcome) {
        let compression = if self.falls_back {
            format!("{} (falls back)", self.compression)
        } else {
            self.compression.to_string()
        };
        let wire: Vec<String> = outcome.wire.iter().map(Encoding::to_string).collect();
        let result = match &outcome.differences {
            None => format!("ok, {} spans equal", outcome.spans),
            Some(_) => "FAILED".to_owned(),
        };
        println!(
            "{:<18} {:<8} {compression:<18} {:<14} {result}",
            self.receiver.name(),
            self.protocol.name(),
            wire.join(", ")
        );
        let differences = outcome.differences.iter().flatten();
        for difference in differences.clone().take(MOST_DIFFERENCES_SHOWN) {
            println!("    {difference}");
        }
        match differences.count().saturating_sub(MOST_DIFFERENCES_SHOWN) {
            0 => {}
            more => println!("    and {more} more"),
        }
    }
}

impl Protocol {
    /// As our program takes it.
    const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compression_that_was_ignored_is_seen() {
        let gzip = check(Receiver::Python, Protocol::Grpc, Encoding::Gzip);
        assert_eq!(gzip.wrong_wire(&[Encoding::Gzip, Encoding::Gzip]), None);
        assert!(gzip.wrong_wire(&[]).is_some());
        assert!(gzip.wrong_wire(&[Encoding::Gzip, Encoding::None]).is_some());
    }

    #[test]
    fn a_fallback_begins_with_what_was_asked_for_and_ends_with_something_else() {
        let zstd = falls_back(Receiver::Rotel, Protocol::Http, Encoding::Zstd);
        assert_eq!(zstd.wrong_wire(&[Encoding::Zstd, Encoding::Gzip]), None);
        assert!(zstd.wrong_wire(&[]).is_some());
        assert!(zstd.wrong_wire(&[Encoding::Zstd]).is_some());
        assert!(zstd.wrong_wire(&[Encoding::Gzip]).is_some());
    }
}
