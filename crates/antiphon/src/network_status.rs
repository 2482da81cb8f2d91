//! `antiphon status http://...`: how a network stands by its coordinator, or a shard.

mod http;
mod shard_text;
mod text;

use antiphon_coordinator::Status;
use antiphon_process::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::cli::json::JsonArguments;
use crate::exit::{Exit, Exits};
use crate::output::OutputError;

pub(crate) use http::{AdminUrl, FetchError, Method, fetch};

/// What `/status` of a coordinator answers.
#[derive(Debug, Deserialize, Serialize)]
struct Page {
    version: String,
    verdict: Verdict,
    #[serde(flatten)]
    status: Status,
}

/// What `/status` of a shard answers.
#[derive(Debug, Deserialize, Serialize)]
struct ShardPage {
    verdict: Verdict,
    #[serde(flatten)]
    status: antiphon_shard::Status,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkStatusError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what {url} answers is no status of this version: {source}")]
    Nonsense { url: String, source: serde_json::Error },
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for NetworkStatusError {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// The verdict as the page for browsers has it: a headline, and a line for each advice.
fn verdict_text(verdict: &Verdict) -> String {
    let advice = verdict.advice.iter().map(|advice| format!("  {}\n", advice.words));
    format!("{}\n{}\n", verdict.words, advice.collect::<String>())
}

/// Fetches the status and shows it.
pub(crate) fn run(url: &AdminUrl, json: &JsonArguments) -> Result<(), NetworkStatusError> {
    json.check()?;
    let body = fetch(url, Method::Get, "/status")?;
    if let Ok(shard) = serde_json::from_str::<ShardPage>(&body) {
        return Ok(json.deliver(&shard, &shard_text::text(&shard))?);
    }
    let page: Page = serde_json::from_str(&body)
        .map_err(|source| NetworkStatusError::Nonsense { url: url.to_string(), source })?;
    Ok(json.deliver(&page, &text::text(&page))?)
}
