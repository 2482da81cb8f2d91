//! The one link that a client has: to a gateway, or briefly to the coordinator.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use antiphon_transport::{CloseReason, DialError, Dialer, Limits, Link, LinkReceiver, LinkSender};
use antiphon_wire::{
    Addresses, Decode as _, Encode as _, FromClient, IdentityKey, PROTOCOL_VERSION, ToClient,
};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::traffic::{Meter, Metered};

/// Frames waiting to be sent. More than rounds can be in flight: a gateway that reads so slowly is
/// of no use.
const QUEUE: usize = 16;
/// Longest time that a gateway may take to accept a frame.
const SEND_WITHIN: Duration = Duration::from_secs(20);
/// A link on which nothing comes for this long is taken for dead, and tried anew.
const IDLE: Duration = Duration::from_secs(4);
/// Interval at which either side is asked for a sign of life. Several may be lost.
const KEEP_ALIVE: Duration = Duration::from_millis(1250);
/// Longest time until a gateway answers a new link.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// Longest time until the coordinator has sent a document. With none to show yet, it takes its time.
const DOCUMENT_WITHIN: Duration = Duration::from_secs(15);

/// Other end of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Coordinator { address: String, identity: IdentityKey },
    Gateway { addresses: Addresses, identity: IdentityKey },
}

/// Event on the line.
pub(super) enum LineEvent {
    /// The wait is over: time to dial.
    Due,
    /// The link is up.
    Up,
    /// The target did not answer, or somebody else did.
    Failed(DialError),
    /// A message came.
    Message(Box<ToClient>),
    /// The link is gone, for this reason.
    Lost(String),
    /// The other side broke the protocol.
    Nonsense(String),
}

type Dialling = Pin<Box<dyn Future<Output = Result<Link, DialError>> + Send>>;

enum State {
    Waiting(Instant),
    Dialling(Target, Dialling),
    Up(Target, Box<Up>),
}

struct Up {
    /// Counts what the link carries for as long as it is there.
    _metered: Metered,
    receiver: LinkReceiver,
    frames: mpsc::Sender<Bytes>,
    writer: Writer,
    until: Option<Instant>,
}

/// Ends the writing task with the link, even in the midst of a send.
struct Writer(JoinHandle<()>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Line {
    documents: Arc<Dialer>,
    gateways: Arc<Dialer>,
    meter: Meter,
    state: State,
}

impl Line {
    /// A line on which it is time to dial.
    pub(super) fn new() -> Self {
        let gateways = Limits {
            idle_timeout: IDLE,
            keep_alive: Some(KEEP_ALIVE),
            handshake_timeout: ANSWER_WITHIN,
            ..Limits::clients()
        };
        // Clients stay anonymous.
        let dialer = |limits| Arc::new(Dialer::new(None, limits));
        let (documents, gateways) = (dialer(Limits::documents()), dialer(gateways));
        let (meter, state) = (Meter::default(), State::Waiting(Instant::now()));
        Self { documents, gateways, meter, state }
    }

    /// Counter of what this line carries, and every one that begins at it.
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Another line from the same place.
    pub(super) fn another(&self) -> Self {
        Self {
            documents: Arc::clone(&self.documents),
            gateways: Arc::clone(&self.gateways),
            meter: self.meter.clone(),
            state: State::Waiting(Instant::now()),
        }
    }

    /// Drops the link, if there is one, and waits.
    pub(super) fn wait(&mut self, duration: Duration) {
        self.state = State::Waiting(Instant::now() + duration);
    }

    /// Drops the link, if there is one, and dials.
    pub(super) fn dial(&mut self, target: Target) {
        let (documents, gateways) = (Arc::clone(&self.documents), Arc::clone(&self.gateways));
        let to = target.clone();
        let dialling: Dialling = Box::pin(async move {
            match to {
                Target::Coordinator { address, identity } => {
                    documents.dial_host(&address, identity.0).await
                }
                Target::Gateway { addresses, identity } => {
                    gateways.dial_first(addresses.all(), identity.0).await
                }
            }
        });
        self.state = State::Dialling(target, dialling);
    }

    /// The gateway, while the link to it is up.
    pub(super) fn gateway(&self) -> Option<IdentityKey> {
        match &self.state {
            State::Up(Target::Gateway { identity, .. }, _) => Some(*identity),
            _ => None,
        }
    }

    /// Other end of the line, or the one that is dialled.
    pub(super) fn target(&self) -> Option<&Target> {
        match &self.state {
            State::Waiting(_) => None,
            State::Dialling(target, _) | State::Up(target, _) => Some(target),
        }
    }

    /// Says hello: from here on the other side reckons with this client.
    pub(super) fn greet(&mut self) {
        let hello = FromClient::Hello { version: PROTOCOL_VERSION };
        self.send(hello.to_bytes().into());
    }

    /// Hands a frame over, without waiting. One that nobody takes is lost with the link.
    pub(super) fn send(&mut self, frame: Bytes) {
        if let State::Up(_, up) = &mut self.state
            && up.frames.try_send(frame).is_err()
        {
            up.until = Some(Instant::now());
        }
    }

    /// Next event of a line that is there; never ends on one that is not.
    pub(super) async fn next_of(line: Option<&mut Self>) -> LineEvent {
        match line {
            Some(line) => line.next().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until all frames handed over are sent, and closes.
    pub(super) async fn finish(self) {
        if let State::Up(_, up) = self.state {
            let Up { _metered, receiver: _receiver, frames, mut writer, .. } = *up;
            drop(frames);
            // Fails only if the runtime is going away.
            let _ = (&mut writer.0).await;
        }
    }

    /// The next event. The future may be dropped and called again without losing anything. After `Failed` and
    /// `Lost` it is for the caller to say how to go on.
    pub(super) async fn next(&mut self) -> LineEvent {
        match &mut self.state {
            State::Waiting(until) => {
                sleep_until(*until).await;
                LineEvent::Due
            }
            State::Dialling(_, dialling) => match dialling.await {
                Ok(link) => {
                    self.up(link);
                    LineEvent::Up
                }
                Err(error) => LineEvent::Failed(error),
            },
            State::Up(_, up) => up.next().await,
        }
    }

    fn up(&mut self, link: Link) {
        let (sender, receiver) = link.split();
        let metered = self.meter.add(receiver.counter());
        let (frames, queue) = mpsc::channel(QUEUE);
        let writer = Writer(tokio::spawn(write(sender, queue)));
        let waiting = State::Waiting(Instant::now());
        if let State::Dialling(target, _) = std::mem::replace(&mut self.state, waiting) {
            let coordinator = matches!(target, Target::Coordinator { .. });
            let until = coordinator.then(|| Instant::now() + DOCUMENT_WITHIN);
            self.state = State::Up(
                target,
                Box::new(Up { _metered: metered, receiver, frames, writer, until }),
            );
        }
    }
}

impl Up {
    async fn next(&mut self) -> LineEvent {
        let until = self.until;
        let overdue = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let incoming = tokio::select! {
            incoming = self.receiver.recv() => incoming,
            () = overdue => return LineEvent::Lost("the other side is too slow".to_owned()),
        };
        match incoming {
            Ok(Some(frame)) => match ToClient::from_bytes(&frame) {
                Ok(message) => LineEvent::Message(Box::new(message)),
                Err(error) => LineEvent::Nonsense(error.to_string()),
            },
            Ok(None) => LineEvent::Lost("the other side closed the link".to_owned()),
            Err(error) => LineEvent::Lost(error.to_string()),
        }
    }
}

/// Sends frames in order, so that a slow gateway never holds up the client's task.
async fn write(sender: LinkSender, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        match timeout(SEND_WITHIN, sender.send(frame)).await {
            Ok(Ok(())) => {}
            // The receiving side says so.
            Ok(Err(_)) => return,
            Err(_) => return sender.close(CloseReason::Abandoned),
        }
    }
    // Within the time that a send has; what is lost then is lost with the link.
    let _ = timeout(SEND_WITHIN, sender.finish()).await;
}
