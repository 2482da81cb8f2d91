//! From the opened conversation to its end.

use antiphon_client::{
    Conversation, ConversationReceiver, ConversationSender, Delivery, Event, Events, ReceiveError,
    SendError, Undelivered,
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::arrivals::{Arrivals, Arrived, WriteError};
use super::message::{DATA_BYTES, Message};
use super::report::{ReceivedFile, Report, Sending};

/// Rounds without a word from the partner, once the job is done, before leaving. A conversation at
/// its sparsest meets once in 128.
const PATIENCE: u32 = 256;
/// Deliveries that wait to be acknowledged and were not counted yet.
const DELIVERIES: usize = 1 << 16;

/// Why a session fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("the partner closed the conversation before the job was done")]
    Closed,
    #[error("the file is not sent: {0}")]
    Send(#[from] SendError),
    #[error("{0}")]
    Undelivered(#[from] Undelivered),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(
        "the ledger is used up: {charged} disturbed rounds are charged, and the conversation rests \
         for good; who disturbs so many rounds?"
    )]
    Resting { charged: u32 },
}

/// A file to send.
pub(super) struct Outgoing {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

pub(super) struct Session {
    sender: ConversationSender,
    receiver: ConversationReceiver,
    events: Events,
    outgoing: Option<Outgoing>,
    arrivals: Arrivals,
    progress: ProgressBar,
    report: Report,
    stage: Stage,
    /// The partner's job is done.
    partner_finished: bool,
    /// Rounds since the partner said something.
    silent: u32,
}

/// How far the farewell is.
enum Stage {
    /// The job is not done.
    Busy,
    /// The partner is being told that it is done.
    Telling(Delivery),
    /// The partner knows.
    Told,
    /// Both are done: the conversation closes.
    Closing,
}

/// What happens while a file is being sent.
enum Sent {
    /// A message that carried so many bytes of the file was acknowledged.
    Acknowledged(usize),
    /// All were.
    All,
}

impl Session {
    pub(super) fn new(
        conversation: Conversation,
        events: Events,
        outgoing: Option<Outgoing>,
        arrivals: Arrivals,
    ) -> Self {
        let (sender, receiver) = conversation.split();
        let bytes = outgoing.as_ref().map(|file| file.content.len() as u64);
        let report = Report {
            intact: true,
            sending: bytes.map(|bytes| Sending { bytes, acknowledged: 0 }),
            receiving: arrivals.are_kept(),
            ..Report::default()
        };
        Self {
            sender,
            receiver,
            events,
            outgoing,
            arrivals,
            progress: progress(bytes.unwrap_or(0)),
            report,
            stage: Stage::Busy,
            partner_finished: false,
            silent: 0,
        }
    }

    /// The bar on standard error.
    pub(super) fn progress(&self) -> &ProgressBar {
        &self.progress
    }

    /// How it stands.
    pub(super) fn report(&self) -> Report {
        self.report.clone()
    }

    /// Runs until both ends are done, or this one is and the other is silent.
    ///
    /// # Errors
    /// If the job cannot be done.
    pub(super) async fn run(&mut self) -> Result<(), SessionError> {
        let (acknowledged, mut sent) = mpsc::channel(1);
        let outgoing = self.outgoing.take();
        let sender = self.sender.clone();
        let mut sending = std::pin::pin!(async move {
            match outgoing {
                Some(file) => send(&sender, &file, acknowledged).await,
                None => Ok(()),
            }
        });
        let (mut queued, mut all_sent) = (false, self.report.sending.is_none());
        loop {
            if all_sent && (!self.arrivals.are_kept() || !self.report.files.is_empty()) {
                self.report.done = true;
            }
            self.take_leave().await?;
            tokio::select! {
                result = &mut sending, if !queued => {
                    result?;
                    queued = true;
                }
                Some(part) = sent.recv() => match part {
                    Sent::All => all_sent = true,
                    Sent::Acknowledged(bytes) => self.acknowledged(bytes),
                },
                message = self.receiver.receive() => match message {
                    Ok(message) => self.message(&message)?,
                    Err(ReceiveError::Missed(_)) => self.report.intact = false,
                    Err(ReceiveError::Closed) if self.report.done => return Ok(()),
                    Err(ReceiveError::Closed) => return Err(SessionError::Closed),
                },
                Some(event) = self.events.next() => {
                    if self.event(&event)? {
                        return Ok(());
                    }
                }
                told = told(&mut self.stage), if matches!(self.stage, Stage::Telling(_)) => {
                    // Without it, the conversation is over, which the receiving side says.
                    if told.is_ok() {
                        self.stage = Stage::Told;
                    }
                }
            }
        }
    }

    /// Goes on with the farewell, once the job is done.
    async fn take_leave(&mut self) -> Result<(), SessionError> {
        match self.stage {
            Stage::Busy if self.report.done => {
                tracing::info!("the job is done; staying until the partner's is");
                match self.sender.send(Message::Finished.to_bytes()).await {
                    Ok(delivery) => self.stage = Stage::Telling(delivery),
                    // The partner is leaving already.
                    Err(SendError::Closed) => self.stage = Stage::Closing,
                    Err(error) => return Err(error.into()),
                }
            }
            Stage::Told if self.partner_finished => {
                tracing::info!("both ends are done; the conversation closes");
                self.sender.close().await;
                self.stage = Stage::Closing;
            }
            _ => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self, bytes: usize) {
        self.report.sent += 1;
        self.progress.inc(bytes as u64);
        if let Some(sending) = &mut self.report.sending {
            sending.acknowledged += bytes as u64;
        }
    }

    fn message(&mut self, message: &[u8]) -> Result<(), SessionError> {
        self.silent = 0;
        self.report.received += 1;
        let arrived = match Message::read(message) {
            Some(Message::Start { length, digest, name }) => {
                if self.arrivals.are_kept() {
                    self.progress.inc_length(length);
                }
                self.arrivals.start(length, digest, name)?
            }
            Some(Message::Data(data)) => {
                self.report.bytes += data.len() as u64;
                if self.arrivals.are_kept() {
                    self.progress.inc(data.len() as u64);
                }
                self.arrivals.more(data)?
            }
            Some(Message::Finished) => {
                self.partner_finished = true;
                Arrived::Part
            }
            None => Arrived::Broken("a message of the partner makes no sense"),
        };
        match arrived {
            Arrived::Part => {}
            Arrived::Whole { path, bytes } => {
                tracing::info!(bytes, "a file arrived");
                let path = path.display().to_string();
                self.report.files.push(ReceivedFile { path, bytes });
            }
            Arrived::Broken(why) => {
                tracing::warn!(why, "a file did not arrive");
                self.report.intact = false;
            }
        }
        Ok(())
    }

    /// Returns whether it is time to leave.
    fn event(&mut self, event: &Event) -> Result<bool, SessionError> {
        match event {
            Event::RoundEnded { outcome, ledger, .. } => {
                self.report.rounds.count(*outcome);
                self.report.charged = ledger.charged();
                self.silent += 1;
                let alone = self.report.done && self.silent >= PATIENCE;
                if alone {
                    tracing::warn!("nothing was heard of the partner for {PATIENCE} rounds");
                }
                Ok(alone)
            }
            Event::Resting { .. } if self.report.done => Ok(true),
            Event::Resting { charged } => Err(SessionError::Resting { charged: *charged }),
            Event::Rhythm { level, .. } => {
                tracing::info!(rounds = level.rounds(), "the conversation meets once in so many");
                Ok(false)
            }
            Event::PartnerFailed { error, .. } => {
                tracing::warn!(%error, "the partner broke the rules of the conversation");
                Ok(false)
            }
            Event::StateNotWritten { reason, .. } => {
                tracing::error!(%reason, "the state file cannot be written");
                Ok(false)
            }
            _ => Ok(false),
        }
    }
}

/// Sends all of `file`, and tells what of it is acknowledged.
async fn send(
    sender: &ConversationSender,
    file: &Outgoing,
    acknowledged: mpsc::Sender<Sent>,
) -> Result<(), SessionError> {
    let (deliveries, mut waiting) = mpsc::channel::<(Delivery, usize)>(DELIVERIES);
    let queue = async move {
        let length = file.content.len() as u64;
        let digest = *blake3::hash(&file.content).as_bytes();
        let start = Message::Start { length, digest, name: &file.name };
        // Fails only if the other half of this function has failed.
        let _ = deliveries.send((sender.send(start.to_bytes()).await?, 0)).await;
        for data in file.content.chunks(DATA_BYTES) {
            let delivery = sender.send(Message::Data(data).to_bytes()).await?;
            let _ = deliveries.send((delivery, data.len())).await;
        }
        Ok::<_, SessionError>(())
    };
    let count = async move {
        while let Some((delivery, bytes)) = waiting.recv().await {
            delivery.await?;
            // Fails only if nobody wants to know any more.
            let _ = acknowledged.send(Sent::Acknowledged(bytes)).await;
        }
        Ok::<_, SessionError>(acknowledged)
    };
    let ((), acknowledged) = tokio::try_join!(queue, count)?;
    let _ = acknowledged.send(Sent::All).await;
    Ok(())
}

/// Waits until the partner knows.
async fn told(stage: &mut Stage) -> Result<(), Undelivered> {
    match stage {
        Stage::Telling(delivery) => delivery.await,
        _ => std::future::pending().await,
    }
}

/// A bar on standard error, if a person watches it.
fn progress(bytes: u64) -> ProgressBar {
    let progress = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template(
        "{spinner} [{bar:30}] {bytes}/{total_bytes} sent and received, {eta} left",
    ) {
        progress.set_style(style);
    }
    progress.enable_steady_tick(std::time::Duration::from_millis(120));
    progress
}
