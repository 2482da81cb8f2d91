//! The same over HTTP and JSON, for programs on this machine.
//!
//! Whoever asks has to show the token that lies in the profile's folder, and to ask for this machine by a name of it: a
//! web page, which cannot know the token, can do neither in the name of its reader. Nothing is answered
//! differently for another page's sake, so there is no CORS.
//!
//! `GET /v1/openapi.json` describes all of it, and `docs/src/messenger.md` shows how it is used.

mod answer;
mod describe;
mod events;
mod guard;
mod problem;
mod routes;
mod server;
#[cfg(test)]
mod tests;
mod token;
mod views;

pub use problem::Problem;
pub use server::{ApiError, Server};
pub use token::Token;
pub use views::{
    Acceptance, Allowance, BudgetView, CodeView, CodesView, ContactView, ContactsView, DataView,
    DayView, EventView, EventsView, MessageView, MessagesView, NewCode, NewContact, NewPhrase,
    NewText, PathView, PhraseView, PlaceView, RequestView, RequestsView, Sleep, StatusView,
    SubmittedView, UnderWayView, Verification,
};
