//! The signatures of batch headers, checked many at a time: that costs less than half of what they
//! cost one by one. The link has proved who sends a batch, so its onions may be peeled meanwhile;
//! no layer closes before the signatures over all of it are checked.

use std::collections::BTreeMap;

use antiphon_wire::{Direction, Layer, ShardIndex, SignedHeader};

/// Signatures checked at a time, at most.
const MOST: usize = 64;

/// The headers of a round whose signatures are to be checked.
#[derive(Debug)]
pub(crate) struct Headers {
    /// How many shards send batches to this one.
    senders: usize,
    of: BTreeMap<(Layer, Direction), OfLayer>,
}

#[derive(Debug, Default)]
struct OfLayer {
    came: usize,
    waiting: Vec<SignedHeader>,
    at_work: usize,
}

/// What came of checking the headers of a layer and direction.
#[derive(Debug)]
pub(crate) struct CheckedHeaders {
    pub(crate) layer: Layer,
    pub(crate) direction: Direction,
    /// Each sender, and whether it had signed its header.
    pub(crate) signed: Vec<(ShardIndex, bool)>,
}

impl Headers {
    pub(crate) fn new(shards: usize) -> Self {
        Self { senders: shards.saturating_sub(1), of: BTreeMap::new() }
    }

    /// Takes in a sender's first header for its layer. Returns those to check, once there are enough.
    pub(crate) fn take(&mut self, header: SignedHeader) -> Option<Vec<SignedHeader>> {
        let (layer, direction) = (header.claimed().layer, header.claimed().direction);
        let of = self.of.entry((layer, direction)).or_default();
        of.came += 1;
        of.waiting.push(header);
        let enough = of.came >= self.senders || of.waiting.len() >= MOST;
        enough.then(|| self.rest(layer, direction)).flatten()
    }

    /// Returns those that wait to be checked, since no more will come; `None` if there are none.
    pub(crate) fn rest(&mut self, layer: Layer, direction: Direction) -> Option<Vec<SignedHeader>> {
        let of = self.of.get_mut(&(layer, direction))?;
        let rest = std::mem::take(&mut of.waiting);
        of.at_work += usize::from(!rest.is_empty());
        (!rest.is_empty()).then_some(rest)
    }

    /// Headers of this layer and direction have been checked.
    pub(crate) fn checked(&mut self, layer: Layer, direction: Direction) {
        if let Some(of) = self.of.get_mut(&(layer, direction)) {
            of.at_work = of.at_work.saturating_sub(1);
        }
    }

    /// Whether headers are being checked.
    pub(crate) fn is_checking(&self, layer: Layer, direction: Direction) -> bool {
        self.of.get(&(layer, direction)).is_some_and(|of| of.at_work > 0)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{BatchHeader, Digest, Epoch, Round};
    use ed25519_dalek::SigningKey;

    use super::*;

    const LAYER: Layer = Layer(2);

    fn header(sender: u16, direction: Direction) -> SignedHeader {
        let header = BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(1),
            layer: LAYER,
            direction,
            sender: ShardIndex(sender),
            receiver: ShardIndex(0),
            count: 0,
            hash: Digest::of(&[]),
        };
        SignedHeader::new(header, &SigningKey::from_bytes(&[1; 32]))
    }

    #[test]
    fn each_header_is_checked_once_together_with_the_others() {
        for shards in [2, 5, 65, 66, 200] {
            let mut headers = Headers::new(shards);
            let mut checked = 0;
            for sender in 1..shards {
                let due = headers.take(header(sender as u16, Direction::Forward));
                checked += due.as_ref().map_or(0, Vec::len);
                assert_eq!(due.is_some(), sender % MOST == 0 || sender == shards - 1);
            }
            assert_eq!(checked, shards - 1);
            assert!(headers.rest(LAYER, Direction::Forward).is_none());
            assert!(headers.rest(LAYER, Direction::Reply).is_none());
        }
    }

    #[test]
    fn those_that_have_come_can_be_checked_without_the_missing() {
        let mut headers = Headers::new(5);
        assert!(headers.rest(LAYER, Direction::Forward).is_none());
        for sender in 1..4 {
            assert!(headers.take(header(sender, Direction::Forward)).is_none());
        }
        assert!(!headers.is_checking(LAYER, Direction::Forward));
        assert_eq!(headers.rest(LAYER, Direction::Forward).map(|rest| rest.len()), Some(3));
        assert!(headers.is_checking(LAYER, Direction::Forward));
        assert!(headers.rest(LAYER, Direction::Forward).is_none());
        // The last one comes while the others are being checked.
        assert_eq!(headers.take(header(4, Direction::Forward)).map(|rest| rest.len()), Some(1));
        headers.checked(LAYER, Direction::Forward);
        assert!(headers.is_checking(LAYER, Direction::Forward));
        headers.checked(LAYER, Direction::Forward);
        assert!(!headers.is_checking(LAYER, Direction::Forward));
    }
}
