//! Questions and answers, as JSON.

use antiphon_client::{Budget, Traffic};
use antiphon_contacts::{Expiry, OwnCode};
use antiphon_profile::{Direction, Event, EventKind, Message, MessageId, MessageState, Progress};
use antiphon_wire::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contact::Contact;
use crate::invitations::Request;
use crate::status::{Day, PathReport, Standing, TalkState};

/// A contact code that the user made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CodeView {
    /// Label, which only the user sees.
    pub label: String,
    /// The code itself, to be given to one person.
    pub code: String,
    /// First moment at which it is good no longer, in milliseconds since 1970; missing for a code without an end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_ms: Option<u64>,
}

/// The codes that the user made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CodesView {
    /// Codes, by label.
    pub codes: Vec<CodeView>,
}

/// A code to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCode {
    /// Label, such as the name of the person whom it is for.
    pub label: String,
    /// Days for which it is good; without them it has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// A contact.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContactView {
    /// Id of the contact, 32 hexadecimal digits.
    pub id: String,
    /// Name that the user gave it.
    pub name: String,
    /// `true` once the user has compared the safety number.
    pub verified: bool,
    /// `true` if the user wants nothing of it.
    pub blocked: bool,
    /// State of the conversation: `closed`, `no_place`, `asleep`, `calling`, `calls_used_up`, `lapsed`, `invited`, `waiting` or `met`.
    pub state: String,
    /// The code that this user gave to the contact.
    pub own_code: String,
    /// Sixty digits, to be compared with the contact's; missing until the first session of a contact by a phrase or an invitation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_number: Option<String>,
    /// `true` once the call root was replaced, in a session, by one of fresh hybrid keys.
    pub refreshed: bool,
    /// `true` if the two have met by a phrase.
    pub by_phrase: bool,
    /// `true` if one of the two has invited the other.
    pub by_invitation: bool,
    /// What a person should know and do, in words, if the contact is not who it was and the new safety number was not
    /// compared yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// The contacts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContactsView {
    /// Contacts, by name.
    pub contacts: Vec<ContactView>,
}

/// A phrase to be made, for a contact to be.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPhrase {
    /// Name that the user gives to the contact.
    pub name: String,
    /// The five words that the contact told; without them, they are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
}

/// A contact by a phrase.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhraseView {
    /// The contact.
    pub contact: ContactView,
    /// The five words, to be told to the person, if they were made. They are shown once, and good for two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
}

/// A contact to be made.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewContact {
    /// Name that the user gives it.
    pub name: String,
    /// The code that the person gave.
    pub code: String,
    /// Label of the code that the person was given; without it, the name. Where there is no code of that label,
    /// one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_code: Option<String>,
    /// `true` if the person has no code of this user, and is to be invited: it sees that somebody who has this code asks to
    /// talk, and not who. An own code has no part in it.
    #[serde(default)]
    pub invite: bool,
}

/// Somebody who has a code of this user, and asks to talk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    /// Id of the request, 32 hexadecimal digits: that of the contact which accepting makes.
    pub id: String,
    /// Label of the code that the person has: all that is known.
    pub label: String,
    /// Time at which it came.
    pub came_ms: u64,
}

/// Those who ask to talk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestsView {
    /// Requests that wait for the user.
    pub requests: Vec<RequestView>,
}

/// A request that is accepted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Name that the user gives to the contact.
    pub name: String,
}

/// Safety number that the user read of the contact's screen, or heard.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The sixty digits; whatever stands between them is left out.
    pub safety_number: String,
}

/// A text to be sent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    /// The text.
    pub text: String,
}

/// A message that was taken.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SubmittedView {
    /// Id of the message, 32 hexadecimal digits.
    pub id: String,
    /// `false` if it was submitted before, under the same idempotency key.
    pub is_new: bool,
}

/// A message.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessageView {
    /// Id of the message.
    pub id: String,
    /// Id of the contact at the other end.
    pub contact: String,
    /// `sent` or `received`.
    pub direction: String,
    /// Time at which it was queued, or stored.
    pub at_ms: u64,
    /// `queued` (nothing of it has left), `under_way`, `delivered` (it is in the partner's store), `failed`, `recalled`
    /// or `received`.
    pub state: String,
    /// Reason why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Time at which this end learned that it is in the partner's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_ms: Option<u64>,
    /// Parts of it that have arrived in the session of the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// Parts that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// Time by which it is expected to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_by_ms: Option<u64>,
    /// Content, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Content in hexadecimal digits, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

/// Messages from and to a contact.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MessagesView {
    /// Messages in the order in which they were kept.
    pub messages: Vec<MessageView>,
}

/// An event: something happened, once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventView {
    /// Id of the event. Later events have higher ones, and there are gaps.
    pub id: u64,
    /// Time at which it was kept.
    pub at_ms: u64,
    /// `queued`, `under_way`, `delivered`, `failed`, `recalled`, `received`, `missing`, `contact_restored`,
    /// `contact_changed`, `restored` or `requested`.
    pub kind: String,
    /// Id of the message that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Id of the contact that it is about, or of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// Number of messages that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// Time at which the backup was made that this profile was restored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_ms: Option<u64>,
}

/// Events after the one that was named.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EventsView {
    /// Events in their order; there may be more behind them.
    pub events: Vec<EventView>,
}

/// Units of the guarantee.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BudgetView {
    /// Units that are spent.
    pub spent: u32,
    /// Units set aside for rounds in flight.
    pub reserved: u32,
    /// Units that are left. At none, conversations rest.
    pub left: u32,
}

/// A contact's conversation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PlaceView {
    /// Id of the contact.
    pub contact: String,
    /// State of it: `closed`, `no_place`, `asleep`, `calling`, `calls_used_up`, `lapsed`, `invited`, `waiting` or `met`.
    pub state: String,
}

/// State of the daemon and of its client.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StatusView {
    /// Version of the program.
    pub version: String,
    /// `true` while there is a link to a gateway.
    pub online: bool,
    /// Time here, in milliseconds since 1970.
    pub now_ms: u64,
    /// The newest epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// The newest round that was taken part in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<u64>,
    /// Least time from one round to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<u32>,
    /// Bytes of a message that one round carries each way, for one contact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_bytes: Option<u64>,
    /// Budget of disturbed rounds.
    pub budget: BudgetView,
    /// Budget of aborted rounds.
    pub attempts: BudgetView,
    /// `true` if the profile was restored from a backup, or may be an old copy, when this process began.
    pub restored: bool,
    /// Messages in the store.
    pub messages: usize,
    /// Messages that wait or are under way.
    pub open_messages: usize,
    /// Events in the store.
    pub events: usize,
    /// Id of the newest event.
    pub last_event: u64,
    /// Conversations, by contact.
    pub conversations: Vec<PlaceView>,
    /// Messages under way, 16 at most, those that are expected first.
    pub under_way: Vec<UnderWayView>,
    /// Milliseconds that the gateway's clock is ahead of this computer's; negative if it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
    /// The next round of calls, in a network that has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_call_round: Option<u64>,
    /// Time at which it is expected to open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_call_ms: Option<u64>,
    /// The self-test over the last 64 rounds at most.
    pub path: PathView,
    /// Time until which the gateway takes part for the client, while it sleeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asleep_until_ms: Option<u64>,
    /// Bytes that the links took today, in universal time.
    pub data_today: DataView,
    /// Bytes that they took in this calendar month.
    pub data_month: DataView,
    /// Bytes by day, of two months at most.
    pub data_days: Vec<DayView>,
    /// What a person should know or do, in words, the most urgent first.
    pub warnings: Vec<String>,
}

/// A message under way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UnderWayView {
    /// Id of the message.
    pub message: String,
    /// Parts of it that have arrived.
    pub part: u32,
    /// Parts that it has.
    pub parts: u32,
    /// Time by which it is expected to be delivered.
    pub expected_by_ms: u64,
}

/// What came back of this client's own onions, each of which tests its path through the network and back.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PathView {
    /// `true` if anything came back.
    pub alive: bool,
    /// Rounds that ended.
    pub rounds: u32,
    /// Rounds of which replies came.
    pub answered: u32,
    /// Onions that left in them.
    pub sent: u32,
    /// Onions that did not come back whole.
    pub lost: u32,
    /// Milliseconds until the replies were there, in the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<u64>,
    /// Time at which something last came back whole, since the daemon was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_whole_ms: Option<u64>,
}

/// Bytes of UDP payload on the links, with all that QUIC adds and sends again.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DataView {
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// Bytes of a day.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DayView {
    /// The day in universal time, such as `2026-11-30`.
    pub day: String,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// Rounds allowed beyond what the guarantee covers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// Disturbed rounds.
    #[serde(default)]
    pub units: u32,
    /// Aborted rounds.
    #[serde(default)]
    pub aborts: u32,
}

/// Sleep that a person wants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sleep {
    /// Seconds, which whole rounds are left for: twelve at most, to the last but one of their epoch.
    pub seconds: u32,
}

impl CodeView {
    pub(super) fn of(code: &OwnCode) -> Self {
        let ends_ms = Expiry::ends(code.code().expiry).map(|ends| ends.0);
        Self { label: code.label().to_owned(), code: code.code().to_text(), ends_ms }
    }
}

impl ContactView {
    pub(super) fn of(contact: &Contact, state: TalkState) -> Self {
        let number = contact.safety_number();
        Self {
            id: contact.id().to_string(),
            name: contact.name().to_owned(),
            verified: contact.is_verified(),
            blocked: contact.is_blocked(),
            state: state.name().to_owned(),
            own_code: contact.own_code().to_text(),
            safety_number: number.map(|number| number.to_string().replace('\n', " ")),
            refreshed: contact.is_refreshed(),
            by_phrase: contact.is_by_phrase(),
            by_invitation: contact.is_by_invitation(),
            changed: contact.changed(),
        }
    }
}

impl RequestView {
    pub(super) fn of(request: &Request) -> Self {
        let label = request.label().to_owned();
        Self { id: request.id().to_string(), label, came_ms: request.came().0 }
    }
}

impl MessageView {
    pub(super) fn of(message: &Message, progress: Option<Progress>) -> Self {
        let (state, why, delivered_ms) = match &message.state {
            MessageState::Queued => ("queued", None, None),
            MessageState::UnderWay { .. } => ("under_way", None, None),
            MessageState::Delivered { at } => ("delivered", None, Some(at.0)),
            MessageState::Failed { why } => ("failed", Some(why.clone()), None),
            MessageState::Recalled => ("recalled", None, None),
            MessageState::Received => ("received", None, None),
        };
        let text = str::from_utf8(&message.body).ok().map(str::to_owned);
        let hex = text.is_none().then(|| hex::encode(&message.body));
        Self {
            id: message.id.to_string(),
            contact: message.contact.to_string(),
            direction: match message.direction() {
                Direction::Sent => "sent".to_owned(),
                Direction::Received => "received".to_owned(),
            },
            at_ms: message.at.0,
            state: state.to_owned(),
            why,
            delivered_ms,
            part: progress.map(|progress| progress.part),
            parts: progress.map(|progress| progress.parts),
            expected_by_ms: progress.map(|progress| progress.expected_by.0),
            text,
            hex,
        }
    }
}

impl EventView {
    pub(super) fn of(event: &Event) -> Self {
        let (mut contact, mut messages, mut made_ms) = (None, None, None);
        match event.kind {
            EventKind::Missing { contact: from, messages: missing } => {
                (contact, messages) = (Some(from.to_string()), Some(missing));
            }
            EventKind::ContactRestored(about)
            | EventKind::ContactChanged(about)
            | EventKind::Requested(about) => {
                contact = Some(about.to_string());
            }
            EventKind::Restored { made_at } => made_ms = Some(made_at.0),
            _ => {}
        }
        Self {
            id: event.id.0,
            at_ms: event.at.0,
            kind: event.kind.name().to_owned(),
            message: event.kind.message().as_ref().map(MessageId::to_string),
            contact,
            messages,
            made_ms,
        }
    }
}

impl From<Budget> for BudgetView {
    fn from(budget: Budget) -> Self {
        Self { spent: budget.spent, reserved: budget.reserved, left: budget.left }
    }
}

impl StatusView {
    pub(super) fn of(standing: &Standing, now: Timestamp) -> Self {
        let conversations = standing.places.iter().map(|place| PlaceView {
            contact: place.contact.to_string(),
            state: place.state.name().to_owned(),
        });
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            online: standing.is_online,
            now_ms: now.0,
            epoch: standing.epoch.map(|epoch| epoch.0),
            round: standing.last_round.map(|round| round.0),
            interval_ms: standing.pace.map(|pace| pace.interval_ms),
            round_bytes: standing.pace.map(antiphon_client::Pace::meeting_bytes),
            budget: standing.budget.into(),
            attempts: standing.attempts.into(),
            restored: standing.is_restored,
            messages: standing.counts.messages,
            open_messages: standing.counts.open_messages,
            events: standing.counts.events,
            last_event: standing.last_event.0,
            conversations: conversations.collect(),
            under_way: standing.under_way.iter().map(UnderWayView::of).collect(),
            clock_ahead_ms: standing.clock_ahead_ms,
            next_call_round: standing.next_call.map(|(round, _)| round.0),
            next_call_ms: standing.next_call.map(|(_, at)| at.0),
            path: PathView::of(&standing.path),
            asleep_until_ms: standing.asleep_until.map(|until| until.0),
            data_today: standing.data.today(now).into(),
            data_month: standing.data.month(now).into(),
            data_days: standing.data.days().map(DayView::of).collect(),
            warnings: standing.warnings(),
        }
    }
}

impl UnderWayView {
    fn of((id, progress): &(MessageId, Progress)) -> Self {
        let Progress { part, parts, expected_by } = *progress;
        Self { message: id.to_string(), part, parts, expected_by_ms: expected_by.0 }
    }
}

impl PathView {
    pub(super) fn of(report: &PathReport) -> Self {
        let PathReport { rounds, answered, sent, lost, median_ms, last_whole } = *report;
        let (alive, last_whole_ms) = (report.is_alive(), last_whole.map(|at| at.0));
        Self { alive, rounds, answered, sent, lost, median_ms, last_whole_ms }
    }
}

impl From<Traffic> for DataView {
    fn from(traffic: Traffic) -> Self {
        Self { sent: traffic.sent, received: traffic.received }
    }
}

impl DayView {
    fn of((day, traffic): (Day, Traffic)) -> Self {
        Self { day: day.to_string(), sent: traffic.sent, received: traffic.received }
    }
}
