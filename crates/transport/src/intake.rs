//! Frames as they come in from one other side, held to the rules of its link.

use bytes::Bytes;
use tokio::time::Instant;

use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameDecoder, FrameTooLarge};
use crate::rules::{Part, Rules};

/// Reason why nothing could be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The other side sent too long a frame; the link is closed for it.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// A frame took too long; the link is closed for it.
    #[error("the other side did not finish a message in time")]
    Unfinished,
    /// Strangers have too many unfinished frames; the link is closed for it.
    #[error("no room for another unfinished message")]
    NoRoom,
    /// The other side ended what it says within a frame; the link is closed for it.
    #[error("the other side ended a stream within a message")]
    Truncated,
    /// The link is gone.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}

impl RecvError {
    /// Reason to give to the other side.
    pub(crate) fn reason(&self) -> CloseReason {
        match self {
            Self::FrameTooLarge(_) => CloseReason::FrameTooLarge,
            Self::NoRoom => CloseReason::Overloaded,
            _ => CloseReason::Protocol,
        }
    }
}

/// Cuts the bytes of one other side into frames, and refuses those that its link's rules do not allow.
pub(crate) struct Intake {
    decoder: FrameDecoder,
    rules: Rules,
    part: Part,
    /// Time by which the frame that has begun has to be there.
    due: Option<Instant>,
}

impl Intake {
    pub(crate) fn new(rules: Rules) -> Self {
        let (decoder, part) = (FrameDecoder::new(rules.max()), rules.part());
        Self { decoder, rules, part, due: None }
    }

    /// See [`FrameDecoder::believing_up_to`].
    pub(crate) fn believing_up_to(mut self, bytes: usize) -> Self {
        self.decoder = self.decoder.believing_up_to(bytes);
        self
    }

    /// From the next frame on, takes frames of up to `max_bytes`, however long they take.
    pub(crate) fn trust(&mut self, max_bytes: usize) {
        self.rules = Rules::trusted(max_bytes);
        self.part = self.rules.part();
        self.due = None;
    }

    /// Takes bytes off the front of `input` up to the end of the next frame and returns that frame;
    /// `None` when `input` is used up first.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, RecvError> {
        self.decoder.set_max(self.rules.max());
        let frame = self.decoder.decode(input)?;
        if frame.is_some() {
            self.due = None;
        }
        if self.part.set(self.decoder.kept_bytes()) { Ok(frame) } else { Err(RecvError::NoRoom) }
    }

    /// Time by which the frame that has begun has to be there; `None` if none has, or it may take its time.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        let within = self.rules.frame_within().filter(|_| !self.decoder.is_between_frames())?;
        Some(*self.due.get_or_insert_with(|| Instant::now() + within))
    }

    /// Checks that the other side may end here: between frames.
    pub(crate) fn end(&self) -> Result<(), RecvError> {
        if self.decoder.is_between_frames() { Ok(()) } else { Err(RecvError::Truncated) }
    }
}
