#![doc = include_str!("../README.md")]

pub mod api;
mod book;
mod calls;
pub mod config;
mod contact;
mod error;
mod invitations;
mod messenger;
mod parts;
mod shared;
mod status;
mod talk;
mod talks;

pub use antiphon_contacts::Expiry;
pub use contact::{Contact, NameError};
pub use error::{ErrorKind, MessengerError};
pub use invitations::Request;
pub use messenger::{Messenger, StartError};
pub use status::{DataUse, Day, PathReport, Place, Standing, TalkState};
