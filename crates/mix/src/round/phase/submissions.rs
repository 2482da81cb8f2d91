//! Clients' onions, and this shard's noise, until the gateway sends them to layer 1.

use antiphon_wire::{Announcement, Layer, Reason, Timestamp};

use crate::ClientId;
use crate::beats::LeftOnions;
use crate::noise::NoiseBatch;
use crate::round::arriving::Arriving;
use crate::round::cx::{Cx, Shared};
use crate::round::deadlines::Deadlines;
use crate::round::phase::{Leaving, Own, Phase, Undecided};
use crate::work::Departing;

/// A round that peers or noise have begun, and the coordinator has not opened.
#[derive(Debug)]
pub(in crate::round) struct Early {
    pub(super) first: Arriving,
    pub(super) undecided: Undecided,
    noise: Option<NoiseBatch>,
}

/// An open round that takes in clients' onions.
#[derive(Debug)]
pub(in crate::round) struct Submitting {
    pub(super) deadlines: Deadlines,
    /// The other gateways may be ahead.
    pub(super) first: Arriving,
    pub(super) undecided: Undecided,
    /// This shard's noise, unless it is still being built.
    noise: Option<NoiseBatch>,
}

impl Early {
    pub(in crate::round) fn new(first: Arriving, undecided: Undecided) -> Self {
        Self { first, undecided, noise: None }
    }

    /// The coordinator opens the round. It waits for the onions of those `awaited`, but for `wait_ms`
    /// at most; those that sleep have `left` theirs. What peers have said before counts from now on.
    pub(in crate::round) fn open(
        self,
        cx: &mut Cx<'_>,
        announcement: Announcement,
        (awaited, wait_ms): (Vec<ClientId>, u64),
        left: Vec<LeftOnions>,
    ) -> Phase {
        let epoch = &cx.context.epoch;
        let deadlines = Deadlines::new(cx.now, announcement, *epoch.parameters(), epoch.geometry());
        cx.shared.statements.open(&announcement);
        cx.shared.tracer.opened();
        cx.shared.submissions.expect(awaited, cx.now.plus_ms(wait_ms));
        take_left(cx, left);
        let Self { first, undecided, noise } = self;
        Phase::Submitting(Submitting { deadlines, first, undecided, noise }).heed(cx)
    }

    pub(in crate::round) fn has_noise(&self) -> bool {
        self.noise.is_some()
    }

    pub(in crate::round) fn add_noise(&mut self, noise: NoiseBatch) {
        self.noise = Some(noise);
    }
}

/// Hands in the onions of clients that sleep. What cannot be taken is lost to its client, as it would be over a link.
fn take_left(cx: &mut Cx<'_>, left: Vec<LeftOnions>) {
    let epoch = &cx.context.epoch;
    let (geometry, each) = (epoch.geometry(), epoch.onions_per_client(cx.round));
    let (shards, most) = (cx.context.shards(), cx.limits.submissions);
    for LeftOnions { client, ticket, onions } in left {
        let submissions = &mut cx.shared.submissions;
        let _ = submissions.take((client, ticket), &onions, geometry, each, shards, most);
    }
}

impl Submitting {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let over = cx.now >= self.deadlines.submissions();
        if !over && !cx.shared.submissions.is_complete(cx.now) {
            return Phase::Submitting(self);
        }
        let Self { deadlines, first, undecided, noise } = self;
        let Some(noise) = noise else {
            // Others wait for this shard's batches until then, so it may wait for its noise as long.
            let late = cx.now >= deadlines.batches(Layer::FIRST);
            let phase = Phase::Submitting(Self { deadlines, first, undecided, noise: None });
            return if late { phase.withhold(cx, Reason::NotPrepared) } else { phase };
        };
        let submissions = &mut cx.shared.submissions;
        cx.outputs.missed = submissions.missing();
        cx.shared.counts.user_onions = submissions.onions() as u32;
        cx.shared.counts.noise_onions = noise.entries.len() as u32;
        cx.shared.tracer.noise_took(noise.took);
        let entries = submissions.take_entries();
        let NoiseBatch { entries: noise_entries, onions: noise, checked, canaries, boxed, .. } =
            noise;
        cx.shared.canaries = canaries;
        cx.outputs.boxed = Some(boxed).filter(|boxed| !boxed.is_empty());
        let own = Own::new(checked, cx.context.shards());
        cx.depart(Departing::Gateway { entries, noise_entries, noise });
        Phase::Leaving(Leaving { deadlines, next: first, undecided, own })
    }

    pub(super) fn deadline(&self, shared: &Shared) -> Timestamp {
        if self.noise.is_some() {
            shared.submissions.awaited_until().min(self.deadlines.submissions())
        } else {
            self.deadlines.batches(Layer::FIRST)
        }
    }

    /// For how many milliseconds clients may still hand in onions.
    pub(in crate::round) fn open_for_ms(&self, now: Timestamp) -> Option<u32> {
        // Both are at most the epoch's u32 of milliseconds apart.
        Some(self.closes().ms_since(now) as u32).filter(|&left| left > 0)
    }

    /// The time from which on clients may hand in no more.
    pub(in crate::round) fn closes(&self) -> Timestamp {
        self.deadlines.submissions()
    }

    pub(in crate::round) fn has_noise(&self) -> bool {
        self.noise.is_some()
    }

    pub(in crate::round) fn add_noise(&mut self, noise: NoiseBatch) {
        self.noise = Some(noise);
    }
}
