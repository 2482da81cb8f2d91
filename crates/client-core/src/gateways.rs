//! The gateways that a client goes through, and the choice between them.

mod conduct;
#[cfg(test)]
mod tests;
mod turn;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, IdentityKey, Timestamp};
use rand::CryptoRng;

use crate::Event;
use conduct::Conduct;
pub use conduct::GatewayFault;

/// Draws tried for a gateway other than the first: enough, unless the first has nearly all weight.
const TRIES: usize = 64;

/// Epochs whose draws are kept, so that none is drawn for twice: as many as a client holds documents of.
const MOST_EPOCHS: usize = 4;

/// A client's gateways: a new one for every epoch, whatever happened and whoever talks, and at most
/// one other in it, should the first be lost.
///
/// The operator is drawn by path weight and one of its shards evenly, as hops are, so an operator
/// gets no more of this by running many shards. Whoever can make clients lose their gateways, by
/// cutting links or attacking honest shards, has two draws an epoch and no more: from then on a
/// client goes back and forth between the two until the next epoch.
///
/// A gateway is left for what anyone on the link sees as well, and never for what replies hold. The
/// policy is told of links, openings and the client's events, and says when that is enough.
#[derive(Clone, Debug, Default)]
pub struct GatewayPolicy {
    pinned: Option<IdentityKey>,
    /// The epoch whose gateway is in use.
    epoch: Epoch,
    /// By rising epoch.
    drawn: Vec<Drawn>,
    conduct: Conduct,
}

/// The gateways that were drawn for an epoch.
#[derive(Clone, Debug, Default)]
struct Drawn {
    epoch: Epoch,
    gateways: [Option<IdentityKey>; 2],
    /// `true` if the second of them is to be used.
    second: bool,
}

impl Drawn {
    /// The one to use: drawn when it is first asked for.
    fn gateway(&mut self, epoch: &VerifiedEpoch, rng: &mut impl CryptoRng) -> IdentityKey {
        let mut draw = || epoch.shards()[epoch.paths().draw_hop(rng).position()].identity;
        let [first, second] = &mut self.gateways;
        let first = *first.get_or_insert_with(&mut draw);
        if !self.second {
            return first;
        }
        *second.get_or_insert_with(|| {
            let mut others = (0..TRIES).map(|_| draw());
            // All weight may be with the first gateway's operator.
            others.find(|other| *other != first).unwrap_or(first)
        })
    }
}

impl GatewayPolicy {
    /// Always `gateway`, and no other.
    pub fn pinned(gateway: IdentityKey) -> Self {
        Self { pinned: Some(gateway), ..Self::default() }
    }

    /// The one that was used in `epoch` before a restart: whoever starts again does not draw again.
    pub fn resumed(epoch: Epoch, gateway: IdentityKey) -> Self {
        let drawn = Drawn { epoch, gateways: [Some(gateway), None], second: false };
        Self { epoch, drawn: vec![drawn], ..Self::default() }
    }

    /// The gateway that the client always uses, if it has one.
    pub fn pin(&self) -> Option<IdentityKey> {
        self.pinned
    }

    /// The gateway to use in `epoch`, which is in use from here on: drawn when it is first asked for. `None` if the
    /// epoch lacks the one that the client always uses.
    pub fn gateway(
        &mut self,
        epoch: &VerifiedEpoch,
        rng: &mut impl CryptoRng,
    ) -> Option<IdentityKey> {
        self.epoch = epoch.epoch();
        self.following(epoch, rng)
    }

    /// The gateway that is to be used in `epoch`, while that of another one still is: the same that
    /// [`gateway`](Self::gateway) names when its time has come.
    pub fn following(
        &mut self,
        epoch: &VerifiedEpoch,
        rng: &mut impl CryptoRng,
    ) -> Option<IdentityKey> {
        if let Some(pinned) = self.pinned {
            return epoch.index_of(&pinned).map(|_| pinned);
        }
        let position = self.drawn.partition_point(|drawn| drawn.epoch < epoch.epoch());
        if self.drawn.get(position).is_none_or(|drawn| drawn.epoch != epoch.epoch()) {
            self.drawn.insert(position, Drawn { epoch: epoch.epoch(), ..Drawn::default() });
        }
        let gateway = self.drawn[position].gateway(epoch, rng);
        if self.drawn.len() > MOST_EPOCHS {
            self.drawn.remove(0);
        }
        Some(gateway)
    }

    /// Takes note that the gateway of `epoch` is in use from here on.
    pub fn turned(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// Takes note that a link to `gateway` is up, for rounds that open every `interval_ms`.
    pub fn linked(&mut self, gateway: IdentityKey, now: Timestamp, interval_ms: u32) {
        self.conduct.linked(gateway, now, interval_ms);
    }

    /// Takes note that the gateway opened a round of `epoch`, of those that open every `interval_ms`.
    /// Returns `true` if this is the first of an epoch there: the time to [turn](Self::turns_at) from it is to be fixed
    /// then, since rounds may open later than the document says.
    pub fn opened(&mut self, epoch: Epoch, now: Timestamp, interval_ms: u32) -> bool {
        self.conduct.opened(epoch, now, interval_ms)
    }

    /// Takes note of an event of the client's machine.
    pub fn heed(&mut self, event: &Event) {
        self.conduct.heed(event);
    }

    /// Reason to leave the gateway in use, which is [lost](Self::lost) then. A client with one gateway has no
    /// other to turn to from one that brings nothing.
    pub fn fault(&self, now: Timestamp) -> Option<GatewayFault> {
        let fault = self.conduct.fault(now)?;
        (fault != GatewayFault::Silent || self.pinned.is_none()).then_some(fault)
    }

    /// Time at which the gateway in use is left if it opens no round before.
    pub fn quiet_at(&self) -> Option<Timestamp> {
        self.conduct.quiet_at()
    }

    /// Takes note that the link to the gateway broke, through nobody's fault that can be proven. Returns
    /// `true` if the same one is to be dialled again; if not, it is lost.
    pub fn link_broke(&mut self) -> bool {
        let again = self.conduct.bears_a_break();
        if !again {
            self.lost();
        }
        again
    }

    /// Takes note that the gateway in use cannot be reached, broke the protocol, or is at
    /// [fault](Self::fault): the other one of the epoch's two is used from now on.
    pub fn lost(&mut self) {
        self.lost_in(self.epoch);
        self.conduct = Conduct::default();
    }

    /// Takes note that the gateway [to be used](Self::following) in `epoch` cannot be reached, or broke the
    /// protocol: the other one of that epoch's two is to be used.
    pub fn lost_in(&mut self, epoch: Epoch) {
        if let Some(drawn) = self.drawn.iter_mut().find(|drawn| drawn.epoch == epoch) {
            drawn.second = !drawn.second;
        }
    }
}
