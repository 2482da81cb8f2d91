//! One contact's conversation: messages from the store into the network, and what comes back into the store.
//!
//! A conversation stays open whatever is said in it, and the next one follows when it is over, so that nothing that
//! a user does, or leaves undone, shows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_client::{
    Arrival, Client, Conversation, ConversationId, ConversationOptions, ConversationReceiver,
    ConversationSender, CoreEvent, Delivery, Event, Events, Level, OpenConversationError, Pace,
    ReceiveError, Round, SendError,
};
use antiphon_contacts::{CallRound, Change, ContactCode, SessionBinding};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_process::until;
use antiphon_profile::{ArrivalError, ContactId, Exchange, MessageId, Progress};
use antiphon_wire::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::book;
use crate::calls::caller::Changes;
use crate::calls::greeting::{Greeting, Reply};
use crate::calls::rhythm::{Rhythm, Step};
use crate::contact::Contact;
use crate::error::MessengerError;
use crate::invitations::sent;
use crate::parts::{Joined, Joiner, cut, cut_greeting};
use crate::shared::Shared;
use crate::status::TalkState;

/// Parts under way at once: enough for all rounds in flight, and few, so that what waits can still be recalled.
const MOST_PARTS: usize = 16;
/// Bytes of a part before anybody knows what a body carries.
const FIRST_PART_BYTES: usize = 200;
/// Rounds between meetings from which on the partner counts as away: a few disturbed ones do not make it so.
const AWAY_ROUNDS: u64 = 16;
/// Pause after the store could not be written, or no place was free.
const PAUSE: Duration = Duration::from_secs(5);

/// State of a conversation as others see it, and the means to wake it.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// There is something to be sent.
    wake: Notify,
    /// The user has made sure who the contact is, and the conversation is to be told.
    verified: AtomicBool,
    /// The session is to end without a word.
    ended: AtomicBool,
    state: Mutex<TalkState>,
}

impl Signals {
    /// Tells the conversation that there is something to be sent.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Tells the conversation that the user has made sure who the contact is.
    pub(crate) fn verified(&self) {
        self.verified.store(true, Ordering::Release);
        self.wake();
    }

    /// Tells the session to end without a word: the partner has lost it.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn state(&self) -> TalkState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn show(&self, state: TalkState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// End of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// It was closed by agreement, or never began.
    Closed,
    /// It ended without a word, as the partner was away.
    Slept,
    /// It was told to end.
    Ended,
    /// The client is gone.
    Gone,
}

/// A contact's conversations, one after the other.
pub(crate) struct Talk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Arc<Client>,
    pub(crate) contact: ContactId,
    pub(crate) signals: Arc<Signals>,
    /// In a network with calls, whom to tell that a session has brought a fresh call root.
    pub(crate) changes: Option<Arc<Changes>>,
}

impl Talk {
    /// Talks in the one session that a call has opened, from round `first` on, or from the next one on if it is one of
    /// before a restart.
    pub(crate) async fn once(
        self,
        session: CallRound,
        first: Round,
        wanted: Arc<AtomicBool>,
    ) -> Over {
        let Some((contact, terms)) = self.terms().await else { return Over::Closed };
        if contact.session() != session.0 {
            return Over::Ended;
        }
        let events = self.client.events();
        self.signals.ended.store(false, Ordering::Release);
        let terms = ConversationOptions { first, ..terms };
        match self.client.open(terms).await {
            Ok(conversation) => {
                self.signals.show(TalkState::Waiting);
                let rhythm = Rhythm::new(SystemClock::now(), first == Round(0));
                let mut session = Session::new(&self, conversation, events);
                session.rhythm = Some((rhythm, wanted));
                if first != Round(0) {
                    session.greet(&contact);
                }
                session.run().await
            }
            // It was over when the process before ended, or there is no room: the partner finds nobody.
            Err(OpenConversationError::UsedSecret | OpenConversationError::Refused(_)) => {
                Over::Closed
            }
            Err(OpenConversationError::Gone(_)) => Over::Gone,
        }
    }

    /// Talks until the contact is blocked or gone, or the client is, in a network without calls.
    pub(crate) async fn run(self) {
        loop {
            let Some((contact, terms)) = self.terms().await else { break };
            let session = contact.session();
            let events = self.client.events();
            match self.client.open(terms).await {
                Ok(conversation) => {
                    self.signals.show(TalkState::Waiting);
                    let over = Session::new(&self, conversation, events).run().await;
                    self.signals.show(TalkState::Closed);
                    if over == Over::Gone || !self.go_on_from(session).await {
                        break;
                    }
                }
                Err(OpenConversationError::Refused(_)) => {
                    self.signals.show(TalkState::NoPlace);
                    tokio::time::sleep(PAUSE).await;
                }
                // It was over when this process ended, and that had not been kept yet.
                Err(OpenConversationError::UsedSecret) => {
                    if !self.go_on_from(session).await {
                        break;
                    }
                }
                Err(OpenConversationError::Gone(_)) => break,
            }
        }
        self.signals.show(TalkState::Closed);
    }

    /// The contact, and the terms of the session that is due; `None` if there is to be none.
    async fn terms(&self) -> Option<(Contact, ConversationOptions)> {
        loop {
            let id = self.contact;
            match self.shared.store(move |store, _| book::contact(store, id)).await {
                Ok(contact) if contact.is_blocked() => return None,
                Ok(contact) => {
                    let terms = contact.terms()?;
                    return Some((contact, terms));
                }
                Err(error) if error.kind() == crate::ErrorKind::NotFound => return None,
                Err(error) => {
                    // Without its words, which may name the contact.
                    let kind = error.kind();
                    tracing::error!(?kind, "a contact cannot be read; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Keeps that a session is over. Returns `false` if there is no contact any more.
    async fn go_on_from(&self, session: u64) -> bool {
        loop {
            let id = self.contact;
            let kept = self.shared.store(move |store, rng| {
                let mut contact = book::contact(store, id)?;
                if contact.session() == session {
                    contact.end_session();
                    book::keep(store, &contact, rng)?;
                }
                Ok::<_, MessengerError>(())
            });
            match kept.await {
                Ok(()) => return true,
                Err(error) if error.kind() == crate::ErrorKind::NotFound => return false,
                Err(error) => {
                    let kind = error.kind();
                    tracing::error!(?kind, "a contact cannot be kept; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The message that a part is of, its number among the parts, and how many there are.
type PartOf = (MessageId, u32, u32);

/// A part that the partner has not acknowledged yet.
struct UnderWay {
    delivery: Delivery,
    of: Option<PartOf>,
}

/// One conversation.
struct Session<'a> {
    talk: &'a Talk,
    id: ConversationId,
    sender: ConversationSender,
    receiver: ConversationReceiver,
    events: Events,
    exchange: Exchange,
    joiner: Joiner,
    /// Parts of the piece that is being sent.
    parts: VecDeque<(Vec<u8>, Option<PartOf>)>,
    under_way: VecDeque<UnderWay>,
    /// Piece that has come and is not in the store yet, with its last part.
    arrived: Option<(Arrival, Vec<u8>)>,
    level: Level,
    /// The partner was heard of. Before that, messages stay in the queue, and can be recalled.
    heard: bool,
    /// Nothing more can be sent in it.
    closing: bool,
    /// Time to try the store again.
    again: Option<Instant>,
    /// In a network with calls, how long the session stands, and whether another contact waits for its place.
    rhythm: Option<(Rhythm, Arc<AtomicBool>)>,
    /// The greeting, and what of it is to be said once nothing else is.
    greeting: Option<Greeting>,
    says: VecDeque<Vec<u8>>,
    /// Nothing is said to the partner but the greeting: it has told no identity yet.
    is_stranger: bool,
}

impl<'a> Session<'a> {
    fn new(talk: &'a Talk, conversation: Conversation, events: Events) -> Self {
        let id = conversation.id();
        let (sender, receiver) = conversation.split();
        Self {
            talk,
            id,
            sender,
            receiver,
            events,
            exchange: Exchange::new(talk.contact),
            joiner: Joiner::default(),
            parts: VecDeque::new(),
            under_way: VecDeque::new(),
            arrived: None,
            level: Level::DENSEST,
            heard: false,
            closing: false,
            again: None,
            rhythm: None,
            greeting: None,
            says: VecDeque::new(),
            is_stranger: false,
        }
    }

    /// Talks until the session is over.
    async fn run(mut self) -> Over {
        loop {
            self.fill().await;
            let (idle, signals) = (self.arrived.is_none(), &self.talk.signals);
            let acknowledged = async {
                match self.under_way.front_mut() {
                    Some(first) => (&mut first.delivery).await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                arrival = self.receiver.arrival(), if idle => match arrival {
                    Ok(arrival) => self.take(arrival).await,
                    // The partner sends again what has no receipt.
                    Err(ReceiveError::Missed(_)) => self.joiner = Joiner::default(),
                    Err(ReceiveError::Closed) => return self.closed().await,
                },
                arrived = acknowledged => self.acknowledged(arrived).await,
                event = self.events.next() => match event {
                    Some(Event::Core(event)) => {
                        self.heed(&event);
                        if self.is_asleep(&event).await {
                            return Over::Slept;
                        }
                    }
                    Some(_) => {}
                    None => return Over::Gone,
                },
                () = signals.wake.notified() => {
                    if self.is_ended().await {
                        return Over::Ended;
                    }
                }
                () = until(self.again) => {
                    self.again = None;
                    self.store_arrived().await;
                }
            }
        }
    }

    /// The reason why nothing comes any more.
    async fn closed(&self) -> Over {
        match self.sender.try_send([]).await {
            Err(SendError::Gone(_)) => Over::Gone,
            _ => Over::Closed,
        }
    }

    /// Does what others have asked for. Returns `true` if the session was ended.
    async fn is_ended(&self) -> bool {
        let signals = &self.talk.signals;
        if signals.verified.swap(false, Ordering::AcqRel) {
            // The contact may have told another identity since.
            let id = self.talk.contact;
            let found = self.talk.shared.store(move |store, _| book::contact(store, id)).await;
            self.sender.set_verified(found.is_ok_and(|contact| contact.is_verified())).await;
        }
        let ends = signals.ended.swap(false, Ordering::AcqRel);
        if ends {
            self.sender.end().await;
        }
        ends
    }

    fn heed(&mut self, event: &CoreEvent) {
        match event {
            CoreEvent::Met { conversation } if *conversation == self.id => self.note(Rhythm::heard),
            CoreEvent::Rhythm { conversation, level } if *conversation == self.id => {
                let (now, before) = (SystemClock::now(), self.level);
                self.note(|rhythm| rhythm.at_level(now, before, *level));
                self.level = *level;
                // It thins out while the partner is away.
                if self.heard {
                    let is_near = level.rounds() < AWAY_ROUNDS;
                    let state = if is_near { TalkState::Met } else { TalkState::Waiting };
                    self.talk.signals.show(state);
                }
            }
            CoreEvent::NoRoom { conversation } if *conversation == self.id => {
                self.talk.signals.show(TalkState::NoPlace);
            }
            _ => {}
        }
    }

    fn note(&mut self, what: impl FnOnce(&mut Rhythm)) {
        if let Some((rhythm, _)) = &mut self.rhythm {
            what(rhythm);
        }
    }

    /// Asks to close the session once it has been quiet for a while. Returns `true` if it has fallen asleep. Both are looked
    /// at when a round ends.
    async fn is_asleep(&mut self, event: &CoreEvent) -> bool {
        let Some((rhythm, wanted)) = &mut self.rhythm else { return false };
        if !matches!(event, CoreEvent::RoundEnded { .. }) {
            return false;
        }
        match rhythm.due(SystemClock::now(), wanted.load(Ordering::Relaxed)) {
            Some(Step::Sleep) => {
                self.sender.end().await;
                true
            }
            Some(Step::Close) => {
                self.closing = true;
                self.sender.close().await;
                false
            }
            None => false,
        }
    }

    /// Hands over to the network what there is to be sent, as far as there is room.
    async fn fill(&mut self) {
        while self.has_room() {
            if self.parts.is_empty() && !self.next_piece().await {
                return;
            }
            let Some((part, of)) = self.parts.pop_front() else { return };
            match self.sender.try_send(part).await {
                Ok(delivery) => self.under_way.push_back(UnderWay { delivery, of }),
                // What has no receipt goes into the next one.
                Err(_) => self.closing = true,
            }
        }
    }

    fn has_room(&self) -> bool {
        let most = if self.heard { MOST_PARTS } else { 1 };
        self.under_way.len() < most && !self.closing
    }

    fn hear(&mut self) {
        self.note(Rhythm::heard);
        if !self.heard {
            self.heard = true;
            self.talk.signals.show(TalkState::Met);
        }
    }

    /// Takes the next piece out of the store. Returns `false` if there is none at the moment.
    async fn next_piece(&mut self) -> bool {
        if self.again.is_some() {
            return false;
        }
        if self.is_stranger {
            return self.next_of_greeting();
        }
        let mut exchange = self.exchange.clone();
        let next = self.talk.shared.store(move |store, rng| {
            let next = exchange.next(SystemClock::now(), store, rng);
            next.map(|next| (exchange, next))
        });
        match next.await {
            Ok((exchange, next)) => {
                self.exchange = exchange;
                let Some(next) = next else { return self.next_of_greeting() };
                self.note(|rhythm| rhythm.said(SystemClock::now()));
                let parts = cut(&next.bytes, self.body_bytes());
                let count = parts.len() as u32;
                if let Some(message) = next.message {
                    self.progress(message, 0, count).await;
                }
                let of = |number| next.message.map(|message| (message, number, count));
                let parts = parts.into_iter().zip(1..).map(|(part, number)| (part, of(number)));
                self.parts.extend(parts);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the store does not give what is to be sent; trying again");
                self.again = Some(Instant::now() + PAUSE);
                false
            }
        }
    }

    /// Begins to greet. What it brings is for the next session, so it waits until messages have left.
    fn greet(&mut self, contact: &Contact) {
        let Some(secret) = contact.session_secret() else { return };
        let own = (*contact.own_code(), contact.binding());
        let (greeting, say) = Greeting::begin(contact.side(), secret, own, &mut entropy());
        self.greeting = Some(greeting);
        self.says.push_back(say);
        self.is_stranger = contact.lapses().is_some();
    }

    fn next_of_greeting(&mut self) -> bool {
        let Some(say) = self.says.pop_front() else { return false };
        let parts = cut_greeting(&say, self.body_bytes());
        self.parts.extend(parts.into_iter().map(|part| (part, None)));
        true
    }

    /// Takes the partner's part of the greeting. One that is of before a restart comes to nothing.
    async fn greeted(&mut self, said: &[u8]) {
        let Some(greeting) = &mut self.greeting else { return };
        let kept = match greeting.heard(said, &mut entropy()) {
            Ok(Reply::Say(say)) => {
                self.says.push_back(say);
                return;
            }
            Ok(Reply::Keep { root, say }) => {
                let kept = self.keep(move |contact| contact.take_root(&root)).await;
                // Without the root on disk the partner must not give up the one before.
                self.says.extend(kept.then_some(say));
                kept
            }
            Ok(Reply::Known { code, binding }) => self.known(code, binding).await,
            Err(error) => {
                tracing::warn!(%error, "a contact greets as no honest one does");
                false
            }
        };
        if !kept {
            self.greeting = None;
        }
    }

    /// Takes note of who the partner says it is. What has changed is told with it, or not at all. Returns `false` if it cannot
    /// be kept.
    async fn known(&mut self, code: ContactCode, binding: SessionBinding) -> bool {
        let id = self.talk.contact;
        let kept = self.talk.shared.store(move |store, rng| {
            let mut contact = book::contact(store, id)?;
            let change = contact.know(&code, binding, CallRound(contact.session()));
            match change {
                Change::None => book::keep(store, &contact, rng)?,
                _ => book::keep_changed(store, SystemClock::now(), &contact, rng)?,
            }
            Ok::<_, MessengerError>(contact)
        });
        let kept = kept.await.inspect_err(|error| {
            tracing::error!(kind = ?error.kind(), "who a contact is cannot be kept");
        });
        if let Some(changes) = &self.talk.changes {
            changes.of(id);
        }
        let Ok(contact) = kept else { return false };
        // Whoever was to be met by a phrase and is somebody else stays a stranger.
        self.is_stranger &= contact.lapses().is_some();
        if contact.changed().is_some() {
            self.sender.set_verified(false).await;
        }
        if !self.is_stranger {
            self.forget_invitation().await;
        }
        true
    }

    /// Erases what the contact was invited by, which it has accepted.
    async fn forget_invitation(&self) {
        let id = self.talk.contact;
        let forgotten = self.talk.shared.store(move |store, rng| sent::forget(store, id, rng));
        if let Err(error) = forgotten.await {
            tracing::error!(kind = ?error.kind(), "an invitation that was accepted cannot be erased");
        }
    }

    /// Changes what is kept of the contact, and has the caller look at it. Returns `false` if it cannot be kept.
    async fn keep(&self, what: impl FnOnce(&mut Contact) + Send + 'static) -> bool {
        let id = self.talk.contact;
        let kept = self.talk.shared.store(move |store, rng| {
            let mut contact = book::contact(store, id)?;
            what(&mut contact);
            book::keep(store, &contact, rng)
        });
        let kept = kept.await.inspect_err(|error| {
            tracing::error!(kind = ?error.kind(), "a fresh call root cannot be kept");
        });
        if let Some(changes) = &self.talk.changes {
            changes.of(id);
        }
        kept.is_ok()
    }

    fn body_bytes(&self) -> usize {
        let pace = self.talk.client.status().pace;
        pace.map_or(FIRST_PART_BYTES, |pace| pace.body_bytes as usize)
    }

    /// Takes note that the partner has, or has not, acknowledged the first part that is under way.
    async fn acknowledged(&mut self, arrived: bool) {
        let first = self.under_way.pop_front();
        if !arrived {
            return;
        }
        self.hear();
        let Some(UnderWay { of: Some((message, part, parts)), .. }) = first else { return };
        self.progress(message, part, parts).await;
    }

    /// Notes how far a message is, and when it is expected to be there.
    async fn progress(&self, message: MessageId, part: u32, parts: u32) {
        // What was handed over before it goes first.
        let before = self.under_way.iter().filter(|part| part.of.is_none_or(|of| of.0 != message));
        let left = (parts - part).saturating_add(before.count() as u32);
        let now = SystemClock::now();
        let expected_by = self.expected_by(now, self.talk.client.status().pace, left);
        let progress = Progress { part, parts, expected_by };
        let shared = &self.talk.shared;
        shared.store(move |store, _| store.set_progress(message, progress)).await;
    }

    /// When so many parts are there, and a receipt is back, at the rhythm of the moment.
    fn expected_by(&self, now: Timestamp, pace: Option<Pace>, parts: u32) -> Timestamp {
        let Some(pace) = pace else { return now };
        // Two parts in a meeting; then the last of them and the receipt, a meeting each.
        let meetings = u64::from(parts.div_ceil(2)) + 2;
        let rounds = meetings * self.level.rounds();
        Timestamp(now.0.saturating_add(rounds * u64::from(pace.interval_ms)))
    }

    /// Takes a part that has come.
    async fn take(&mut self, arrival: Arrival) {
        self.hear();
        self.note(|rhythm| rhythm.said(SystemClock::now()));
        match self.joiner.take(arrival.message()) {
            Joined::Whole(piece) => {
                self.arrived = Some((arrival, piece));
                self.store_arrived().await;
            }
            Joined::Greeting(said) => {
                drop(arrival.take());
                self.greeted(&said).await;
            }
            // Not taken before the piece is in the store: if this process ends, all of it comes again.
            Joined::More => {}
            Joined::Spoilt => drop(arrival.take()),
        }
    }

    /// Puts into the store what has come. Only then is it taken out of the client's state, and only then does the
    /// partner get a receipt.
    async fn store_arrived(&mut self) {
        let Some((arrival, piece)) = self.arrived.take() else { return };
        let mut exchange = self.exchange.clone();
        let stored = self.talk.shared.store(move |store, rng| {
            let arrived = exchange.arrived(SystemClock::now(), store, &piece, rng);
            (exchange, piece, arrived)
        });
        let (exchange, piece, arrived) = stored.await;
        match arrived {
            Ok(_) => {
                self.exchange = exchange;
                drop(arrival.take());
            }
            Err(ArrivalError::Room(error)) => {
                tracing::warn!(%error, "what a contact sent waits until it can be kept");
                self.arrived = Some((arrival, piece));
                self.again = Some(Instant::now() + PAUSE);
            }
            // Left out, and the conversation goes on: an end would show.
            Err(ArrivalError::Contact(error)) => {
                tracing::warn!(%error, "a contact sends what no honest one does");
                drop(arrival.take());
            }
        }
    }
}
