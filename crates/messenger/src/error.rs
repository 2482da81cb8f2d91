//! Reasons why a messenger does not do what it is asked for, and their kinds.

use antiphon_client::SleepRefusal;
use antiphon_contacts::{
    CodeError, CodeRefusal, MakeError, PhraseError, RecordError, SameCodeError,
};
use antiphon_profile::{EventsGone, KeepsakeError, StoreError, SubmitError};

use crate::contact::NameError;

/// Kind of an error, by which a program decides what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong: the same again is refused again.
    Wrong,
    /// There is nothing of that name.
    NotFound,
    /// Something else stands in the way.
    Conflict,
    /// It was there, and is kept no longer.
    Gone,
    /// It is longer than what is taken.
    TooLong,
    /// As much waits as may: try again later.
    Busy,
    /// There is no room on the disk or in the store until something is deleted.
    NoRoom,
    /// The profile or the system fails.
    Failed,
}

/// Reason why something is not done.
#[derive(Debug, thiserror::Error)]
pub enum MessengerError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The message is not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// Events are gone.
    #[error(transparent)]
    Events(#[from] EventsGone),
    /// Something cannot be kept.
    #[error(transparent)]
    Keepsake(#[from] KeepsakeError),
    /// The text is no contact code.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The code reads well, and is not to be used.
    #[error(transparent)]
    Refusal(#[from] CodeRefusal),
    /// No code is made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// A code that was kept cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Both codes are this user's.
    #[error(transparent)]
    SameCode(#[from] SameCodeError),
    /// The name of a contact is refused.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is no code of this label.
    #[error(
        "there is no code \"{0}\" of your own: make one with `antiphon contact code`, and give it to the contact"
    )]
    NoCode(String),
    /// The code belongs to a contact already.
    #[error(
        "this contact code is that of \"{0}\" already: go on with that contact, or ask for a new code"
    )]
    KnownCode(String),
    /// The words are no phrase.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The phrase has made a contact already.
    #[error(
        "\"{0}\" is a contact by this phrase already: a phrase is good for one contact, so make another one"
    )]
    KnownPhrase(String),
    /// The network has no rounds for calls.
    #[error(
        "this network has no rounds for calls, which two who meet by a phrase or an invitation need: give each other contact codes \
         (`antiphon contact code`, `antiphon contact add`), or use a network whose file has [services]"
    )]
    NoCalls,
    /// There is no such request.
    #[error("nobody asks to talk as \"{0}\": `antiphon contact requests` shows who does")]
    NoRequest(String),
    /// A request that was kept cannot be read.
    #[error("a request that came is damaged: have the other person invite you again")]
    DamagedRequest,
    /// The daemon is being stopped.
    #[error("this was interrupted, as the daemon stops: do it again once it runs")]
    Interrupted,
    /// There is no number to compare yet.
    #[error("\"{0}\" was not met yet: there is a safety number once you have")]
    NoNumber(String),
    /// The code serves a contact and cannot be taken back.
    #[error(
        "the code \"{0}\" was given to a contact, who is known by it: block the contact instead"
    )]
    CodeInUse(String),
    /// There is no such contact.
    #[error("there is no contact \"{0}\": `antiphon contact list` shows who there is")]
    NoContact(String),
    /// There is no such message.
    #[error("there is no message {0}: it was deleted, or never there")]
    NoMessage(String),
    /// The contact is blocked.
    #[error("\"{0}\" is blocked: allow the contact first")]
    Blocked(String),
    /// The message left before.
    #[error("it is too late to recall this message: it has left, or its end is known")]
    TooLate,
    /// The client does not sleep.
    #[error(transparent)]
    NoSleep(SleepRefusal),
    /// The safety number is another one.
    #[error(
        "this is not the safety number of \"{0}\": somebody may stand between you. Compare both numbers again; if \
         they differ, give each other new codes on another way"
    )]
    OtherNumber(String),
    /// A contact's record has a form of a later version.
    #[error(
        "the contact \"{0}\" was kept by a newer version of Antiphon: use that version, or a later one"
    )]
    Newer(String),
    /// A contact's record cannot be read.
    #[error("the contact \"{0}\" is damaged: restore a backup into a new profile")]
    Damaged(String),
}

impl MessengerError {
    /// The kind of the error.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Submit(error) => match error {
                SubmitError::Store(error) => of_store(error),
                SubmitError::QueueFull { .. } | SubmitError::QueueBytes { .. } => ErrorKind::Busy,
                SubmitError::StoreFull { .. } => ErrorKind::NoRoom,
                SubmitError::TooLong { .. } => ErrorKind::TooLong,
                SubmitError::KeyReused => ErrorKind::Conflict,
                SubmitError::BadKey => ErrorKind::Wrong,
            },
            Self::Events(EventsGone::Dropped { .. }) => ErrorKind::Gone,
            Self::Store(error)
            | Self::Events(EventsGone::Store(error))
            | Self::Keepsake(KeepsakeError::Store(error)) => of_store(error),
            Self::Keepsake(_)
            | Self::Code(_)
            | Self::Refusal(_)
            | Self::Make(MakeError::Label(_))
            | Self::SameCode(_)
            | Self::Name(NameError::Length | NameError::Control)
            | Self::Phrase(_)
            | Self::OtherNumber(_) => ErrorKind::Wrong,
            Self::NoCode(_) | Self::NoContact(_) | Self::NoMessage(_) | Self::NoRequest(_) => {
                ErrorKind::NotFound
            }
            Self::Make(_)
            | Self::Name(NameError::Taken(_))
            | Self::KnownCode(_)
            | Self::KnownPhrase(_)
            | Self::NoCalls
            | Self::NoNumber(_)
            | Self::CodeInUse(_)
            | Self::Blocked(_)
            | Self::NoSleep(_)
            | Self::TooLate => ErrorKind::Conflict,
            Self::Record(_)
            | Self::Newer(_)
            | Self::Damaged(_)
            | Self::DamagedRequest
            | Self::Interrupted => ErrorKind::Failed,
        }
    }
}

const fn of_store(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::DiskFull => ErrorKind::NoRoom,
        StoreError::TooLong { .. } => ErrorKind::TooLong,
        _ => ErrorKind::Failed,
    }
}
