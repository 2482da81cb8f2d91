//! Batches that are not what their headers say.

use antiphon_wire::{Layer, SignedHeader, Timestamp};

use crate::adversary::{Adversary, Keys, Target, target};
use crate::party::{Payload, Sent};

/// Flaws of a batch's header, or of how the batch is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderLie {
    /// Other bytes than were hashed.
    Bytes,
    /// One item more announced than follows.
    CountTooHigh,
    /// One item fewer announced than follows.
    CountTooLow,
    /// More items announced than any batch may have.
    CountAbsurd,
    /// A byte is missing at the end.
    Ragged,
    /// The signature is another shard's.
    Signature,
    /// The header names its sender as the receiver.
    Receiver,
    /// The header is of another version of the protocol.
    Version,
    /// The batch comes twice.
    Twice,
    /// The bytes come without a header of this round.
    Round,
    /// The batch is for two layers later.
    Ahead,
}

/// Sends the target's batches with a lie in or about their headers.
#[derive(Clone, Copy, Debug)]
pub struct LyingHeader {
    /// Batches that are sent with the flaw.
    pub target: Target,
    /// Flaw that they are given.
    pub lie: HeaderLie,
}

impl Adversary for LyingHeader {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if !self.target.takes(&sent) {
            return vec![(0, sent)];
        }
        if self.lie == HeaderLie::Twice {
            return vec![(0, sent.clone()), (0, sent)];
        }
        let ends = target::ends(&sent.payload);
        if let (Payload::Batch { header, bytes, .. }, Some((sender, _))) = (&mut sent.payload, ends)
        {
            // The header is changed and signed anew, so that the flaw itself has to be noticed and not a bad
            // signature.
            let mut claims = *header.claimed();
            let mut signer = self.target.from;
            match self.lie {
                HeaderLie::Bytes => {
                    if let Some(byte) = bytes.last_mut() {
                        *byte ^= 1;
                    }
                }
                HeaderLie::CountTooHigh => claims.count += 1,
                HeaderLie::CountTooLow => claims.count = claims.count.saturating_sub(1),
                HeaderLie::CountAbsurd => claims.count = u32::MAX,
                HeaderLie::Ragged => drop(bytes.pop()),
                // The next shard's key, under the name of this one.
                HeaderLie::Signature => signer = (signer + 1) % keys.shards.len(),
                HeaderLie::Receiver => claims.receiver = sender,
                HeaderLie::Version => claims.version += 1,
                HeaderLie::Round => claims.round = claims.round.next(),
                HeaderLie::Ahead => claims.layer = Layer(claims.layer.0 + 2),
                HeaderLie::Twice => {}
            }
            *header = SignedHeader::new(claims, keys.shard(signer));
        }
        vec![(0, sent)]
    }
}
