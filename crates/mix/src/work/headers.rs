//! Checking the signatures of batch headers.

use std::sync::Arc;

use antiphon_wire::{
    BatchHeader, Direction, HeaderList, IdentityKey, Signed, SignedHeader, verify_together,
};
use ed25519_dalek::VerifyingKey;

/// Headers of one round.
#[derive(Debug)]
pub(crate) struct HeadersJob {
    /// Of all shards, in their order.
    pub(crate) identities: Arc<[IdentityKey]>,
    /// The same as keys; `None` for what is no usable key.
    pub(crate) keys: Arc<[Option<VerifyingKey>]>,
    pub(crate) headers: Vec<SignedHeader>,
}

/// A header that its sender has not signed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "has not signed the header of the {} that it sent for layer {} of round {}",
    items(header.direction), header.layer, header.round
)]
pub(crate) struct UnsignedHeader {
    /// Shard that sent the header.
    pub(crate) sender: IdentityKey,
    pub(crate) header: BatchHeader,
}

fn items(direction: Direction) -> &'static str {
    match direction {
        Direction::Forward => "onions",
        Direction::Reply => "replies",
    }
}

/// A header, the list that is to be signed, and by whom.
type Claim<'a> = (&'a SignedHeader, Signed<HeaderList>, Option<VerifyingKey>);

impl HeadersJob {
    /// Returns the headers that their senders have not signed.
    pub(super) fn run(self) -> Vec<UnsignedHeader> {
        let claims = self.headers.iter().map(|header| {
            let key = self.keys.get(header.claimed().sender.position()).copied().flatten();
            (header, header.list(), key)
        });
        let mut unsigned = Vec::new();
        self.find_unsigned(&claims.collect::<Vec<_>>(), &mut unsigned);
        unsigned
    }

    /// Checks all together, and if that fails each half: a few unsigned ones do not have the others
    /// checked one by one.
    fn find_unsigned(&self, claims: &[Claim<'_>], unsigned: &mut Vec<UnsignedHeader>) {
        let together = claims.iter().map(|(_, list, key)| Some((list, (*key)?)));
        if together.collect::<Option<Vec<_>>>().is_some_and(|all| verify_together(&all)) {
            return;
        }
        if let [(header, ..)] = claims {
            let header = *header.claimed();
            let sender = self.identities[header.sender.position()];
            unsigned.push(UnsignedHeader { sender, header });
            return;
        }
        let (some, others) = claims.split_at(claims.len() / 2);
        self.find_unsigned(some, unsigned);
        self.find_unsigned(others, unsigned);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use antiphon_wire::{Digest, Epoch, Layer, Round, ShardIndex};
    use ed25519_dalek::SigningKey;

    use super::*;

    /// The header of an empty batch, signed by whoever `signer` is.
    pub(crate) fn header(sender: u16, layer: u8, signer: &SigningKey) -> SignedHeader {
        let header = BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(1),
            layer: Layer(layer),
            direction: Direction::Forward,
            sender: ShardIndex(sender),
            receiver: ShardIndex(0),
            count: 0,
            hash: Digest::of(&[]),
        };
        SignedHeader::new(header, signer)
    }

    fn key(seed: u16) -> SigningKey {
        SigningKey::from_bytes(&[seed as u8; 32])
    }

    #[test]
    fn exactly_those_are_found_that_their_senders_have_not_signed() {
        const SENDERS: u16 = 10;
        const LAYERS: u8 = 5;
        // Its identity is no key.
        const KEYLESS: u16 = 9;
        let forged: [&[(u16, u8)]; 5] = [
            &[],
            &[(0, 1)],
            &[(8, 5)],
            &[(3, 1), (3, 2), (3, 3), (3, 4), (3, 5)],
            &[(2, 2), (7, 4)],
        ];
        for forged in forged {
            for senders in [KEYLESS, SENDERS] {
                let identities = (0..SENDERS).map(|sender| IdentityKey::of(&key(sender)));
                let keys = (0..SENDERS)
                    .map(|sender| (sender != KEYLESS).then(|| key(sender).verifying_key()));
                let places = (0..senders).flat_map(|of| (1..=LAYERS).map(move |layer| (of, layer)));
                let headers = places.clone().map(|(sender, layer)| {
                    let signer = if forged.contains(&(sender, layer)) { 100 } else { sender };
                    header(sender, layer, &key(signer))
                });
                let job = HeadersJob {
                    identities: identities.collect(),
                    keys: keys.collect(),
                    headers: headers.collect(),
                };
                let found = job.run();
                let found: Vec<_> = found
                    .iter()
                    .map(|unsigned| {
                        let header = unsigned.header;
                        assert_eq!(unsigned.sender, IdentityKey::of(&key(header.sender.0)));
                        (header.sender.0, header.layer.0)
                    })
                    .collect();
                let expected = places.filter(|at| forged.contains(at) || at.0 == KEYLESS);
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
        }
    }
}
