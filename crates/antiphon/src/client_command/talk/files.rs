//! Files in the conversation, both ways.

use std::path::PathBuf;

use antiphon_client::file_message::{Fate, Message};

use super::super::arrivals::{Arrival, Offer};
use super::super::commands::make_folder;
use super::super::file_name::harmless;
use super::super::jobs::{ReceivedFile, Reply, SendProgress};
use super::super::outgoing::Stage;
use super::Talk;

impl Talk<'_> {
    /// The partner said something.
    pub(super) async fn message(&mut self, message: &[u8]) {
        match Message::read(message) {
            Some(Message::Offer { number, length, digest, name }) => {
                self.offered(Offer { number, length, digest, name }).await;
            }
            Some(Message::Data(data)) => {
                // Data after a file was dropped here was under way before the partner knew.
                let Some(number) = self.arrivals.number() else { return };
                // Writing blocks, so the runtime moves its other tasks to another thread meanwhile.
                let arrival = tokio::task::block_in_place(|| self.arrivals.more(data));
                self.arrived(number, arrival).await;
            }
            Some(Message::About(number, Fate::Withdrawn)) => {
                // An older file's withdrawal may come late and must not end the file that arrives now.
                if self.arrivals.number() == Some(number) {
                    tracing::info!("the partner took a file back that was arriving");
                    self.arrivals.drop_file();
                }
            }
            Some(Message::About(number, fate)) => self.told(number, fate),
            Some(Message::BegunAnew) => {
                self.arrivals.drop_file();
                if let Some(outgoing) = self.outgoing.take() {
                    let why = "the partner's client was started again: send the file once more";
                    outgoing.replies.fail(format!("the file was not stored: {why}"));
                }
            }
            None => tracing::warn!("a message of the partner makes no sense"),
        }
    }

    /// Messages are gone, since this program was too slow to take them.
    pub(super) async fn missed(&mut self) {
        if let Some(number) = self.arrivals.number() {
            self.arrivals.drop_file();
            let why = "the receiver was too slow".to_owned();
            self.arrived(number, Arrival::Failed(why)).await;
        }
    }

    async fn offered(&mut self, offer: Offer<'_>) {
        let number = offer.number;
        if offer.length > self.largest_file_bytes {
            let limit = self.largest_file_bytes;
            let why = format!("the receiver takes files of at most {limit} bytes");
            return self.refuse(number, &why).await;
        }
        let Some(folder) = self.folder() else {
            let why = "the receiver has no folder for files at the moment";
            return self.refuse(number, why).await;
        };
        let arrival = tokio::task::block_in_place(|| {
            // If it cannot be made, the file in it cannot either.
            let _ = make_folder(&folder);
            self.arrivals.start(&folder, offer)
        });
        self.arrived(number, arrival).await;
    }

    /// Where the next file goes.
    fn folder(&self) -> Option<PathBuf> {
        let waiting = self.receivers.front().and_then(|waiting| waiting.into.clone());
        waiting.or_else(|| self.inbox.clone())
    }

    async fn refuse(&mut self, number: u32, why: &str) {
        self.offers_refused += 1;
        tracing::warn!(
            "a file was offered and refused: {why}. To take files, set `inbox` in the configuration, \
             or run `antiphon receive --into DIR`"
        );
        self.say(Message::About(number, Fate::Refused(why))).await;
    }

    /// Tells the partner, and whoever waits for the file.
    async fn arrived(&mut self, number: u32, arrival: Arrival) {
        match arrival {
            Arrival::Going => {}
            Arrival::Accepted => self.say(Message::About(number, Fate::Accepted)).await,
            Arrival::Waiting(why) => {
                tracing::warn!("a file waits: {why}; what has arrived is kept");
                self.say(Message::About(number, Fate::Waiting(&why))).await;
            }
            Arrival::Stored { path, bytes } => {
                tracing::info!("a file arrived");
                self.files_received += 1;
                self.say(Message::About(number, Fate::Stored)).await;
                if let Some(waiting) = self.receivers.pop_front() {
                    waiting.replies.end(Reply::Received(ReceivedFile { path, bytes }));
                }
            }
            Arrival::Failed(why) => {
                tracing::warn!("a file did not arrive: {why}");
                self.say(Message::About(number, Fate::Failed(&why))).await;
            }
        }
    }

    /// The partner says what becomes of a file of ours.
    fn told(&mut self, number: u32, fate: Fate<'_>) {
        // Of a file that is no longer sent, or was never.
        let Some(outgoing) = self.outgoing.as_mut().filter(|file| file.number == number) else {
            return;
        };
        let ended = match fate {
            Fate::Accepted => {
                outgoing.accepted();
                None
            }
            Fate::Waiting(why) => {
                outgoing.stage = Stage::Waiting(harmless(why));
                None
            }
            Fate::Stored => Some(Reply::Sent { bytes: outgoing.prepared.length }),
            Fate::Refused(why) => {
                Some(format!("the partner refused the file: {}", harmless(why)).into())
            }
            Fate::Failed(why) => {
                Some(format!("the partner could not store the file: {}", harmless(why)).into())
            }
            Fate::Withdrawn => None,
        };
        // Before the file is taken out: its sender reads the last progress, then the end.
        self.tell_sender();
        if let Some(reply) = ended
            && let Some(outgoing) = self.outgoing.take()
        {
            outgoing.replies.end(reply);
        }
    }

    /// Offers the next file, or sends what may be sent of the one that the partner takes.
    pub(super) async fn send_on(&mut self) {
        if self.outgoing.is_none()
            && let Some(mut next) = self.queue.pop_front()
        {
            self.offers = self.offers.wrapping_add(1);
            next.number = self.offers;
            next.stage = Stage::Offered;
            let (name, digest) = (next.prepared.name.clone(), next.prepared.digest);
            let (number, length) = (next.number, next.prepared.length);
            self.outgoing = Some(next);
            self.say(Message::Offer { number, length, digest, name: &name }).await;
            self.tell_sender();
        }
        let Some(sender) = self.conversation.sender().cloned() else { return };
        while let Some(outgoing) = &mut self.outgoing {
            match outgoing.next() {
                Ok(None) => return,
                Ok(Some(data)) => match sender.send(Message::Data(&data).to_bytes()).await {
                    Ok(delivery) => outgoing.sent(delivery, data.len() as u64),
                    // The receiving side says that the conversation is over.
                    Err(_) => return,
                },
                Err(error) => {
                    let number = outgoing.number;
                    self.say(Message::About(number, Fate::Withdrawn)).await;
                    if let Some(outgoing) = self.outgoing.take() {
                        let why = format!("the file cannot be read any more: {error}");
                        outgoing.replies.fail(why);
                    }
                }
            }
        }
    }

    /// Takes a file back whose command is gone.
    pub(super) async fn withdraw_if_gone(&mut self) {
        if let Some(outgoing) = self.outgoing.take_if(|outgoing| outgoing.replies.is_gone()) {
            self.say(Message::About(outgoing.number, Fate::Withdrawn)).await;
        }
    }

    pub(super) async fn look_for_room(&mut self) {
        if let Some(number) = self.arrivals.number() {
            let arrival = tokio::task::block_in_place(|| self.arrivals.go_on());
            self.arrived(number, arrival).await;
        }
    }

    pub(super) fn tell_sender(&self) {
        let pace = self.client.status().pace;
        if let Some(outgoing) = &self.outgoing {
            outgoing.tell(pace, self.hindered());
        }
        for queued in &self.queue {
            queued.tell(pace, self.hindered());
        }
    }

    /// Tells those who wait for a file how it stands.
    pub(super) fn tell_receivers(&self) {
        let (acknowledged, bytes) = self.arrivals.progress().unwrap_or_default();
        let stage = match (self.hindered(), bytes) {
            (Some(hindered), _) => hindered,
            (None, 0) => "waiting for a file".to_owned(),
            (None, _) => "receiving".to_owned(),
        };
        for waiting in &self.receivers {
            let stage = stage.clone();
            let progress = SendProgress { stage, acknowledged, bytes, seconds_left: None };
            waiting.replies.tell(Reply::Progress(progress));
        }
    }

    /// Says something to the partner. A few words never wait for room in the queue.
    pub(super) async fn say(&mut self, message: Message<'_>) {
        if let Some(sender) = self.conversation.sender() {
            // If the conversation is over, the receiving side says so.
            let _ = sender.send(message.to_bytes()).await;
        }
    }
}

impl From<String> for Reply {
    fn from(reason: String) -> Self {
        Self::Failed { reason, usage: false }
    }
}
