//! JSON in and out.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// An answer in JSON, which nobody keeps.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut response = match serde_json::to_vec(value) {
        Ok(bytes) => Response::new(Body::from(bytes)),
        // Nothing that is answered has a form that JSON lacks.
        Err(error) => Response::new(Body::from(error.to_string())),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Returns `true` if the content of a request is of this type, whatever else is said of it.
pub(super) fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let given = given.and_then(|given| given.split(';').next());
    given.is_some_and(|given| given.trim().eq_ignore_ascii_case(wanted))
}

/// The content of a request, of so many bytes at most.
pub(super) async fn content(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let bytes = to_bytes(body, most).await.map_err(|_| Problem::too_long(most))?;
    Ok(bytes.into())
}

/// The value that a request carries as JSON.
pub(super) async fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<T, Problem> {
    if !is_of_type(headers, "application/json") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            "say `Content-Type: application/json`, and send JSON",
        ));
    }
    let bytes = content(body, most).await?;
    serde_json::from_slice(&bytes).map_err(|error| Problem::wrong(format!("the JSON: {error}")))
}
