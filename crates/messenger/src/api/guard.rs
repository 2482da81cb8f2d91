//! Who may ask: programs of this user, and no web page.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use super::token::Token;

/// Names of this machine. Any other was made to lead here by somebody else.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Lets a request through, or says why not.
pub(super) async fn guard(State(token): State<Token>, request: Request, next: Next) -> Response {
    match check(&token, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(token: &Token, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(is_own) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "host",
            "this answers to the names `localhost`, `127.0.0.1` and `[::1]` alone",
        ));
    }
    // Browsers say it of their own accord, and nothing else does.
    if headers.contains_key(header::ORIGIN) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin",
            "web pages are not answered: ask from a program",
        ));
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    if !shown.and_then(|shown| shown.strip_prefix("Bearer ")).is_some_and(|it| token.is(it)) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token",
            "say `Authorization: Bearer TOKEN`; the token is in the file `token` of the profile's folder",
        ));
    }
    Ok(())
}

/// A name of this machine, with any port.
fn is_own(host: &str) -> bool {
    HOSTS.iter().any(|name| match host.strip_prefix(name) {
        Some("") => true,
        Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in ["localhost", "localhost:80", "127.0.0.1:7117", "[::1]:1", "[::1]"] {
            assert!(is_own(own), "{own}");
        }
        for other in [
            "",
            "example.org",
            "localhost.example.org",
            "127.0.0.1.nip.io",
            "localhost:",
            "127.0.0.12",
        ] {
            assert!(!is_own(other), "{other}");
        }
    }
}
