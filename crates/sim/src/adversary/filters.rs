//! Filters that are not what a shard holds.

use antiphon_wire::{Blob, PeerMessage, Signed, Timestamp};

use crate::adversary::{Adversary, Keys, Kind, Target};
use crate::party::{Party, Payload, Sent};

/// Flaws of a false filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterLie {
    /// All bits are set: it would pass every test.
    AllOnes,
    /// It is longer than a filter of so many onions.
    WrongSize,
    /// It is the empty filter of no onions.
    Empty,
    /// It is of the size of an absurd number of onions, as declared.
    CountAbsurd,
    /// One onion more is declared, and the size fits.
    CountOneMore,
    /// A bit is set that need not be. The filter passes; it is shown to one shard only.
    OtherTo(usize),
    /// The signature is another shard's.
    Signature,
}

/// Publishes a false filter for a shard.
#[derive(Clone, Copy, Debug)]
pub struct FalseFilter {
    /// Position in the setup of the shard whose filter is falsified.
    pub shard: usize,
    /// Flaw that it is given.
    pub lie: FilterLie,
}

impl Adversary for FalseFilter {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if !Target::all(self.shard, Kind::Filter).takes(&sent) {
            return vec![(0, sent)];
        }
        if let Payload::Peer(PeerMessage::Filter { filter }) = &mut sent.payload {
            let mut claims = filter.claimed().clone();
            let bits = &mut claims.bits.0;
            let mut signer = self.shard;
            match self.lie {
                FilterLie::AllOnes => bits.fill(0xff),
                FilterLie::WrongSize => bits.extend_from_slice(&[0; 8]),
                FilterLie::Empty => {
                    bits.clear();
                    claims.onions = 0;
                }
                FilterLie::CountAbsurd => claims.onions = u32::MAX,
                FilterLie::CountOneMore => {
                    claims.onions += 1;
                    let bytes = antiphon_verify::filter_bytes(
                        claims.onions,
                        antiphon_verify::FilterPrecision::default(),
                    );
                    // The size is right, so only the bits can give the lie away.
                    claims.bits = Blob(vec![0x55; bytes as usize]);
                }
                FilterLie::OtherTo(to) => {
                    if sent.to == Party::Shard(to)
                        && let Some(byte) = bits.iter_mut().find(|byte| byte.count_zeros() > 0)
                    {
                        // The lowest bit that was not set.
                        *byte |= *byte + 1;
                    }
                }
                // Signed by the next shard's key, under the name of this one.
                FilterLie::Signature => signer = (signer + 1) % keys.shards.len(),
            }
            *filter = Signed::new(claims, keys.shard(signer));
        }
        vec![(0, sent)]
    }
}
