//! Conduct of a client's gateway, as far as it may be a reason to leave it.

use antiphon_wire::{Epoch, IdentityKey, Round, Timestamp};

use crate::Event;

/// Rounds in a row for which a gateway may bring nothing. Only what anyone on the link sees as well
/// counts: a client that left for what replies hold would show that it talks.
const MOST_UNANSWERED: u32 = 3;
/// Documents that a gateway may send in vain: checking them costs time.
const MOST_REFUSED: u32 = 8;
/// Links to one gateway that may break in a row before a round opens.
const MOST_BREAKS: u32 = 3;
/// A gateway that opens no round for this long, and for this many intervals, is left.
const QUIET_MS: u64 = 60_000;
const QUIET_INTERVALS: u64 = 12;

/// Reason why a gateway is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayFault {
    /// Rounds went by for which it brought nothing that looks like its part.
    #[error("it brought nothing for several rounds")]
    Silent,
    /// It opened no round.
    #[error("it opened no round for a long time")]
    Quiet,
    /// Its documents were refused.
    #[error("it sends documents of no use")]
    Documents,
}

/// Record of the gateway in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Conduct {
    gateway: Option<IdentityKey>,
    unanswered: u32,
    last_unanswered: Option<Round>,
    refused: u32,
    breaks: u32,
    quiet_at: Option<Timestamp>,
    opened: Option<Opened>,
}

/// Round that a gateway opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) epoch: Epoch,
    pub(super) at: Timestamp,
    pub(super) interval_ms: u32,
}

impl Conduct {
    /// Takes note that a link to `gateway` is up. Links to the same one go on with its record.
    pub(super) fn linked(&mut self, gateway: IdentityKey, now: Timestamp, interval_ms: u32) {
        if self.gateway != Some(gateway) {
            *self = Self { gateway: Some(gateway), ..Self::default() };
        }
        self.refused = 0;
        self.quiet_at = Some(quiet_at(now, interval_ms));
    }

    /// Takes note that it opened a round of `epoch`. Returns `true` if that is the first of this epoch, or a later one's.
    pub(super) fn opened(&mut self, epoch: Epoch, now: Timestamp, interval_ms: u32) -> bool {
        let is_first = self.opened.is_none_or(|before| before.epoch < epoch);
        self.breaks = 0;
        self.opened = Some(Opened { epoch, at: now, interval_ms });
        self.quiet_at = Some(quiet_at(now, interval_ms));
        is_first
    }

    pub(super) fn heed(&mut self, event: &Event) {
        match event {
            Event::Unanswered { round } => {
                self.unanswered = self.unanswered.saturating_add(1);
                self.last_unanswered = Some(*round);
            }
            // The end of a round that was not answered comes after that.
            Event::RoundEnded { round, .. } if self.last_unanswered != Some(*round) => {
                self.unanswered = 0;
            }
            Event::DocumentRefused { .. } => self.refused = self.refused.saturating_add(1),
            _ => {}
        }
    }

    /// Takes note that its link broke. Returns `true` if that is borne.
    pub(super) fn bears_a_break(&mut self) -> bool {
        self.breaks = self.breaks.saturating_add(1);
        self.breaks <= MOST_BREAKS
    }

    /// The round that it opened last.
    pub(super) fn last_opened(&self) -> Option<Opened> {
        self.opened
    }

    pub(super) fn quiet_at(&self) -> Option<Timestamp> {
        self.quiet_at
    }

    pub(super) fn fault(&self, now: Timestamp) -> Option<GatewayFault> {
        if self.unanswered >= MOST_UNANSWERED {
            Some(GatewayFault::Silent)
        } else if self.refused >= MOST_REFUSED {
            Some(GatewayFault::Documents)
        } else if self.quiet_at.is_some_and(|at| at <= now) {
            Some(GatewayFault::Quiet)
        } else {
            None
        }
    }
}

fn quiet_at(now: Timestamp, interval_ms: u32) -> Timestamp {
    now.plus_ms(QUIET_MS.max(QUIET_INTERVALS * u64::from(interval_ms)))
}
