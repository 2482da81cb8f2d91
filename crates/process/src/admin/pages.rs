//! The pages of the admin server, and the requests that they answer.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use tokio::time::timeout;

use super::MetricsPage;
use crate::logging::LogLevel;
use crate::readiness::Readiness;
use crate::status::StatusAsker;

/// The longest filter for logs, in bytes.
const MOST_FILTER_BYTES: usize = 2 << 10;
/// Longest time until a request's body has to be there.
const BODY_WITHIN: Duration = Duration::from_secs(1);
/// How long a process may take to say how it stands.
const STATUS_WITHIN: Duration = Duration::from_secs(3);

/// State that the pages show and change.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) metrics: MetricsPage,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) log_level: LogLevel,
    pub(super) status: Option<StatusAsker>,
}

/// The pages by their paths.
pub(super) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/log-level", get(log_level).put(set_log_level))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .with_state(pages)
}

/// Always says `live`. That it is answered at all is the answer: the runtime that serves rounds serves this.
async fn live() -> Response {
    text(StatusCode::OK, "live")
}

async fn ready(State(pages): State<Pages>) -> Response {
    let readiness = pages.readiness.borrow().clone();
    let status = match readiness {
        Readiness::Ready(_) => StatusCode::OK,
        Readiness::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, &readiness.to_string())
}

async fn metrics(State(pages): State<Pages>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render()).into_response()
}

async fn status(State(pages): State<Pages>) -> Response {
    let Some(asker) = &pages.status else { return unknown().await };
    match timeout(STATUS_WITHIN, asker.ask()).await {
        Ok(Some(json)) => {
            let head = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (head, json).into_response()
        }
        _ => text(StatusCode::SERVICE_UNAVAILABLE, "it is too busy to say: see /ready"),
    }
}

async fn log_level(State(pages): State<Pages>) -> Response {
    text(StatusCode::OK, &pages.log_level.filter())
}

async fn set_log_level(State(pages): State<Pages>, body: Body) -> Response {
    let Ok(read) = timeout(BODY_WITHIN, to_bytes(body, MOST_FILTER_BYTES)).await else {
        return text(StatusCode::REQUEST_TIMEOUT, "the filter did not come within a second");
    };
    let Ok(bytes) = read else {
        let problem = format!("give a filter of at most {MOST_FILTER_BYTES} bytes");
        return text(StatusCode::PAYLOAD_TOO_LARGE, &problem);
    };
    let filter = String::from_utf8_lossy(&bytes);
    match pages.log_level.set(filter.trim()) {
        Ok(()) => text(StatusCode::OK, &pages.log_level.filter()),
        Err(problem) => text(StatusCode::BAD_REQUEST, &problem),
    }
}

async fn unknown() -> Response {
    let pages = "there are /live, /ready, /metrics and /log-level, and /status of a coordinator";
    text(StatusCode::NOT_FOUND, pages)
}

async fn other_method() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "GET only; /log-level takes PUT as well")
}

fn text(status: StatusCode, line: &str) -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, head, format!("{line}\n")).into_response()
}
