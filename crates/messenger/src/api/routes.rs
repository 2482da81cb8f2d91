//! The paths of the API, and the work behind each.

use std::sync::Arc;
use std::time::Duration;

use antiphon_contacts::Expiry;
use antiphon_process::clock::SystemClock;
use antiphon_profile::{ContactId, MOST_MESSAGE_BYTES, MessageId};
use antiphon_wire::Timestamp;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use super::answer::{content, is_of_type, json, read};
use super::guard::guard;
use super::problem::Problem;
use super::token::Token;
use super::views::{
    Acceptance, Allowance, CodeView, CodesView, ContactView, ContactsView, MessageView,
    MessagesView, NewCode, NewContact, NewPhrase, NewText, PathView, PhraseView, RequestView,
    RequestsView, Sleep, StatusView, SubmittedView, Verification,
};
use super::{describe, events};
use crate::contact::Contact;
use crate::error::MessengerError;
use crate::messenger::Messenger;

/// Most bytes of a request but for a message.
const MOST_BYTES: usize = 4 << 10;
/// Most bytes of a message's request: each of its characters may take six.
const MOST_TEXT_BYTES: usize = 6 * MOST_MESSAGE_BYTES + MOST_BYTES;
/// Messages in a list, unless fewer are asked for.
const MOST_MESSAGES: u64 = 100;
/// Rounds of a self-test, unless others are asked for, and at most.
const TESTED_ROUNDS: u64 = 3;
const MOST_TESTED_ROUNDS: u64 = 64;
const DAY_MS: u64 = 86_400_000;

/// Messenger that every answer is made from.
#[derive(Clone)]
pub(super) struct App {
    pub(super) messenger: Arc<Messenger>,
}

impl App {
    pub(super) fn problem(&self, error: &MessengerError) -> Problem {
        Problem::of(error, self.messenger.pace().map(|pace| pace.interval_ms))
    }

    fn view(&self, contact: &Contact) -> ContactView {
        ContactView::of(contact, self.messenger.talk_state(contact.id()))
    }
}

/// The name in a path.
struct Named(String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let none = |_| Problem::new(StatusCode::NOT_FOUND, "not_found", "a name is text in UTF-8");
        Path::from_request_parts(parts, state).await.map(|Path(name)| Self(name)).map_err(none)
    }
}

/// All that can be asked for, by those who show the token.
pub(super) fn router(messenger: Arc<Messenger>, token: Token) -> Router {
    Router::new()
        .route("/v1/openapi.json", get(describe::document))
        .route("/v1/status", get(status))
        .route("/v1/self-test", get(self_test))
        .route("/v1/allowance", post(allow))
        .route("/v1/sleep", post(sleep))
        .route("/v1/wake", post(wake))
        .route("/v1/codes", get(codes).post(make_code))
        .route("/v1/codes/{label}", axum::routing::delete(revoke_code))
        .route("/v1/contacts", get(contacts).post(add_contact))
        .route("/v1/phrases", post(add_phrase))
        .route("/v1/requests", get(requests))
        .route("/v1/requests/{request}/accept", post(accept))
        .route("/v1/requests/{request}/decline", post(decline))
        .route("/v1/requests/{request}/block", post(block_request))
        .route("/v1/contacts/{contact}", get(contact))
        .route("/v1/contacts/{contact}/verify", post(verify))
        .route("/v1/contacts/{contact}/block", post(block))
        .route("/v1/contacts/{contact}/unblock", post(unblock))
        .route("/v1/contacts/{contact}/messages", get(messages).post(send))
        .route("/v1/messages/{message}", get(message))
        .route("/v1/messages/{message}/recall", post(recall))
        .route("/v1/events", get(events::list))
        .route("/v1/events/stream", get(events::stream))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(token, guard))
        .with_state(App { messenger })
}

async fn no_such_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "nothing is done here: /v1/openapi.json says what is, and where",
    )
}

async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        "this is not done here: `Allow` says what is, and /v1/openapi.json what it does",
    )
}

/// A number of a query; `None` if it is not in it.
pub(super) fn number(query: &str, name: &str) -> Result<Option<u64>, Problem> {
    let given = query.split('&').filter_map(|pair| pair.split_once('='));
    let given = given.filter(|(key, _)| *key == name).map(|(_, value)| value).next();
    let wrong = |_| Problem::wrong(format!("`{name}` is a number"));
    given.map(|value| value.parse().map_err(wrong)).transpose()
}

fn contact_id(text: &str) -> Result<ContactId, Problem> {
    let none = |_| {
        let words = "a contact is named by its id, 32 hexadecimal digits: /v1/contacts has them";
        Problem::new(StatusCode::NOT_FOUND, "not_found", words)
    };
    text.parse().map_err(none)
}

fn request_id(text: &str) -> Result<ContactId, Problem> {
    let none = |_| {
        let words = "a request is named by its id, 32 hexadecimal digits: /v1/requests has them";
        Problem::new(StatusCode::NOT_FOUND, "not_found", words)
    };
    text.parse().map_err(none)
}

fn message_id(text: &str) -> Result<MessageId, Problem> {
    let none = |_| {
        let words = "a message is named by its id, 32 hexadecimal digits";
        Problem::new(StatusCode::NOT_FOUND, "not_found", words)
    };
    text.parse().map_err(none)
}

async fn status(State(app): State<App>) -> Response {
    let standing = app.messenger.standing().await;
    json(StatusCode::OK, &StatusView::of(&standing, SystemClock::now()))
}

/// Waits for the next rounds, and says what came back of them.
async fn self_test(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let rounds = number(&query.unwrap_or_default(), "rounds")?.unwrap_or(TESTED_ROUNDS);
    let report = app.messenger.self_test(rounds.clamp(1, MOST_TESTED_ROUNDS)).await;
    Ok(json(StatusCode::OK, &PathView::of(&report)))
}

async fn allow(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let allowance: Allowance = read(&headers, body, MOST_BYTES).await?;
    let allowed = app.messenger.allow(allowance.units, allowance.aborts).await;
    let gone = |error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "failed", format!("{error}"));
    allowed.map_err(gone)?;
    Ok(status(State(app)).await)
}

async fn sleep(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Sleep { seconds } = read(&headers, body, MOST_BYTES).await?;
    let sleeps = app.messenger.sleep(Duration::from_secs(seconds.into())).await;
    sleeps.map_err(|error| app.problem(&error))?;
    Ok(status(State(app)).await)
}

async fn wake(State(app): State<App>) -> Result<Response, Problem> {
    app.messenger.wake_up().await.map_err(|error| app.problem(&error))?;
    Ok(status(State(app)).await)
}

async fn codes(State(app): State<App>) -> Result<Response, Problem> {
    let codes = app.messenger.codes().await.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &CodesView { codes: codes.iter().map(CodeView::of).collect() }))
}

async fn make_code(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let NewCode { label, days } = read(&headers, body, MOST_BYTES).await?;
    let expiry = days.map_or(Expiry::NEVER, |days| {
        Expiry::at(Timestamp(SystemClock::now().0 + u64::from(days) * DAY_MS))
    });
    let made = app.messenger.make_code(&label, expiry).await;
    let made = made.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::CREATED, &CodeView::of(&made)))
}

async fn revoke_code(State(app): State<App>, Named(label): Named) -> Result<Response, Problem> {
    app.messenger.revoke_code(&label).await.map_err(|error| app.problem(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn contacts(State(app): State<App>) -> Result<Response, Problem> {
    let found = app.messenger.contacts().await.map_err(|error| app.problem(&error))?;
    let contacts = found.iter().map(|contact| app.view(contact)).collect();
    Ok(json(StatusCode::OK, &ContactsView { contacts }))
}

async fn add_contact(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let NewContact { name, code, own_code, invite } = read(&headers, body, MOST_BYTES).await?;
    let added = match (invite, own_code) {
        (true, Some(_)) => {
            return Err(Problem::wrong(
                "who is invited has no code of yours: leave out `own_code`",
            ));
        }
        (true, None) => app.messenger.invite(&name, &code).await,
        (false, own_code) => app.messenger.add_contact(&name, &code, own_code.as_deref()).await,
    };
    let added = added.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::CREATED, &app.view(&added)))
}

async fn add_phrase(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let NewPhrase { name, phrase } = read(&headers, body, MOST_BYTES).await?;
    let added = match &phrase {
        Some(words) => app.messenger.add_phrase(&name, words).await.map(|added| (added, None)),
        None => app.messenger.make_phrase(&name).await.map(|(added, made)| (added, Some(made))),
    };
    let (added, phrase) = added.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::CREATED, &PhraseView { contact: app.view(&added), phrase }))
}

async fn requests(State(app): State<App>) -> Result<Response, Problem> {
    let found = app.messenger.requests().await.map_err(|error| app.problem(&error))?;
    let requests = found.iter().map(RequestView::of).collect();
    Ok(json(StatusCode::OK, &RequestsView { requests }))
}

async fn accept(
    State(app): State<App>,
    Named(request): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = request_id(&request)?;
    let Acceptance { name } = read(&headers, body, MOST_BYTES).await?;
    let accepted = app.messenger.accept(request, &name).await;
    let accepted = accepted.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::CREATED, &app.view(&accepted)))
}

async fn decline(State(app): State<App>, Named(request): Named) -> Result<Response, Problem> {
    refuse(&app, &request, false).await
}

async fn block_request(State(app): State<App>, Named(request): Named) -> Result<Response, Problem> {
    refuse(&app, &request, true).await
}

async fn refuse(app: &App, request: &str, revoke: bool) -> Result<Response, Problem> {
    let declined = app.messenger.decline(request_id(request)?, revoke).await;
    declined.map_err(|error| app.problem(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn contact(State(app): State<App>, Named(contact): Named) -> Result<Response, Problem> {
    let found = app.messenger.contact(contact_id(&contact)?).await;
    let found = found.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &app.view(&found)))
}

async fn verify(
    State(app): State<App>,
    Named(contact): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let contact = contact_id(&contact)?;
    let Verification { safety_number } = read(&headers, body, MOST_BYTES).await?;
    let verified = app.messenger.verify(contact, &safety_number).await;
    let verified = verified.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &app.view(&verified)))
}

async fn block(State(app): State<App>, Named(contact): Named) -> Result<Response, Problem> {
    set_blocked(&app, &contact, true).await
}

async fn unblock(State(app): State<App>, Named(contact): Named) -> Result<Response, Problem> {
    set_blocked(&app, &contact, false).await
}

async fn set_blocked(app: &App, contact: &str, blocked: bool) -> Result<Response, Problem> {
    let changed = app.messenger.block(contact_id(contact)?, blocked).await;
    let changed = changed.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &app.view(&changed)))
}

async fn messages(
    State(app): State<App>,
    Named(contact): Named,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (contact, query) = (contact_id(&contact)?, query.unwrap_or_default());
    let skip = number(&query, "skip")?.unwrap_or(0);
    let most = number(&query, "most")?.unwrap_or(MOST_MESSAGES).clamp(1, MOST_MESSAGES);
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let found = app.messenger.messages(contact, skip, most as usize).await;
    let found = found.map_err(|error| app.problem(&error))?;
    let views = found.iter().map(|(message, progress)| MessageView::of(message, *progress));
    Ok(json(StatusCode::OK, &MessagesView { messages: views.collect() }))
}

/// Takes a message, as text in JSON or as bytes.
async fn send(
    State(app): State<App>,
    Named(contact): Named,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let contact = contact_id(&contact)?;
    let key = headers.get("idempotency-key").map(|key| key.to_str());
    let wrong = |_| Problem::wrong("an idempotency key is text");
    let key = key.transpose().map_err(wrong)?.map(str::to_owned);
    let body = if is_of_type(&headers, "application/octet-stream") {
        content(body, MOST_MESSAGE_BYTES).await?
    } else {
        read::<NewText>(&headers, body, MOST_TEXT_BYTES).await?.text.into_bytes()
    };
    let taken = app.messenger.send(contact, body, key.as_deref()).await;
    let taken = taken.map_err(|error| app.problem(&error))?;
    let view = SubmittedView { id: taken.id.to_string(), is_new: taken.is_new };
    Ok(json(StatusCode::ACCEPTED, &view))
}

async fn message(State(app): State<App>, Named(message): Named) -> Result<Response, Problem> {
    let found = app.messenger.message(message_id(&message)?).await;
    let (message, progress) = found.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &MessageView::of(&message, progress)))
}

async fn recall(State(app): State<App>, Named(message): Named) -> Result<Response, Problem> {
    let recalled = app.messenger.recall(message_id(&message)?).await;
    let recalled = recalled.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &MessageView::of(&recalled, None)))
}
