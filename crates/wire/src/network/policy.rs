//! The privacy policy: limits that every epoch of a network has to keep.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::{NetworkFileError, plain};
use crate::codec::Encode;
use crate::{Services, Suite};

/// Limits of a network on its epochs, and the guarantee that they give.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// f: the largest share of the operators' weight that may be malicious, in millionths.
    pub malicious_ppm: u32,
    /// epsilon of the differential-privacy guarantee over `disturbed_rounds`.
    pub epsilon: f64,
    /// delta of that guarantee: the noise's part alone.
    pub delta: f64,
    /// K: how many disturbed or charged rounds of a conversation the guarantee covers.
    pub disturbed_rounds: u32,
    /// Bound on delta over `total_over_days` in all: the noise over all disturbed rounds, mixing over all
    /// others, and disturbing after a look.
    pub total_delta: f64,
    /// Days that `total_delta` covers.
    pub total_over_days: u32,
    /// Aborted rounds and other attempts, with a session open, that the guarantee allows for beside the
    /// disturbed ones.
    pub attempts: u32,
    /// The most pairs of onions that an epoch may ask of a client in every round: a conversation of p
    /// pairs moves the count of pairs by p.
    pub most_pairs: u8,
    /// The least number of mixing hops, whatever an epoch's own f asks for.
    pub least_mixing_hops: u8,
    /// The least time between two rounds, in milliseconds.
    pub least_round_interval_ms: u32,
    /// Rounds that may come sooner than that, beside all others, in any hour.
    pub early_rounds_an_hour: u16,
    /// The same in any day.
    pub early_rounds_a_day: u16,
    /// The longest that an epoch's rounds may take by their interval, in seconds. Keys live for twice
    /// that at most.
    pub longest_epoch_s: u32,
    /// The longest of each of a round's deadlines, in milliseconds.
    pub longest_deadline_ms: u32,
    /// The suite that every epoch's onions are of. No coordinator chooses it: one suite sends more, the other
    /// promises less.
    pub suite: Suite,
    /// Canaries that each shard makes in every round with beats, two onions each: by them it is found who garbles
    /// cells. No coordinator chooses it, whose own shards they may be.
    pub canaries: u8,
    /// `true` if operators with more than `malicious_ppm` of the weight are meant to be in the network: none
    /// of them is ever counted as malicious.
    pub trusts_heavy_operators: bool,
    /// Mailbox services beside the dead drops, and which rounds are theirs.
    pub services: Services,
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Policy {
    /// f = 0.2; epsilon = ln 2 and delta = 1e-6 over K = 1000; as many attempts; one pair a client; 14
    /// mixing hops; a round a second at most, and 4 early ones an hour, 24 a day; epochs of six hours and deadlines of half a minute at
    /// most; suite 1; one canary a shard and round. The total over a year is 0.3: five equal operators keep it with 14 hops, a round a second and all
    /// attempts used up.
    pub const DEFAULT: Self = Self {
        malicious_ppm: 200_000,
        epsilon: std::f64::consts::LN_2,
        delta: 1e-6,
        disturbed_rounds: 1000,
        total_delta: 0.3,
        total_over_days: 365,
        attempts: 1000,
        most_pairs: 1,
        least_mixing_hops: 14,
        least_round_interval_ms: 1000,
        early_rounds_an_hour: 4,
        early_rounds_a_day: 24,
        longest_epoch_s: 6 * 60 * 60,
        longest_deadline_ms: 30_000,
        suite: Suite::Classic,
        canaries: 1,
        trusts_heavy_operators: false,
        services: Services::NONE,
    };

    /// The most pairs that any policy may allow, so that the bytes of a round stay bounded.
    pub const MOST_PAIRS: u8 = 16;

    /// The most canaries that any policy may ask for: whoever judges hears of no more of a shard in a round.
    pub const MOST_CANARIES: u8 = 8;

    /// Refuses values outside the ranges for which the figures can be computed.
    pub(super) fn check(&self) -> Result<(), NetworkFileError> {
        if self.malicious_ppm >= 500_000 {
            return Err(malicious_out_of_range(f64::from(self.malicious_ppm) / 1e6));
        }
        if !(self.epsilon > 0.0 && self.epsilon <= 100.0) {
            return Err(wrong("epsilon", self.epsilon, "above 0 and at most 100"));
        }
        if !(self.delta > 0.0 && self.delta < 1.0) {
            return Err(wrong("delta", self.delta, "between 0 and 1, such as 1e-6"));
        }
        if !(self.total_delta >= self.delta && self.total_delta <= 1.0) {
            let expected = "no less than `policy.delta`, at most 1";
            return Err(wrong("total_delta", self.total_delta, expected));
        }
        within("disturbed_rounds", self.disturbed_rounds, 1..=1_000_000)?;
        within("total_over_days", self.total_over_days, 1..=36_500)?;
        within("attempts", self.attempts, 1..=1_000_000)?;
        within("most_pairs", self.most_pairs, 1..=Self::MOST_PAIRS)?;
        within("canaries", self.canaries, 0..=Self::MOST_CANARIES)?;
        within("least_mixing_hops", self.least_mixing_hops, 2..=99)?;
        within("early_rounds_an_hour", self.early_rounds_an_hour, 0..=1000)?;
        within("early_rounds_a_day", self.early_rounds_a_day, 0..=1000)?;
        within("longest_epoch_s", self.longest_epoch_s, 1..=31_536_000)?;
        within("longest_deadline_ms", self.longest_deadline_ms, 1..=3_600_000)?;
        self.services.check()
    }

    /// Appends the policy's part of the bytes that the network file's id is a hash of.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        self.malicious_ppm.encode(bytes);
        self.epsilon.to_bits().encode(bytes);
        self.delta.to_bits().encode(bytes);
        self.disturbed_rounds.encode(bytes);
        self.total_delta.to_bits().encode(bytes);
        self.total_over_days.encode(bytes);
        self.attempts.encode(bytes);
        self.most_pairs.encode(bytes);
        self.least_mixing_hops.encode(bytes);
        self.least_round_interval_ms.encode(bytes);
        self.early_rounds_an_hour.encode(bytes);
        self.early_rounds_a_day.encode(bytes);
        self.longest_epoch_s.encode(bytes);
        self.longest_deadline_ms.encode(bytes);
        bytes.push(self.suite.number());
        self.canaries.encode(bytes);
        bytes.push(u8::from(self.trusts_heavy_operators));
        // Files without them stay as they were; those with them begin otherwise.
        if self.services.has_mailboxes() {
            self.services.encode(bytes);
        }
    }
}

pub(super) fn malicious_out_of_range(found: f64) -> NetworkFileError {
    wrong("malicious", found, "a fraction of at least 0, below 0.5")
}

fn within<T: PartialOrd + Display>(
    key: &str,
    found: T,
    range: RangeInclusive<T>,
) -> Result<(), NetworkFileError> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(wrong(key, found, &format!("from {} to {}", range.start(), range.end())))
}

pub(super) fn wrong(key: &str, found: impl Display, expected: &str) -> NetworkFileError {
    NetworkFileError::Value {
        key: format!("policy.{key}"),
        found: plain(&found.to_string()).replace('\n', "\\n"),
        expected: expected.to_owned(),
    }
}
