//! Invitations: one person has the other's code, and nothing was given back.
//!
//! What this user sends is in [`sent`], what comes in [`requests`], and [`inviter`] carries both between store and network. Whatever
//! a user does about a request, nothing is sent for it but the calls of a contact that was accepted, in the place of dummies.

pub(crate) mod inviter;
pub(crate) mod requests;
pub(crate) mod sent;

pub use requests::Request;
