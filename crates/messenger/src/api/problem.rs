//! Refusals and failures as answers: a status, and words in JSON.

use antiphon_profile::{EventsGone, MOST_MESSAGE_BYTES};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::json;
use crate::error::{ErrorKind, MessengerError};

/// Seconds after which to try again, while nobody knows how fast the network is.
const RETRY_S: u64 = 60;

/// Reason why something was not done, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Kind, for programs: `wrong`, `not_found`, `conflict`, `gone`, `too_long`, `busy`, `no_room`, `failed`, `token`, `host`,
    /// `origin`, `content_type`, `no_such_path` or `no_such_method`.
    pub kind: String,
    /// Words that say what is wrong, and what to do.
    pub message: String,
    /// Most bytes that are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Seconds after which it may go well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Id of the last event that was dropped for its age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    #[serde(skip)]
    status: u16,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            limit: None,
            retry_after_s: None,
            dropped: None,
            status: status.as_u16(),
        }
    }

    pub(super) fn wrong(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "wrong", message)
    }

    pub(super) fn too_long(limit: usize) -> Self {
        let message = format!("at most {limit} bytes are taken here: send less at once");
        let problem = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", message);
        Self { limit: Some(limit as u64), ..problem }
    }

    /// The answer to an error, of which it may be tried again after two rounds of `interval_ms`.
    pub(super) fn of(error: &MessengerError, interval_ms: Option<u32>) -> Self {
        let (status, kind) = match error.kind() {
            ErrorKind::Wrong => (StatusCode::BAD_REQUEST, "wrong"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorKind::Gone => (StatusCode::GONE, "gone"),
            ErrorKind::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
            ErrorKind::Busy => (StatusCode::TOO_MANY_REQUESTS, "busy"),
            ErrorKind::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "no_room"),
            ErrorKind::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        let mut problem = Self::new(status, kind, error.to_string());
        match error.kind() {
            ErrorKind::TooLong => problem.limit = Some(MOST_MESSAGE_BYTES as u64),
            ErrorKind::Busy => {
                let rounds = interval_ms.map(|ms| (2 * u64::from(ms)).div_ceil(1000));
                problem.retry_after_s = Some(rounds.unwrap_or(RETRY_S).max(1));
            }
            _ => {}
        }
        if let MessengerError::Events(EventsGone::Dropped { dropped }) = error {
            problem.dropped = Some(*dropped);
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &self);
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
