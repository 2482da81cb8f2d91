//! The pages of the admin server, and the requests that they answer.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio::time::timeout;

use super::MetricsPage;
use crate::logging::LogLevel;
use crate::readiness::Readiness;
use crate::requests::{Asker, Wanted};

/// The longest filter for logs, in bytes.
const MOST_FILTER_BYTES: usize = 2 << 10;
/// Longest time until a request's body has to be there.
const BODY_WITHIN: Duration = Duration::from_secs(1);
/// How long a process may take to answer a request.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How long a process may take to read its gauges: less than any Prometheus waits.
const GAUGES_WITHIN: Duration = Duration::from_millis(500);

/// The page that shows `/status`: one file, with all that it needs.
const STATUS_PAGE: &str = include_str!("status_page.html");
/// What a browser may do for that page: run its own script, and ask this server.
const PAGE_MAY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// State that the pages show and change.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) metrics: MetricsPage,
    pub(super) readiness: watch::Receiver<Readiness>,
    pub(super) log_level: LogLevel,
    pub(super) asker: Asker,
}

/// The pages by their paths.
pub(super) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/log-level", get(log_level).put(set_log_level))
        .route("/drain", post(drain).delete(undo))
        .fallback(unknown)
        .method_not_allowed_fallback(other_method)
        .with_state(pages)
}

/// The pages that change nothing, for those who do not look after the process.
pub(super) fn shown_router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/status", get(status))
        .fallback(not_shown)
        .method_not_allowed_fallback(not_shown)
        .with_state(pages)
}

/// Always says `live`. That it is answered at all is the answer: the runtime that serves rounds serves this.
async fn live() -> Response {
    text(StatusCode::OK, "live")
}

/// The status for people with a browser. It asks for `/status` again and again, and for nothing else.
async fn status_page() -> Response {
    let head = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, PAGE_MAY)];
    (head, STATUS_PAGE).into_response()
}

async fn ready(State(pages): State<Pages>) -> Response {
    let readiness = pages.readiness.borrow().clone();
    let status =
        if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    text(status, &readiness.to_string())
}

/// The metrics. Gauges are read for it, and are those read before if the process is too busy for that.
async fn metrics(State(pages): State<Pages>) -> Response {
    let _ = timeout(GAUGES_WITHIN, pages.asker.ask(Wanted::Gauges)).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render()).into_response()
}

async fn status(State(pages): State<Pages>) -> Response {
    pages.ask(Wanted::Status).await
}

async fn drain(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if of_a_browser(&headers) { not_from_pages() } else { pages.ask(Wanted::Drain).await }
}

async fn undo(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if of_a_browser(&headers) { not_from_pages() } else { pages.ask(Wanted::Undo).await }
}

impl Pages {
    async fn ask(&self, wanted: Wanted) -> Response {
        match timeout(ANSWER_WITHIN, self.asker.ask(wanted)).await {
            Ok(Some(Ok(json))) => {
                let head = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
                (head, json).into_response()
            }
            Ok(Some(Err(why))) => text(StatusCode::CONFLICT, &why),
            _ => text(StatusCode::SERVICE_UNAVAILABLE, "it is too busy to say: see /ready"),
        }
    }
}

/// Browsers say on whose page's behalf they change something, and any page on the web may have them ask
/// servers on this machine.
fn of_a_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

fn not_from_pages() -> Response {
    text(StatusCode::FORBIDDEN, "a browser's page changes nothing here: use `antiphon` or curl")
}

async fn log_level(State(pages): State<Pages>) -> Response {
    text(StatusCode::OK, &pages.log_level.filter())
}

async fn set_log_level(State(pages): State<Pages>, headers: HeaderMap, body: Body) -> Response {
    if of_a_browser(&headers) {
        return not_from_pages();
    }
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
    let pages = "there are /, /live, /ready, /metrics, /status, /log-level and /drain";
    text(StatusCode::NOT_FOUND, pages)
}

async fn not_shown() -> Response {
    text(StatusCode::NOT_FOUND, "there are /, /live, /ready and /status here, for GET")
}

async fn other_method() -> Response {
    text(
        StatusCode::METHOD_NOT_ALLOWED,
        "GET only; /log-level takes PUT as well, and /drain POST and DELETE",
    )
}

fn text(status: StatusCode, line: &str) -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (status, head, format!("{line}\n")).into_response()
}
