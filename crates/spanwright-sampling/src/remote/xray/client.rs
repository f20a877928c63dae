//! The two questions.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::answer::{self, Page};
use super::statistics::Statistics;
use super::strategy::RuleSet;
use super::target::Targets;
use crate::remote::address::Address;
use crate::remote::client::{http, refused, within};
use crate::remote::error::RemoteError;

const RULES: &str = "/GetSamplingRules";
const TARGETS: &str = "/SamplingTargets";

/// The most rules that are taken. Each takes 16 KiB here, and X-Ray lets an account have a few dozen.
const MAX_RULES: usize = 1000;

/// The most answers that one set of rules may come in.
const MAX_PAGES: usize = 100;

/// Asks one server.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) address: Address,
    /// Who asks: 24 hexadecimal digits.
    pub(super) client_id: String,
    /// For each request: name, connection, answer.
    pub(super) timeout: Duration,
}

impl Client {
    /// What the server knows each client by.
    pub(super) fn random_id() -> String {
        format!("{:024x}", fastrand::u128(..) >> 32)
    }

    /// All rules, and when one of them was last changed, in seconds since 1970.
    pub(super) async fn rules(&self) -> Result<(RuleSet, Option<f64>), RemoteError> {
        let mut all = Page::default();
        for _ in 0..MAX_PAGES {
            let question = match &all.next_token {
                Some(token) => json!({ "NextToken": token }),
                None => json!({}),
            };
            let page = answer::rules(&self.post(RULES, &question).await?)?;
            all.rules.extend(page.rules);
            all.modified = all.modified.into_iter().chain(page.modified).reduce(f64::max);
            all.next_token = page.next_token;
            if all.rules.len() > MAX_RULES {
                return Err(refused(format!("more than {MAX_RULES} rules")));
            }
            if all.next_token.is_none() {
                return Ok((RuleSet::new(all.rules), all.modified));
            }
        }
        Err(refused(format!("rules in more than {MAX_PAGES} answers")))
    }

    /// Reports `statistics` of `timestamp`, in seconds since 1970, and asks what the server grants.
    pub(super) async fn targets(&self, statistics: &[Statistics], timestamp: u64) -> Result<Targets, RemoteError> {
        let documents = statistics.iter();
        let documents: Vec<_> = documents
            .map(|statistics| statistics.document(&self.client_id, timestamp))
            .collect();
        let question = json!({ "SamplingStatisticsDocuments": documents });
        Ok(answer::targets(&self.post(TARGETS, &question).await?)?)
    }

    async fn post(&self, path: &str, question: &Value) -> Result<Bytes, RemoteError> {
        let body = Bytes::from(question.to_string());
        let ask = async |stream| http::post(stream, &self.address, path, body).await;
        within(self.timeout, &self.address, ask).await.map(Into::into)
    }
}
