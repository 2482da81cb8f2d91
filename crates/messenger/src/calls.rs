//! Calls to contacts, in a network that has rounds for them: who is called when, and for how long a session stands.
//!
//! What is decided is in [`line`], [`switchboard`] and [`rhythm`], without clock or network; [`caller`] does it.

pub(crate) mod caller;
pub(crate) mod greeting;
pub(crate) mod line;
pub(crate) mod rhythm;
mod switchboard;
