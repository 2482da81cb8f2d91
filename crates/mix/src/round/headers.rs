//! The signatures of batch headers. The link has proved who sends a batch, so a signature is evidence
//! for others, and no layer waits for it: those of the layers before the seal are checked before this
//! shard says that it is satisfied, the others when its part of the round is over. Many checked
//! together cost far less than one by one.

use antiphon_wire::SignedHeader;

/// Headers checked at a time, at most: a few milliseconds of work.
const MOST: usize = 512;

/// The headers of a round whose signatures are to be checked: at most one for each layer, direction
/// and sender.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    waiting: Vec<SignedHeader>,
    at_work: usize,
}

impl Headers {
    /// Takes in a sender's first header for a batch.
    pub(crate) fn take(&mut self, header: SignedHeader) {
        self.waiting.push(header);
    }

    /// Returns those that have come since the last time, in portions to be checked together. A sender's
    /// are beside each other, since that makes it cheaper.
    pub(crate) fn due(&mut self) -> Vec<Vec<SignedHeader>> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|header| header.claimed().sender);
        let portions = waiting.len().div_ceil(MOST);
        let each = waiting.len().div_ceil(portions.max(1));
        let mut waiting = waiting.into_iter();
        (0..portions).map(|_| waiting.by_ref().take(each).collect()).collect()
    }

    /// So many portions are being checked that the round waits for.
    pub(crate) fn wait_for(&mut self, portions: usize) {
        self.at_work += portions;
    }

    /// A portion has been checked.
    pub(crate) fn checked(&mut self) {
        self.at_work = self.at_work.saturating_sub(1);
    }

    /// Returns true while the round waits for headers that are being checked.
    pub(crate) fn is_checking(&self) -> bool {
        self.at_work > 0
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::work::header;

    #[test]
    fn each_header_is_due_once_beside_its_senders_others() {
        for (shards, layers, portions) in
            [(1, 2, 0), (2, 2, 1), (20, 14, 1), (65, 8, 1), (100, 14, 3)]
        {
            let mut headers = Headers::default();
            let signer = SigningKey::from_bytes(&[1; 32]);
            for layer in 1..=layers {
                (1..shards).for_each(|sender| headers.take(header(sender, layer, &signer)));
            }
            let due = headers.due();
            assert_eq!(due.len(), portions);
            let all = usize::from(shards - 1) * usize::from(layers);
            assert!(due.iter().all(|portion| portion.len() >= all / portions));
            let due: Vec<_> = due.iter().flatten().map(SignedHeader::claimed).collect();
            assert_eq!(due.len(), all);
            let places = due.iter().map(|due| (due.sender, due.layer));
            assert!(places.is_sorted_by(|a, b| a < b));
            assert!(headers.due().is_empty());
        }
    }

    #[test]
    fn a_round_waits_until_every_portion_is_checked() {
        let mut headers = Headers::default();
        assert!(!headers.is_checking());
        headers.wait_for(2);
        headers.checked();
        assert!(headers.is_checking());
        headers.checked();
        assert!(!headers.is_checking());
        // Those checked after the round do not count.
        headers.checked();
        assert!(!headers.is_checking());
    }
}
