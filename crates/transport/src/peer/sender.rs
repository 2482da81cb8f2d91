//! The end of a link that dialled, and sends.

use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep_until, timeout};

use super::answer::Answer;
use super::session::{Read, Session};
use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameTooLarge, HEADER_BYTES, encode_frames};
use crate::identity::PeerIdentity;
use crate::limits::Limits;

/// A frame without anything in it says no more than that its sender is there.
const EMPTY_FRAME: Bytes = Bytes::from_static(&[0; HEADER_BYTES]);

/// Sends frames to a peer over one lane, from one task. Dropped, it breaks the link;
/// [`PeerSender::finish`] ends it in good order.
pub struct PeerSender {
    session: Arc<Session>,
    max_frame_bytes: usize,
    keep_alive: Option<Duration>,
    /// When something was written last.
    spoke: Instant,
}

impl PeerSender {
    /// Starts listening for answers.
    pub(super) fn start(session: Session, unread: BytesMut, limits: &Limits) -> Self {
        let session = Arc::new(session);
        tokio::spawn(heed(Arc::clone(&session), unread, limits.idle_timeout));
        let (max_frame_bytes, keep_alive) = (limits.max_frame_bytes, limits.keep_alive);
        Self { session, max_frame_bytes, keep_alive, spoke: Instant::now() }
    }

    /// Sends frames. Returns when the operating system has taken them, and waits for a receiver that
    /// does not read. An empty frame is not handed over to the receiver.
    ///
    /// # Errors
    ///
    /// [`FrameTooLarge`], or why the link is gone.
    pub async fn send(&mut self, frames: &[Bytes]) -> Result<(), PeerSendError> {
        let pieces = encode_frames(frames, self.max_frame_bytes)?;
        Ok(self.write(&pieces).await?)
    }

    /// Writes frames that are encoded already.
    pub(crate) async fn write(&mut self, pieces: &[Bytes]) -> Result<(), LinkLost> {
        self.spoke = Instant::now();
        let written = async {
            self.session.encrypt(pieces)?;
            self.session.flush().await
        };
        tokio::select! {
            biased;
            end = self.session.ended() => Err(end.why),
            written = written => written.map_err(|error| self.broke(&error)),
        }
    }

    fn broke(&self, error: &io::Error) -> LinkLost {
        self.session.finish(LinkLost::Transport(error.to_string()), None);
        // Whoever was first says why.
        self.session.lost().unwrap_or(LinkLost::ByUs)
    }

    /// Waits until the link is gone, keeps it alive until then, and returns why. For those who have nothing
    /// to send. The future may be dropped and called again.
    pub async fn idle(&mut self) -> LinkLost {
        loop {
            let quiet_until = self.keep_alive.map(|interval| self.spoke + interval);
            let quiet = async {
                match quiet_until {
                    Some(until) => sleep_until(until).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                end = self.session.ended() => return end.why,
                () = quiet => if let Err(lost) = self.write(&[EMPTY_FRAME]).await {
                    return lost;
                }
            }
        }
    }

    /// Ends the link: waits until the other side has received all of it and says goodbye.
    ///
    /// # Errors
    ///
    /// Why the link went first.
    pub async fn finish(self) -> Result<(), LinkLost> {
        let hung_up = async {
            match self.session.hang_up().await {
                Ok(()) => pending().await,
                Err(error) => self.broke(&error),
            }
        };
        let lost = tokio::select! {
            biased;
            end = self.session.ended() => end.why,
            lost = hung_up => lost,
        };
        match lost {
            LinkLost::ByPeer { reason: CloseReason::Done } => Ok(()),
            lost => Err(lost),
        }
    }

    /// The proven identity of the other side.
    pub fn remote_identity(&self) -> PeerIdentity {
        self.session.remote_identity()
    }

    /// The other side's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.session.remote_addr()
    }
}

/// Reason why frames could not be sent to a peer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerSendError {
    /// Nothing was sent; the link is still good.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// The link is gone.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}

impl fmt::Debug for PeerSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerSender")
            .field("remote", &self.remote_identity())
            .finish_non_exhaustive()
    }
}

impl Drop for PeerSender {
    fn drop(&mut self) {
        self.session.finish(LinkLost::ByUs, None);
    }
}

/// Reads answers until the link is over.
async fn heed(session: Arc<Session>, mut unread: BytesMut, idle_timeout: Duration) {
    let lost = loop {
        let mut last = None;
        let mut take = |answers: &[u8]| {
            if last.is_none() {
                last = last_of(answers);
            }
            answers.len()
        };
        match session.decrypt(&mut unread, &mut take) {
            Err(error) => break LinkLost::Transport(error.to_string()),
            Ok(is_over) => match last {
                Some(lost) => break lost,
                None if is_over => break LinkLost::Transport("the other side hung up".to_owned()),
                None => {}
            },
        }
        tokio::select! {
            biased;
            _ = session.ended() => return,
            read = timeout(idle_timeout, session.read(&mut unread)) => match read {
                Err(_) => break LinkLost::TimedOut,
                Ok(Err(error)) => break LinkLost::Transport(error.to_string()),
                Ok(Ok(Read::End)) => {
                    break LinkLost::Transport("the other side hung up".to_owned());
                }
                Ok(Ok(Read::Some)) => {}
            }
        }
    };
    session.finish(lost, None);
}

/// The end of a link, if it is among `answers`.
fn last_of(answers: &[u8]) -> Option<LinkLost> {
    answers.iter().find_map(|byte| match Answer::decode(*byte) {
        Answer::StillHere => None,
        Answer::Closing(reason) => Some(LinkLost::ByPeer { reason }),
        Answer::LetIn => Some(LinkLost::Transport("it let this side in twice".to_owned())),
    })
}
