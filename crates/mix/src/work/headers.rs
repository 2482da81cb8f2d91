//! Checking the signatures of batch headers.

use std::sync::Arc;

use antiphon_wire::{Direction, IdentityKey, Layer, SignedHeader, verify_together};
use ed25519_dalek::VerifyingKey;

use super::StepResult;
use crate::round::CheckedHeaders;

/// Headers of one layer and direction.
#[derive(Debug)]
pub(crate) struct HeadersJob {
    /// Of all shards, in their order; `None` for what is no usable key.
    pub(crate) keys: Arc<[Option<VerifyingKey>]>,
    pub(crate) layer: Layer,
    pub(crate) direction: Direction,
    /// From different senders.
    pub(crate) headers: Vec<SignedHeader>,
}

impl HeadersJob {
    pub(super) fn run(self) -> StepResult {
        let Self { keys, layer, direction, headers } = self;
        let key_of =
            |header: &SignedHeader| keys.get(header.claimed().sender.position()).copied().flatten();
        let lists: Vec<_> = headers.iter().map(SignedHeader::list).collect();
        let together = lists.iter().zip(&headers).map(|(list, of)| Some((list, key_of(of)?)));
        let all = together.collect::<Option<Vec<_>>>().is_some_and(|all| verify_together(&all));
        let signed = headers.iter().map(|header| {
            let key = key_of(header).map(|key| IdentityKey(key.to_bytes()));
            let alone = || key.is_some_and(|key| header.verify(&key).is_ok());
            (header.claimed().sender, all || alone())
        });
        let signed = signed.collect();
        StepResult::Checked(CheckedHeaders { layer, direction, signed })
    }
}
