//! Answers over gRPC: the messages of Jaeger's `sampling.proto`, and the request.
//!
//! Five small messages, ten fields. A generated reader would bring a code generator and three crates.
//!
//! # Source
//!
//! `proto/api_v2/sampling.proto` of [jaeger-idl](https://github.com/jaegertracing/jaeger-idl); the
//! [encoding](https://protobuf.dev/programming-guides/encoding/).

use spanwright_core::BuildError;

use super::{Answer, Kind, MAX_OPERATIONS, OPERATIONS, Operations, Strategy, missing};

/// Reads a `SamplingStrategyResponse`. Fields that we do not know are none of our business.
///
/// # Errors
///
/// Names the field, the value, and what is accepted.
pub(in crate::remote) fn read(message: &[u8]) -> Result<Strategy, BuildError> {
    let mut answer = Answer::default();
    for field in Fields(message) {
        match field? {
            // Zero is the same on the wire as nothing, so it says nothing.
            (1, Value::Varint(0)) => answer.kind = None,
            (1, Value::Varint(1)) => answer.kind = Some(Kind::RateLimiting),
            (1, Value::Varint(other)) => return Err(BuildError::new("strategyType", other, "0 or 1")),
            (2, Value::Bytes(strategy)) => answer.sampling_rate = Some(probability(strategy)?),
            (3, Value::Bytes(strategy)) => answer.max_traces_per_second = Some(rate(strategy)?),
            (4, Value::Bytes(strategies)) => answer.operations = Some(operations(strategies)?),
            _ => {}
        }
    }
    answer.check()
}

fn probability(strategy: &[u8]) -> Result<f64, BuildError> {
    let mut sampling_rate = 0.0;
    for field in Fields(strategy) {
        if let (1, Value::Fixed64(bits)) = field? {
            sampling_rate = f64::from_bits(bits);
        }
    }
    Ok(sampling_rate)
}

fn rate(strategy: &[u8]) -> Result<f64, BuildError> {
    let mut max_traces_per_second = 0.0;
    for field in Fields(strategy) {
        if let (1, Value::Varint(value)) = field? {
            // An int32, which is as long as an int64 if it is negative.
            max_traces_per_second = f64::from(value as i32);
        }
    }
    Ok(max_traces_per_second)
}

fn operations(strategies: &[u8]) -> Result<Operations, BuildError> {
    let mut operations = Operations::default();
    for field in Fields(strategies) {
        match field? {
            (1, Value::Fixed64(bits)) => operations.default_probability = f64::from_bits(bits),
            (2, Value::Fixed64(bits)) => operations.lower_bound = f64::from_bits(bits),
            (4, Value::Fixed64(bits)) => operations.upper_bound = f64::from_bits(bits),
            // One too many is enough to see that there are.
            (3, Value::Bytes(strategy)) if operations.probabilities.len() <= MAX_OPERATIONS => {
                let index = operations.probabilities.len();
                operations.probabilities.push(operation(index, strategy)?);
            }
            _ => {}
        }
    }
    Ok(operations)
}

fn operation(index: usize, strategy: &[u8]) -> Result<(String, f64), BuildError> {
    let (mut name, mut sampling_rate) = (String::new(), None);
    for field in Fields(strategy) {
        match field? {
            (1, Value::Bytes(text)) => {
                let text = std::str::from_utf8(text);
                let field = || format!("{OPERATIONS}[{index}].operation");
                name = text
                    .map_err(|error| BuildError::new(field(), error, "UTF-8"))?
                    .to_owned();
            }
            (2, Value::Bytes(strategy)) => sampling_rate = Some(probability(strategy)?),
            _ => {}
        }
    }
    let sampling_rate =
        sampling_rate.ok_or_else(|| missing(|| format!("{OPERATIONS}[{index}].probabilisticSampling")))?;
    Ok((name, sampling_rate))
}

/// The fields of a message, in the order of the wire.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// 32 bits. No field that we read is of this type.
    Fixed32,
}

impl<'a> Fields<'a> {
    /// `None` if it cannot be read.
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(usize::try_from(len).ok()?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            // Groups, which proto3 does not have, and types that do not exist.
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), BuildError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            // What follows a broken field cannot be found.
            self.0 = &[];
        }
        Some(field.ok_or_else(|| BuildError::new("answer", "broken", "a protobuf message")))
    }
}
