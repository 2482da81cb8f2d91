//! The end of a link, and the reasons for it.

use quinn::{ConnectionError, VarInt};

/// Reason that one side gives the other when it closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// There is nothing more to say.
    Done,
    /// The process is going away.
    ShuttingDown,
    /// A frame was longer than the receiver accepts.
    FrameTooLarge,
    /// The other side sent something that makes no sense.
    Protocol,
    /// No room for this link.
    Overloaded,
    /// The identity is not one that the caller wants to talk to.
    NotWelcome,
    /// A send was abandoned half-way, so that the stream makes no sense any more.
    Abandoned,
    /// A code that this version does not know.
    Other(u32),
}

impl CloseReason {
    pub(crate) fn code(self) -> VarInt {
        VarInt::from_u32(self.number())
    }

    pub(crate) fn from_code(code: VarInt) -> Self {
        Self::from_number(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Done => 0,
            Self::ShuttingDown => 1,
            Self::FrameTooLarge => 2,
            Self::Protocol => 3,
            Self::Overloaded => 4,
            Self::NotWelcome => 5,
            Self::Abandoned => 6,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Done,
            1 => Self::ShuttingDown,
            2 => Self::FrameTooLarge,
            3 => Self::Protocol,
            4 => Self::Overloaded,
            5 => Self::NotWelcome,
            6 => Self::Abandoned,
            other => Self::Other(other),
        }
    }

    /// The sentence that is sent along.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::ShuttingDown => "shutting down",
            Self::FrameTooLarge => "a frame was longer than this side accepts",
            Self::Protocol => "a message broke the protocol",
            Self::Overloaded => "no room for another link",
            Self::NotWelcome => "this identity is not welcome here",
            Self::Abandoned => "a message was abandoned half-way",
            Self::Other(_) => "unknown reason",
        }
    }
}

/// The link is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkLost {
    /// The other process closed it.
    #[error("the other side closed the link: {} ({reason:?})", reason.text())]
    ByPeer {
        /// Reason that the other side gave.
        reason: CloseReason,
    },
    /// This process closed it.
    #[error("the link was closed on this side")]
    ByUs,
    /// Nothing arrived for the idle timeout.
    #[error("the other side stopped answering: is it running, and can it be reached?")]
    TimedOut,
    /// The connection broke.
    #[error("the link broke: {0}")]
    Transport(String),
}

impl From<ConnectionError> for LinkLost {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::ByPeer { reason: CloseReason::from_code(close.error_code) }
            }
            ConnectionError::LocallyClosed => Self::ByUs,
            ConnectionError::TimedOut => Self::TimedOut,
            other => Self::Transport(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for code in 0..20 {
            let code = VarInt::from_u32(code);
            assert_eq!(CloseReason::from_code(code).code(), code);
        }
    }
}
