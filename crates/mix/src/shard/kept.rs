//! Answers of rounds that are over, for clients that lost their link meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use antiphon_wire::{Digest, MOST_ROUNDS_IN_FLIGHT, Round, Timestamp, ToClient};

/// Milliseconds for which answers are kept. A client that is away for longer has taken them for lost.
const KEPT_MS: u64 = 60_000;
/// For how many rounds, at most: as many as a client that comes back may ask for.
pub(super) const MOST_KEPT: usize = 2 * MOST_ROUNDS_IN_FLIGHT;
/// Bytes that an answer takes beside its replies, about.
const OVERHEAD_BYTES: usize = 160;

/// Messages that told clients how the last rounds ended, by the hashes of their tickets. Only who knows
/// a ticket is told again.
#[derive(Debug)]
pub(super) struct Kept {
    /// The oldest first.
    rounds: VecDeque<Answers>,
    bytes: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Answers {
    round: Round,
    until: Timestamp,
    bytes: usize,
    by_ticket: BTreeMap<Digest, Arc<ToClient>>,
}

impl Kept {
    /// Nothing yet, and never more than `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { rounds: VecDeque::new(), bytes: 0, most_bytes }
    }

    /// Keeps what a round ended with. What was kept longest goes if there is no room.
    pub(super) fn keep(
        &mut self,
        now: Timestamp,
        round: Round,
        answers: Vec<(Digest, Arc<ToClient>)>,
    ) {
        let bytes = answers.iter().map(|(_, answer)| bytes_of(answer)).sum();
        let by_ticket = answers.into_iter().collect();
        let until = now.plus_ms(KEPT_MS);
        self.rounds.push_back(Answers { round, until, bytes, by_ticket });
        self.bytes += bytes;
        while let Some(oldest) = self.rounds.front()
            && (self.rounds.len() > MOST_KEPT
                || oldest.until <= now
                || self.bytes > self.most_bytes)
        {
            self.bytes -= oldest.bytes;
            self.rounds.pop_front();
        }
    }

    /// The message that told the client with this ticket's hash how `round` ended.
    pub(super) fn answer(
        &self,
        now: Timestamp,
        round: Round,
        ticket: &Digest,
    ) -> Option<Arc<ToClient>> {
        let mut kept = self.rounds.iter().filter(|kept| kept.round == round && kept.until > now);
        kept.find_map(|kept| kept.by_ticket.get(ticket)).cloned()
    }
}

fn bytes_of(answer: &ToClient) -> usize {
    match answer {
        ToClient::Replies { replies, .. } => replies.0.len() + OVERHEAD_BYTES,
        // Shared by all.
        _ => OVERHEAD_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Blob, Epoch};

    use super::*;

    fn answers(round: u64, clients: u8) -> Vec<(Digest, Arc<ToClient>)> {
        let (epoch, round) = (Epoch(1), Round(round));
        let answer = |client| {
            let replies = Blob(vec![client; 512]);
            (Digest([client; 32]), Arc::new(ToClient::Replies { epoch, round, replies }))
        };
        (0..clients).map(answer).collect()
    }

    #[test]
    fn answers_are_there_for_whoever_has_the_ticket_and_for_a_minute() {
        let mut kept = Kept::new(1 << 20);
        kept.keep(Timestamp(0), Round(1), answers(1, 3));
        kept.keep(Timestamp(1000), Round(2), answers(2, 3));
        let told =
            |round, ticket| kept.answer(Timestamp(5000), Round(round), &Digest([ticket; 32]));
        assert_eq!(told(1, 2), Some(Arc::clone(&answers(1, 3)[2].1)));
        assert_eq!((told(1, 3), told(3, 2)), (None, None));
        assert!(kept.answer(Timestamp(60_000), Round(1), &Digest([2; 32])).is_none());
        kept.keep(Timestamp(60_500), Round(3), Vec::new());
        assert_eq!((kept.rounds.len(), kept.bytes), (2, 3 * (512 + OVERHEAD_BYTES)));
    }

    #[test]
    fn what_is_kept_is_bounded_in_rounds() {
        let mut kept = Kept::new(1 << 20);
        for round in 0..100 {
            kept.keep(Timestamp(0), Round(round), answers(round, 1));
        }
        assert_eq!(
            (kept.rounds.len(), kept.bytes),
            (MOST_KEPT, MOST_KEPT * (512 + OVERHEAD_BYTES))
        );
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes() {
        let mut kept = Kept::new(10_000);
        for round in 0..100 {
            kept.keep(Timestamp(round), Round(round), answers(round, 5));
            assert!(kept.bytes <= 10_000);
        }
        assert!(kept.answer(Timestamp(100), Round(99), &Digest([4; 32])).is_some());
        kept.keep(Timestamp(100), Round(100), answers(100, 100));
        assert_eq!((kept.rounds.len(), kept.bytes), (0, 0));
    }
}
