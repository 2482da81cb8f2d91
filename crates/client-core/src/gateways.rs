//! Which gateways a client goes through.

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, IdentityKey};
use rand::CryptoRng;

#[cfg(test)]
mod tests;

/// Draws tried for a gateway other than the first: enough, unless the first has nearly all weight.
const TRIES: usize = 64;

/// A client's gateways: a new one for every epoch, whatever happened and whoever talks, and at most
/// one other in it, should the first be lost.
///
/// The operator is drawn by path weight and one of its shards evenly, as hops are, so an operator
/// gets no more of this by running many shards. Whoever can make clients lose their gateways, by
/// cutting links or attacking honest shards, has two draws an epoch and no more: from then on a
/// client goes back and forth between the two until the next epoch.
#[derive(Clone, Debug, Default)]
pub struct GatewayPolicy {
    pinned: Option<IdentityKey>,
    epoch: Epoch,
    drawn: [Option<IdentityKey>; 2],
    /// Whether the second of them is to be used.
    second: bool,
}

impl GatewayPolicy {
    /// Always `gateway`, and no other.
    pub fn pinned(gateway: IdentityKey) -> Self {
        Self { pinned: Some(gateway), ..Self::default() }
    }

    /// The gateway that the client always uses, if it has one.
    pub fn pin(&self) -> Option<IdentityKey> {
        self.pinned
    }

    /// The gateway to use in `epoch`: drawn when it is first asked for. `None` if the epoch lacks the
    /// one that the client always uses.
    pub fn gateway(
        &mut self,
        epoch: &VerifiedEpoch,
        rng: &mut impl CryptoRng,
    ) -> Option<IdentityKey> {
        if let Some(pinned) = self.pinned {
            return epoch.index_of(&pinned).map(|_| pinned);
        }
        if self.epoch != epoch.epoch() {
            *self = Self { epoch: epoch.epoch(), ..Self::default() };
        }
        let mut draw = || epoch.shards()[epoch.paths().draw_hop(rng).position()].identity;
        let [first, second] = &mut self.drawn;
        let first = *first.get_or_insert_with(&mut draw);
        if !self.second {
            return Some(first);
        }
        Some(*second.get_or_insert_with(|| {
            let mut others = (0..TRIES).map(|_| draw());
            others.find(|other| *other != first).unwrap_or(first)
        }))
    }

    /// The gateway in use cannot be reached, or brings nothing that looks like a gateway's part. What
    /// replies hold must never be a reason.
    pub fn lost(&mut self) {
        self.second = !self.second;
    }
}
