//! A running client's work for its user: one conversation at a time, and the files in it. Nothing in here
//! decides when the client connects or leaves.

mod events;
mod files;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_client::config::{self, FileConfig};
use antiphon_client::file_message::Message;
use antiphon_client::{
    Client, ConversationOptions, ConversationReceiver, ConversationSender, Events, Level,
    MessageId, ReceiveError,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::arrivals::{Arrivals, prepare_folder, room_in};
use super::durations::about;
use super::jobs::{Job, Replies, Reply, Request, Rounds, StatusReport};
use super::outgoing::{Outgoing, Prepared};
use super::resting::resting;
use super::stay::Stay;

/// Interval at which room, a new secret, and jobs that were taken back are looked for.
const TICK: Duration = Duration::from_secs(1);

/// A client's conversation and files.
pub(super) struct Talk<'a> {
    client: &'a Client,
    events: Events,
    jobs: mpsc::Receiver<Job>,
    config: PathBuf,
    inbox: Option<PathBuf>,
    largest_file_bytes: u64,
    stay: Option<Stay>,
    conversation: Conversation,
    /// A hash of the secret of the conversation opened last: the file with it is looked at again.
    tried: Option<blake3::Hash>,
    outgoing: Option<Outgoing>,
    queue: VecDeque<Outgoing>,
    offers: u32,
    arrivals: Arrivals,
    receivers: VecDeque<Waiting>,
    rounds: Rounds,
    partner_errors: u64,
    last_failure: String,
    files_received: u64,
    offers_refused: u64,
}

/// A command that waits for a file.
struct Waiting {
    into: Option<PathBuf>,
    replies: Replies,
}

/// The conversation, if there is one.
enum Conversation {
    /// There is none, and this is why.
    None(String),
    Open {
        sender: ConversationSender,
        receiver: ConversationReceiver,
        level: Level,
        met: bool,
        /// Reason why it closes, if this end knows.
        closing: Option<&'static str>,
    },
}

impl Conversation {
    fn sender(&self) -> Option<&ConversationSender> {
        match self {
            Self::Open { sender, .. } => Some(sender),
            Self::None(_) => None,
        }
    }

    /// The partner's next message; for ever if there is no conversation.
    async fn receive(&mut self) -> Result<Vec<u8>, ReceiveError> {
        match self {
            Self::Open { receiver, .. } => receiver.receive().await,
            Self::None(_) => std::future::pending().await,
        }
    }
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        client: &'a Client,
        config: PathBuf,
        settings: &FileConfig,
        jobs: mpsc::Receiver<Job>,
        stay: Option<Stay>,
    ) -> Self {
        // Parts carry a mark of this client's socket, so that two clients with one inbox do not clear away
        // each other's.
        let tag = blake3::hash(settings.socket.as_os_str().as_encoded_bytes()).to_hex();
        let arrivals = Arrivals::new(tag[..8].to_owned(), room_in);
        if let Some(inbox) = &settings.inbox {
            arrivals.clean(inbox);
        }
        Self {
            client,
            events: client.events(),
            jobs,
            config,
            inbox: settings.inbox.clone(),
            largest_file_bytes: settings.largest_file_bytes,
            stay,
            conversation: Conversation::None("none yet".to_owned()),
            tried: None,
            outgoing: None,
            queue: VecDeque::new(),
            offers: 0,
            arrivals,
            receivers: VecDeque::new(),
            rounds: Rounds::default(),
            partner_errors: 0,
            last_failure: String::new(),
            files_received: 0,
            offers_refused: 0,
        }
    }

    /// Serves jobs and the conversation, for ever.
    pub(super) async fn run(&mut self) {
        // A tick that was late is not made up for: what it does depends on the time alone.
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(job) = self.jobs.recv() => self.job(job).await,
                Some(event) = self.events.next() => self.event(event),
                message = self.conversation.receive() => match message {
                    Ok(message) => self.message(&message).await,
                    Err(ReceiveError::Missed(_)) => self.missed().await,
                    Err(ReceiveError::Closed) => self.closed(),
                },
                delivered = delivered(&mut self.outgoing) => if delivered.is_ok() {
                    self.tell_sender();
                },
                _ = tick.tick() => self.tick().await,
            }
            // Every event may have made room or ended a file, so the next bytes are tried after each.
            self.send_on().await;
        }
    }

    async fn job(&mut self, job: Job) {
        let Job { request, replies } = job;
        match request {
            Request::Send { path, now } => self.send(&path, now, replies).await,
            Request::Receive { into, now } => self.receive(into, now, replies).await,
            Request::Status => replies.end(Reply::Status(Box::new(self.status()))),
            Request::Allow { units, aborts } => {
                // A client that is gone has no conversations.
                let _ = self.client.continue_at_a_price(units).await;
                let _ = self.client.continue_after_aborts(aborts).await;
                replies.end(Reply::Allowed);
            }
        }
    }

    async fn send(&mut self, path: &Path, now: bool, replies: Replies) {
        self.open_if_new().await;
        let pace = self.client.status().pace;
        let limit = self.largest_file_bytes;
        // The file is hashed before anything is offered, which takes as long as reading it.
        let open = || Prepared::open(path, limit, pace);
        match (tokio::task::block_in_place(open), &self.conversation) {
            (Err(error), _) => {
                let reason = format!("{}: {error}", path.display());
                replies.end(Reply::Failed { reason, usage: true });
            }
            (_, Conversation::None(why)) => {
                replies.fail(format!("there is no conversation: {why}"));
            }
            (Ok(prepared), Conversation::Open { sender, .. }) => {
                if now {
                    sender.meet_now().await;
                }
                let outgoing = Outgoing::new(prepared, replies);
                if self.outgoing.is_some() {
                    outgoing.tell(pace, self.hindered());
                }
                self.queue.push_back(outgoing);
            }
        }
    }

    async fn receive(&mut self, into: Option<PathBuf>, now: bool, replies: Replies) {
        self.open_if_new().await;
        if into.is_none() && self.inbox.is_none() {
            let reason = "there is no folder for files: give --into, or set `inbox` in the \
                          client's configuration and start it again at a time of no meaning";
            replies.end(Reply::Failed { reason: reason.to_owned(), usage: true });
            return;
        }
        // Folders are tried now, while someone is there to read the error, and not when a file comes.
        if let Some(folder) = &into {
            if let Err(error) = prepare_folder(folder) {
                let reason = format!("{}: {error}", folder.display());
                replies.end(Reply::Failed { reason, usage: true });
                return;
            }
            self.arrivals.clean_if_idle(folder);
        }
        if let (true, Some(sender)) = (now, self.conversation.sender()) {
            sender.meet_now().await;
        }
        self.receivers.push_back(Waiting { into, replies });
        self.tell_receivers();
    }

    async fn tick(&mut self) {
        self.open_if_new().await;
        self.close_if_replaced().await;
        self.close_before_leaving().await;
        self.receivers.retain(|waiting| !waiting.replies.is_gone());
        self.queue.retain(|outgoing| !outgoing.replies.is_gone());
        self.withdraw_if_gone().await;
        self.look_for_room().await;
        self.tell_sender();
        self.tell_receivers();
    }

    /// Opens the conversation of the configuration, unless one is open or its secret was tried before.
    async fn open_if_new(&mut self) {
        if matches!(self.conversation, Conversation::Open { .. }) {
            return;
        }
        let why = match config::load(&self.config) {
            Ok(FileConfig { conversation: Some(options), .. }) => {
                let secret = blake3::hash(&options.secret.0);
                // A secret that failed is not tried again until the file holds another.
                if self.tried.replace(secret) == Some(secret) {
                    return;
                }
                match self.open(options).await {
                    Ok(()) => return,
                    Err(why) => why,
                }
            }
            Ok(_) => "the configuration names none".to_owned(),
            Err(error) => error.to_string(),
        };
        self.no_conversation(why);
    }

    async fn open(&mut self, options: ConversationOptions) -> Result<(), String> {
        let opened = self.client.open(options).await.map_err(|error| error.to_string())?;
        let goes_on = opened.next_message() > MessageId(0);
        let (sender, receiver) = opened.split();
        let (level, met, closing) = (Level::DENSEST, goes_on, None);
        self.conversation = Conversation::Open { sender, receiver, level, met, closing };
        tracing::info!("the conversation is open");
        if goes_on {
            self.say(Message::BegunAnew).await;
        }
        Ok(())
    }

    /// There is no conversation any more, or none could be opened.
    fn no_conversation(&mut self, why: String) {
        let changed = !matches!(&self.conversation, Conversation::None(before) if *before == why);
        if changed {
            tracing::warn!("there is no conversation: {why}");
        }
        self.arrivals.drop_file();
        for outgoing in self.outgoing.take().into_iter().chain(self.queue.drain(..)) {
            outgoing.replies.fail(format!("the file was not stored: {why}"));
        }
        self.conversation = Conversation::None(why);
    }

    /// The conversation ended by agreement.
    fn closed(&mut self) {
        let why = match self.conversation {
            Conversation::Open { closing: Some(why), .. } => why,
            _ => "the partner closed it",
        };
        self.no_conversation(format!(
            "{why}: make a new secret, and put it in the place of the old one at both ends; running \
             clients take it up by themselves"
        ));
    }

    /// Closes the conversation if another secret is in the place of its own.
    async fn close_if_replaced(&mut self) {
        let Conversation::Open { sender, closing: closing @ None, .. } = &mut self.conversation
        else {
            return;
        };
        let Ok(FileConfig { conversation: Some(options), .. }) = config::load(&self.config) else {
            // A file that cannot be read at this moment leaves the conversation as it is.
            return;
        };
        if self.tried != Some(blake3::hash(&options.secret.0)) {
            tracing::info!("another secret is in the file: the conversation closes");
            *closing = Some("its secret was replaced");
            sender.close().await;
        }
    }

    /// Closes the conversation when the end that was fixed at the start is near. One in which the
    /// partner was never heard has nobody to close it with.
    async fn close_before_leaving(&mut self) {
        let Conversation::Open { sender, met: true, closing: closing @ None, .. } =
            &mut self.conversation
        else {
            return;
        };
        let pace = self.client.status().pace;
        if self.stay.zip(pace).is_some_and(|(stay, pace)| stay.closes_at(pace) <= Instant::now()) {
            tracing::info!(
                "this client leaves soon, as was fixed at its start: the conversation closes"
            );
            *closing = Some("this client leaves soon, as was fixed at its start");
            sender.close().await;
        }
    }

    /// Reason why nothing moves, with a time if there is one.
    fn hindered(&self) -> Option<String> {
        let status = self.client.status();
        match &self.conversation {
            Conversation::None(why) => Some(format!("there is no conversation: {why}")),
            Conversation::Open { closing: Some(why), .. } => {
                Some(format!("the conversation closes: {why}"))
            }
            _ if let Some(why) = resting(&status) => Some(format!("the conversation rests: {why}")),
            Conversation::Open { met: true, level: Level::DENSEST, .. } => None,
            Conversation::Open { level, .. } => {
                let mut why = match level.rounds() {
                    1 => "waiting for the partner: meets in every round".to_owned(),
                    rounds => format!("waiting for the partner: meets in one of {rounds} rounds"),
                };
                if let Some(pace) = status.pace {
                    let wait = |level| about(pace.longest_wait(level));
                    why += &format!("; if it is there, in at most about {}", wait(*level));
                    if *level < Level::SPARSEST {
                        // The sparser of the two ends decides, and this one knows its own only.
                        why += &format!(", or {} if it has waited for long", wait(Level::SPARSEST));
                    }
                }
                Some(why)
            }
        }
    }

    fn status(&self) -> StatusReport {
        let status = self.client.status();
        let (level, met) = match &self.conversation {
            Conversation::Open { level, met, .. } => (Some(*level), *met),
            Conversation::None(_) => (None, false),
        };
        let conversation = self.hindered();
        StatusReport {
            connected: status.gateway.is_some(),
            epoch: status.epoch.map(|epoch| epoch.0),
            last_round: status.last_round.map(|round| round.0),
            rounds: self.rounds,
            charged: status.ledger.charged(),
            left: status.budget.left,
            aborts_charged: status.attempts.spent,
            aborts_left: status.attempts.left,
            conversation: conversation.unwrap_or_else(|| "meets in every round".to_owned()),
            met,
            one_round_in: level.map(Level::rounds),
            longest_wait_seconds: level
                .map(|level| if met && level == Level::DENSEST { level } else { Level::SPARSEST })
                .zip(status.pace)
                .map(|(level, pace)| pace.longest_wait(level).as_secs()),
            sending: self
                .outgoing
                .as_ref()
                .map(|outgoing| outgoing.progress(status.pace, self.hindered())),
            receiving: self.arrivals.progress(),
            files_received: self.files_received,
            offers_refused: self.offers_refused,
            leaves_in_seconds: self.stay.map(|stay| stay.left().as_secs()),
        }
    }
}

/// Waits until a message of the file has arrived; for ever if there is none.
async fn delivered(outgoing: &mut Option<Outgoing>) -> Result<(), antiphon_client::Undelivered> {
    match outgoing {
        Some(outgoing) => outgoing.delivered().await,
        None => std::future::pending().await,
    }
}
