//! The end of a link that was dialled, and receives.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Lane;
use super::answer::Answer;
use super::session::{End, Read, Session};
use crate::close::{CloseReason, LinkLost};
use crate::door::Permit;
use crate::identity::PeerIdentity;
use crate::intake::{Intake, RecvError};
use crate::limits::Limits;
use crate::rules::Rules;

/// Longest frame that is allocated when it is announced: chunks of batches are.
const BELIEVED_BYTES: usize = 256 << 10;

/// Longest wait for the other side to take the last words.
const LINGER: Duration = Duration::from_secs(2);

/// Receives frames from a peer over one lane. Nothing is read ahead of [`PeerReceiver::recv`] beyond
/// what fits in the socket and one buffer. Dropped, it closes the link as [`CloseReason::Done`].
pub struct PeerReceiver {
    session: Arc<Session>,
    lane: Lane,
    intake: Intake,
    unread: BytesMut,
    /// Time since when the socket has had nothing.
    waiting_since: Option<Instant>,
    idle_timeout: Duration,
    /// Given back with the link.
    _permit: Permit,
}

/// Closes a link from elsewhere.
#[derive(Clone)]
pub struct PeerHandle(Arc<Session>);

impl PeerReceiver {
    /// Starts answering.
    pub(super) fn start(
        (session, unread, lane): (Session, BytesMut, Lane),
        rules: Rules,
        limits: &Limits,
        permit: Permit,
    ) -> Self {
        let session = Arc::new(session);
        tokio::spawn(attend(Arc::clone(&session), limits.keep_alive));
        let link = Arc::downgrade(&session);
        permit.closes_by(move || {
            if let Some(link) = link.upgrade() {
                link.close(CloseReason::Overloaded);
            }
        });
        Self {
            session,
            lane,
            intake: Intake::new(rules).believing_up_to(BELIEVED_BYTES),
            unread,
            waiting_since: None,
            idle_timeout: limits.idle_timeout,
            _permit: permit,
        }
    }

    /// From the next frame on, takes frames of up to `max_bytes`, however long they take: the other
    /// side has shown who it is.
    pub fn trust(&mut self, max_bytes: usize) {
        self.intake.trust(max_bytes);
    }

    /// The next frame, in the order sent; `None` once the other side has said all. The future may be
    /// dropped and called again without losing anything.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]. All of them mean that the link is gone.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        let received = self.receive().await;
        if let Err(error) = &received {
            match error {
                RecvError::Lost(lost) => self.session.finish(lost.clone(), None),
                error => self.session.close(error.reason()),
            }
        }
        received
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            if let Some(lost) = self.session.lost() {
                return Err(lost.into());
            }
            match self.next()? {
                Next::Frame(frame) => return Ok(Some(frame)),
                Next::End => return self.intake.end().map(|()| None),
                Next::More => {}
            }
            tokio::select! {
                biased;
                end = self.session.ended() => return Err(end.why.into()),
                read = read_in_time(
                    &self.session,
                    &mut self.unread,
                    &mut self.waiting_since,
                    self.idle_timeout,
                    self.intake.due(),
                ) => read?,
            }
        }
    }

    /// Decrypts up to the end of the next frame that says something.
    fn next(&mut self) -> Result<Next, RecvError> {
        let Self { session, intake, unread, .. } = self;
        let mut found = Ok(None);
        let mut take = |chunk: &[u8]| {
            let mut rest = chunk;
            while !rest.is_empty() && matches!(found, Ok(None)) {
                // Signs of life are empty frames, and nobody's business but the link's.
                found = intake.take(&mut rest).map(|frame| frame.filter(|f| !f.is_empty()));
            }
            chunk.len() - rest.len()
        };
        let is_over = session
            .decrypt(unread, &mut take)
            .map_err(|error| LinkLost::Transport(error.to_string()))?;
        Ok(match found? {
            Some(frame) => Next::Frame(frame),
            None if is_over => Next::End,
            None => Next::More,
        })
    }

    /// The lane that this link serves.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// The proven identity of the other side.
    pub fn remote_identity(&self) -> PeerIdentity {
        self.session.remote_identity()
    }

    /// The other side's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.session.remote_addr()
    }

    /// A handle to close the link with.
    pub fn handle(&self) -> PeerHandle {
        PeerHandle(Arc::clone(&self.session))
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

/// State of the next frame.
enum Next {
    Frame(Bytes),
    /// Some of it is missing.
    More,
    /// There is none any more.
    End,
}

/// Reads on. Time counts only while the socket has nothing: whoever reads slowly has not lost a link
/// whose bytes are waiting for it.
async fn read_in_time(
    session: &Session,
    unread: &mut BytesMut,
    waiting_since: &mut Option<Instant>,
    idle_timeout: Duration,
    due: Option<Instant>,
) -> Result<(), RecvError> {
    let lost_at = *waiting_since.get_or_insert_with(Instant::now) + idle_timeout;
    let until = due.map_or(lost_at, |due| due.min(lost_at));
    let read = match timeout_at(until, session.read(unread)).await {
        Ok(read) => read.map_err(|error| LinkLost::Transport(error.to_string()))?,
        Err(_) if until < lost_at => return Err(RecvError::Unfinished),
        Err(_) => return Err(LinkLost::TimedOut.into()),
    };
    *waiting_since = None;
    match read {
        Read::Some => Ok(()),
        Read::End => Err(LinkLost::Transport("the other side hung up".to_owned()).into()),
    }
}

impl PeerHandle {
    /// Closes the link; what has not been received yet is lost.
    pub fn close(&self, reason: CloseReason) {
        self.0.close(reason);
    }

    /// Waits until the link is gone and says why.
    pub async fn closed(&self) -> LinkLost {
        self.0.ended().await.why
    }
}

impl fmt::Debug for PeerReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerReceiver")
            .field("lane", &self.lane)
            .field("remote", &self.remote_identity())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerHandle").finish_non_exhaustive()
    }
}

impl Drop for PeerReceiver {
    fn drop(&mut self) {
        self.session.close(CloseReason::Done);
    }
}

/// Tells the other side that this one is there, whether or not it reads, until the link is over.
async fn attend(session: Arc<Session>, keep_alive: Option<Duration>) {
    let still_here = async {
        while let Some(interval) = keep_alive {
            sleep(interval).await;
            if say(&session, Answer::StillHere).await.is_err() {
                break;
            }
        }
    };
    let end = tokio::select! {
        biased;
        end = session.ended() => end,
        // Whoever reads finds out why.
        () = still_here => session.ended().await,
    };
    // The other side takes its time, or is gone.
    let _ = timeout(LINGER, say_goodbye(&session, end)).await;
    session.say_no_more();
}

async fn say(session: &Session, answer: Answer) -> std::io::Result<()> {
    session.encrypt(&[vec![answer.encode()].into()])?;
    session.flush().await
}

async fn say_goodbye(session: &Session, end: End) -> std::io::Result<()> {
    if let Some(reason) = end.farewell {
        say(session, Answer::Closing(reason)).await?;
    }
    session.hang_up().await?;
    session.say_no_more();
    // Closing with bytes unread would take the last words from the other side.
    let mut unread = BytesMut::new();
    while session.read(&mut unread).await? == Read::Some {
        unread.clear();
    }
    Ok(())
}
