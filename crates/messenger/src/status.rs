//! States of a messenger and of its conversations.

mod data_use;
mod observer;
mod path_test;
mod warning;

use antiphon_client::{Budget, Epoch, Pace, Round};
use antiphon_profile::{ContactId, EventId, MessageId, Progress, StoreCounts};
use antiphon_wire::Timestamp;

pub use data_use::{DataUse, Day};
pub(crate) use observer::{Observed, keep, observe};
pub use path_test::PathReport;

/// State of a contact's conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TalkState {
    /// It is not open yet.
    #[default]
    Closed,
    /// The network has no pair of onions left for it: those of other contacts take all.
    NoPlace,
    /// Nothing waits for the contact, and none of its sessions stands: a call begins the next one.
    Asleep,
    /// The contact is called, or answered.
    Calling,
    /// As many calls and answers have left as the network's guarantee covers for one contact.
    CallsUsedUp,
    /// The phrase was good for two days, and nobody else has put it in; or the invitation for 14 days, and was not accepted.
    Lapsed,
    /// The contact was invited, and has not accepted yet, as far as is known.
    Invited,
    /// It is open, and the partner was not heard of since this process began.
    Waiting,
    /// The partner was heard of.
    Met,
}

impl TalkState {
    /// Name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::NoPlace => "no_place",
            Self::Asleep => "asleep",
            Self::Calling => "calling",
            Self::CallsUsedUp => "calls_used_up",
            Self::Lapsed => "lapsed",
            Self::Invited => "invited",
            Self::Waiting => "waiting",
            Self::Met => "met",
        }
    }
}

/// A contact's conversation at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Contact.
    pub contact: ContactId,
    /// State of its conversation.
    pub state: TalkState,
}

/// State of a messenger.
#[derive(Clone, Debug)]
pub struct Standing {
    /// `true` while there is a link to a gateway.
    pub is_online: bool,
    /// The newest epoch whose document was verified.
    pub epoch: Option<Epoch>,
    /// The newest round that was taken part in.
    pub last_round: Option<Round>,
    /// Speed of a conversation.
    pub pace: Option<Pace>,
    /// Units of the guarantee.
    pub budget: Budget,
    /// Aborted rounds that the guarantee allows for.
    pub attempts: Budget,
    /// `true` if this profile was restored from a backup, or may be an old copy.
    pub is_restored: bool,
    /// Counts of what the store holds.
    pub counts: StoreCounts,
    /// The newest event.
    pub last_event: EventId,
    /// Conversations.
    pub places: Vec<Place>,
    /// Messages under way and how far they are, those that are expected first.
    pub under_way: Vec<(MessageId, Progress)>,
    /// Milliseconds that the gateway's clock is ahead of this computer's; negative if it is behind.
    pub clock_ahead_ms: Option<i64>,
    /// The next round of calls, and when it opens if rounds keep to their interval; `None` in a network without.
    pub next_call: Option<(Round, Timestamp)>,
    /// What came back of the last rounds' onions: the self-test, which runs always.
    pub path: PathReport,
    /// Bytes that the links took.
    pub data: DataUse,
    /// What stands in the way of taking part at the moment, in words.
    pub trouble: Option<String>,
    /// Until when the gateway acts for the client, if it sleeps.
    pub asleep_until: Option<Timestamp>,
}

impl Standing {
    /// What a person should know or do, in words, the most urgent first.
    pub fn warnings(&self) -> Vec<String> {
        warning::warnings(self)
    }
}
