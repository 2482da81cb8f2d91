//! `antiphon status http://...`: how a network's coordinator stands.

mod http;
mod text;

use antiphon_coordinator::Status;
use serde::{Deserialize, Serialize};

use crate::cli::json::JsonArguments;
use crate::exit::{Exit, Exits};
use crate::output::OutputError;

pub(crate) use http::{AdminUrl, FetchError};

/// What `/status` answers.
#[derive(Debug, Deserialize, Serialize)]
struct Page {
    version: String,
    #[serde(flatten)]
    status: Status,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkStatusError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("what {url} answers is no coordinator's status: {source}")]
    Nonsense { url: String, source: serde_json::Error },
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for NetworkStatusError {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

/// Fetches the status and shows it.
pub(crate) fn run(url: &AdminUrl, json: &JsonArguments) -> Result<(), NetworkStatusError> {
    json.check()?;
    let body = http::get(url, "/status")?;
    let page: Page = serde_json::from_str(&body)
        .map_err(|source| NetworkStatusError::Nonsense { url: url.to_string(), source })?;
    Ok(json.deliver(&page, &text::text(&page))?)
}
