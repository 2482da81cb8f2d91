//! The rounds of a shard: noise built ahead, machines started, messages handed to them.

use std::sync::Arc;

use antiphon_wire::{
    Announcement, Epoch, IdentityKey, MOST_ROUNDS_IN_FLIGHT, PeerMessage, Round, ShardIndex,
    Timestamp, ToCoordinator,
};

use crate::io::{BatchKey, ClientId, Notice, Output};
use crate::noise::{NoiseBatch, NoiseJob};
use crate::round::{Outputs, RoundMachine};
use crate::shard::Shard;
use crate::work::{Job, UnsignedHeader, Work};

/// Rounds by which a peer may be ahead of the last one that was opened here.
const ROUNDS_AHEAD: u64 = MOST_ROUNDS_IN_FLIGHT as u64;

/// Rounds open at once that a shard takes part in. A coordinator that was restarted opens new ones
/// while those of before are under way.
const MOST_OPEN: usize = 2 * MOST_ROUNDS_IN_FLIGHT;

impl Shard {
    /// Rounds that have not ended.
    pub(super) fn running(&self) -> Vec<Round> {
        self.rounds.iter().filter(|(_, r)| !r.has_ended()).map(|(round, _)| *round).collect()
    }

    /// Number of rounds that are open and have not ended.
    fn open_rounds(&self) -> usize {
        self.rounds.values().filter(|round| round.is_open() && !round.has_ended()).count()
    }

    /// Runs `act` on a round's machine and carries out what it asks for. Does nothing for a round that
    /// was never begun, or is forgotten.
    pub(super) fn with_round(
        &mut self,
        now: Timestamp,
        round: Round,
        act: impl FnOnce(&mut RoundMachine, &mut Outputs),
    ) {
        let Some(machine) = self.rounds.get_mut(&round) else { return };
        let mut outputs = Outputs::default();
        machine.set_clock(self.clock);
        act(machine, &mut outputs);
        let epoch = machine.context().epoch.epoch();
        let trace = outputs.ended.map(|_| machine.trace());
        self.outputs.append(&mut outputs.queue);
        outputs.missed.iter().for_each(|client| self.miss(*client, round));
        if let Some(circuits) = outputs.circuits {
            self.begin_beats(now, circuits);
        }
        if let Some(boxed) = outputs.boxed {
            self.boxes.expect(round, boxed);
        }
        for published in outputs.published {
            self.own_box(now, published);
        }
        if let Some((outcome, counts, took_ms)) = outputs.ended {
            self.beats.sleepers.answered(round, &outputs.answers);
            self.kept.keep(now, round, outputs.answers);
            self.boxes_due(epoch, round, outcome);
            self.say(ToCoordinator::Ended { epoch, round, outcome, counts });
            self.notice(Notice::RoundEnded { round, outcome, counts, took_ms });
            self.outputs.extend(trace.map(|trace| Output::Notice(Notice::RoundTraced(trace))));
            // Those that ended last can still answer questions for statements: others may be as far
            // behind as rounds overlap.
            let kept = Round(round.0.saturating_sub(self.open_rounds() as u64));
            self.rounds.retain(|number, machine| *number >= kept || !machine.has_ended());
            self.expire(now);
        }
    }

    /// A round goes on without a client's onions: the others do not wait for it either.
    fn miss(&mut self, client: ClientId, round: Round) {
        if self.clients.missed(client, round) {
            self.rounds.values_mut().for_each(|machine| machine.forget_client(client));
        }
    }

    /// Makes sure that the machine of a round, which `epoch` serves, is there. The seal key can be taken
    /// once only, so a round is served once, and under one document.
    fn start(&mut self, now: Timestamp, epoch: Epoch, round: Round) -> bool {
        if self.rounds.contains_key(&round) {
            return true;
        }
        let rng = self.entropy.generator();
        let Some(keys) = self.epochs.get_mut(&epoch) else {
            unreachable!("epoch {epoch} serves round {round}");
        };
        // A round is served once: without its seal key, it has been.
        let Some(seal) = keys.take_seal(round) else { return false };
        let context = Arc::clone(&keys.context);
        let limits = self.config.limits;
        let pool = self.pool.clone();
        let Some(machine) = RoundMachine::new(context, round, seal, limits, pool, rng) else {
            return false;
        };
        self.rounds.insert(round, machine);
        // Noise of another epoch was built with other keys.
        if let Some((of, noise)) = self.noise.remove(&round)
            && of == epoch
        {
            self.with_round(now, round, |machine, outputs| machine.add_noise(now, noise, outputs));
        }
        self.prepare(now, round);
        true
    }

    /// The coordinator opens a round.
    ///
    /// Long, as its steps hold in this order alone: what is kept, what is on disk, and then what others are
    /// told.
    pub(super) fn open(&mut self, now: Timestamp, announcement: Announcement) {
        let Announcement { epoch, round, .. } = announcement;
        let expired = self
            .epochs
            .get(&epoch)
            .is_none_or(|keys| now >= keys.context.epoch.document().expires_at);
        // Peers may have begun the round under the epoch that this one takes it over from.
        self.rounds.retain(|number, machine| {
            *number != round || machine.is_open() || machine.context().epoch.epoch() == epoch
        });
        let over = round <= self.opened || self.epoch_of(round) != Some(epoch);
        if expired
            || over
            || !self.is_as_agreed(now, &announcement)
            || self.open_rounds() >= MOST_OPEN
            || !self.start(now, epoch, round)
        {
            return;
        }
        self.opened = round;
        self.opened_at = Some(now);
        // Only now: a peer's word must not keep this shard from signing for the round again.
        if let Some(state) = self.state.serve(round) {
            self.state = state;
            self.outputs.push_back(Output::Persist(state));
        }
        // Rounds that were passed over will not be opened any more.
        self.rounds.retain(|number, machine| *number >= round || machine.is_open());
        self.noise = self.noise.split_off(&round);
        self.building = self.building.split_off(&round);
        for keys in self.epochs.values_mut() {
            keys.erase_before(round);
        }
        let Some(machine) = self.rounds.get(&round) else {
            unreachable!("round {round} has just been started");
        };
        let submit_ms = machine.context().epoch.parameters().submit_ms;
        let is_given_up = machine.is_given_up();
        // Told before anything is waited for: where nobody is, the round takes no more onions at once,
        // but whoever comes too late is waited for in the next. A round that somebody has withheld a
        // key for already will be aborted: nobody is asked for onions.
        if !is_given_up {
            self.announce_to_clients(now, epoch, round, submit_ms);
        }
        let (awaited, wait_ms) = self.clients.expect(epoch, submit_ms.into());
        let left = self.beats.sleepers.hand_in(epoch, round);
        self.with_round(now, round, |machine, outputs| {
            machine.open(now, announcement, (awaited, wait_ms), left, outputs);
        });
        self.prepare_from(now, round.next());
        self.say(ToCoordinator::Clock { now });
    }

    /// Returns `true` if a round is announced with its epoch's beats, and begins them before they could all be over:
    /// what is kept for them is bounded by that.
    fn is_as_agreed(&mut self, now: Timestamp, announcement: &Announcement) -> bool {
        let Announcement { epoch, round, first_beat, beats } = *announcement;
        let Some(keys) = self.epochs.get(&epoch) else { return false };
        let expected = keys.context.epoch.announce(round, first_beat);
        let agreed = expected == *announcement && first_beat <= now.plus_ms(beats.span_ms());
        if !agreed {
            self.notice(Notice::AnnouncementRefused { round });
        }
        agreed
    }

    /// Has the noise for `first` and the rounds after it built: for as many as are open, as they
    /// follow each other about as fast.
    pub(super) fn prepare_from(&mut self, now: Timestamp, first: Round) {
        let mut round = first;
        for _ in 0..self.open_rounds().clamp(1, MOST_ROUNDS_IN_FLIGHT) {
            self.prepare(now, round);
            round = round.next();
        }
    }

    /// Forgets rounds that peers began under an epoch that a newer one takes them over from.
    pub(super) fn drop_taken_over(&mut self) {
        let served: Vec<_> =
            self.rounds.keys().map(|round| (*round, self.epoch_of(*round))).collect();
        for (round, epoch) in served {
            self.rounds.retain(|number, machine| {
                *number != round
                    || machine.is_open()
                    || epoch == Some(machine.context().epoch.epoch())
            });
        }
    }

    /// Tells a coordinator that was away what is ready.
    pub(super) fn repeat_ready(&mut self) {
        let waits = |(round, machine): (&Round, &RoundMachine)| {
            let is_ready = !machine.is_open() && machine.has_noise();
            is_ready.then(|| (machine.context().epoch.epoch(), *round))
        };
        let begun = self.rounds.iter().filter_map(waits);
        let built = self.noise.iter().map(|(round, (epoch, _))| (*epoch, *round));
        let ready: Vec<_> = built.chain(begun).filter(|(_, round)| *round > self.opened).collect();
        for (epoch, round) in ready {
            self.say(ToCoordinator::Ready { epoch, round });
        }
    }

    /// Has the noise for `round` built, unless it is there or on its way, or no epoch serves the round.
    pub(super) fn prepare(&mut self, now: Timestamp, round: Round) {
        let Some(epoch) = self.epoch_of(round) else { return };
        // Built, being built, or kept until the round starts.
        if self.rounds.get(&round).is_some_and(RoundMachine::has_noise)
            || self.building.get(&round) == Some(&epoch)
            || self.noise.get(&round).is_some_and(|(of, _)| *of == epoch)
        {
            return;
        }
        let rng = self.entropy.generator();
        let Some(keys) = self.epochs.get(&epoch) else {
            unreachable!("epoch {epoch} serves round {round}");
        };
        if now >= keys.context.epoch.document().expires_at {
            return;
        }
        let (of, maker) = (Arc::clone(&keys.context.epoch), Arc::clone(&keys.context.noise));
        self.building.insert(round, epoch);
        self.build_noise(Box::new(NoiseJob::new(of, maker, round, rng)));
    }

    /// Goes on with building noise, if it is still wanted.
    pub(super) fn build_noise(&mut self, job: Box<NoiseJob>) {
        if self.building.get(&job.round()) == Some(&job.epoch()) {
            self.outputs.push_back(Output::Work(Work(Job::Noise(job))));
        }
    }

    pub(super) fn noise_built(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        round: Round,
        noise: Option<NoiseBatch>,
    ) {
        if self.building.get(&round) == Some(&epoch) {
            self.building.remove(&round);
        }
        // A newer epoch may have taken the round over meanwhile.
        let (Some(noise), true) = (noise, self.epoch_of(round) == Some(epoch)) else { return };
        // Even if a peer has begun the round: the coordinator waits for this word.
        if round > self.opened {
            self.say(ToCoordinator::Ready { epoch, round });
        }
        if self.rounds.contains_key(&round) {
            self.with_round(now, round, |machine, outputs| machine.add_noise(now, noise, outputs));
        } else if round > self.opened {
            self.noise.insert(round, (epoch, noise));
        }
    }

    /// Another shard's message.
    pub(super) fn peer(&mut self, now: Timestamp, from: IdentityKey, message: PeerMessage) {
        let Some(message) = self.peer_about_proposal(now, from, message) else { return };
        if let PeerMessage::Cells { batch } = message {
            return self.cell_batch(now, &from, &batch);
        }
        if let PeerMessage::Box { published } = message {
            return self.peer_box(now, from, published);
        }
        // An empty list of statements is about nothing.
        let Some((epoch, round)) = message.round() else { return };
        let Some(from) = self.find_peer(now, from, epoch, round) else { return };
        self.with_round(now, round, |machine, outputs| {
            machine.on_peer(now, from, message, outputs);
        });
    }

    /// Reports who sent headers that it has not signed.
    pub(super) fn report_unsigned(&mut self, unsigned: &[UnsignedHeader]) {
        for header in unsigned {
            self.notice(Notice::PeerFault { peer: header.sender, what: header.to_string() });
        }
    }

    /// Part of another shard's batch. Dropped if it is of no round that this shard and the sender serve.
    pub(super) fn chunk(
        &mut self,
        now: Timestamp,
        from: IdentityKey,
        batch: BatchKey,
        bytes: &[u8],
    ) {
        let round = batch.round;
        let Some(machine) = self.rounds.get(&round) else { return };
        let Some(from) = machine.context().epoch.index_of(&from) else { return };
        self.with_round(now, round, |machine, outputs| {
            machine.on_chunk(now, from, batch, bytes, outputs);
        });
    }

    /// The sender's index in the round's epoch. Starts the round if the sender is ahead of the
    /// coordinator's word, but not by more than a few rounds.
    fn find_peer(
        &mut self,
        now: Timestamp,
        from: IdentityKey,
        epoch: Epoch,
        round: Round,
    ) -> Option<ShardIndex> {
        if !self.rounds.contains_key(&round) {
            // A peer may hear of a round before this shard does. Nothing else may start rounds.
            let next = self.next_round();
            let near = round >= next && round.0 - next.0 < ROUNDS_AHEAD;
            let listed = self.epochs.get(&epoch)?.context.epoch.index_of(&from).is_some();
            if !near
                || !listed
                || self.epoch_of(round) != Some(epoch)
                || !self.start(now, epoch, round)
            {
                return None;
            }
        }
        let context = self.rounds.get(&round)?.context();
        if context.epoch.epoch() != epoch {
            return None;
        }
        let index = context.epoch.index_of(&from);
        if index.is_none() {
            let what = "sends for an epoch that it is not part of".to_owned();
            self.notice(Notice::PeerFault { peer: from, what });
        }
        index
    }
}
