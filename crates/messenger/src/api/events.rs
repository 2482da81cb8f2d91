//! Events from any point on: as a list, or as a stream that goes on.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use antiphon_profile::{EventId, EventsGone};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream;
use tokio::sync::mpsc;

use super::answer::json;
use super::problem::Problem;
use super::routes::{App, number};
use super::views::{EventView, EventsView};
use crate::error::MessengerError;
use crate::messenger::Messenger;

/// Events in a list, unless fewer are asked for.
const MOST_EVENTS: usize = 256;
/// Events on their way to somebody who is slow to take them. Whatever waits behind them waits in the store.
const ON_THE_WAY: usize = 16;
/// Time after which a stream says something even if nothing happens.
const ALIVE: Duration = Duration::from_secs(15);

/// The events after the one that `after` names.
pub(super) async fn list(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let after = EventId(number(&query, "after")?.unwrap_or(0));
    let most = number(&query, "most")?.unwrap_or(MOST_EVENTS as u64).clamp(1, MOST_EVENTS as u64);
    let events = app.messenger.events_after(after, most as usize).await;
    let events = events.map_err(|error| app.problem(&error))?;
    Ok(json(StatusCode::OK, &EventsView { events: events.iter().map(EventView::of).collect() }))
}

/// The events after the one that `Last-Event-ID` or `after` names, and all that follow, as they come.
pub(super) async fn stream(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = query.unwrap_or_default();
    let wrong = || Problem::wrong("`Last-Event-ID` is the number of an event");
    let last = headers.get("last-event-id").map(|last| last.to_str().map_err(|_| wrong()));
    let last = last.transpose()?.map(|last| last.parse().map_err(|_| wrong())).transpose()?;
    let after = match last {
        Some(last) => last,
        None => number(&query, "after")?.unwrap_or(0),
    };
    let (rows, taken) = mpsc::channel(ON_THE_WAY);
    // Ends when the answer is dropped.
    tokio::spawn(follow(Arc::clone(&app.messenger), EventId(after), rows));
    Ok(Sse::new(Rows(taken)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// Reads events as they come, for as long as somebody takes them.
async fn follow(
    messenger: Arc<Messenger>,
    mut after: EventId,
    rows: mpsc::Sender<Result<Event, Infallible>>,
) {
    let mut newest = messenger.newest_event();
    loop {
        newest.borrow_and_update();
        let events = match messenger.events_after(after, ON_THE_WAY).await {
            Ok(events) => events,
            // Said, and gone on from there.
            Err(MessengerError::Events(EventsGone::Dropped { dropped })) => {
                after = EventId(dropped);
                let data = format!("{{\"dropped\":{dropped}}}");
                let row = Event::default().event("dropped").id(dropped.to_string()).data(data);
                if rows.send(Ok(row)).await.is_err() {
                    return;
                }
                continue;
            }
            // Whoever asks tries again from where it is.
            Err(error) => {
                tracing::error!(%error, "events cannot be read");
                return;
            }
        };
        for event in &events {
            after = event.id;
            if rows.send(Ok(row(event))).await.is_err() {
                return;
            }
        }
        if events.is_empty() {
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                () = rows.closed() => return,
            }
        }
    }
}

fn row(event: &antiphon_profile::Event) -> Event {
    let view = EventView::of(event);
    // A view has no form that JSON lacks.
    let data = serde_json::to_string(&view).unwrap_or_default();
    Event::default().id(view.id.to_string()).event(view.kind).data(data)
}

/// Rows on their way to one asker.
struct Rows(mpsc::Receiver<Result<Event, Infallible>>);

impl Stream for Rows {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
