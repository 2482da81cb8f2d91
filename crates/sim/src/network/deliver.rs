//! Carrying messages between processes, and doing what processes ask for.

use std::sync::Arc;

use antiphon_client_core::{Input as ClientInput, Output as ClientOutput};
use antiphon_coordinator_core::{Input as CoordinatorInput, Output as CoordinatorOutput};
use antiphon_mix::{BatchKey, ClientId, Input as ShardInput, Notice, Output as ShardOutput};
use antiphon_wire::{FromClient, IdentityKey, PeerMessage, Timestamp, ToClient, ToShard};

use super::turn::{Line, round_of};
use super::{Happening, Network, Setup};
use crate::party::{Party, Payload, Sent};

/// Onions per chunk: few, so that simulations exercise batches that arrive in parts.
const CHUNK_ITEMS: usize = 16;

impl Network {
    pub(super) fn schedule(&mut self, at: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    /// Sends a message past the adversary onto its link, if there is one.
    fn send(&mut self, sent: Sent) {
        if let Some(link) = control_link(&sent)
            && self.unlinked.contains(&link)
        {
            return;
        }
        for (_, sent) in self.flaw.on_message(self.now, sent, &self.keys) {
            self.put_on_link(sent);
        }
    }

    fn put_on_link(&mut self, sent: Sent) {
        self.record.observe(self.now, &sent);
        for (extra, sent) in self.adversary.on_message(self.now, sent, &self.keys) {
            let link = (sent.from, sent.to);
            let mut at = self.now.plus_ms(self.setup.link.delay(&mut self.rng) + extra);
            if extra == 0 {
                // Links keep their order, but what the adversary holds back holds up nobody else.
                let last = self.arrivals.entry(link).or_default();
                at = at.max(*last);
                *last = at;
            }
            let life = self.life(&sent);
            self.under_way += 1;
            self.schedule(at, Happening::Arrival(Box::new(sent), life));
        }
    }

    /// The life of the receiver of a message and, between a coordinator and a shard, that of their link.
    fn life(&self, sent: &Sent) -> (u64, u64) {
        let life = match sent.to {
            Party::Coordinator(i) => self.coordinators[i].life,
            Party::Shard(i) => self.shards[i].life,
            Party::Client(i) => self.clients[i].life,
        };
        let link = control_link(sent).and_then(|link| self.links.get(&link));
        (life, link.copied().unwrap_or(0))
    }

    /// Hands a message to whom it is for. Long, as it is one table of kinds.
    pub(super) fn deliver(&mut self, sent: Sent, life: (u64, u64)) {
        if self.life(&sent) != life {
            return;
        }
        self.record.promises.arrived(&sent);
        match (sent.to, sent.payload) {
            (Party::Coordinator(to), Payload::ToCoordinator(message)) => {
                if let Party::Shard(i) = sent.from {
                    let identity = self.identity(i);
                    self.tell_coordinator(to, CoordinatorInput::Message { identity, message });
                }
            }
            (Party::Shard(i), Payload::ToShard(message)) => {
                if let Party::Coordinator(from) = sent.from {
                    self.coordinator_says(from, i, message);
                }
            }
            (Party::Shard(i), Payload::Peer(message)) => {
                if let Some(from) = self.sender(sent.from) {
                    self.tell_shard(i, ShardInput::Peer { from, message });
                }
            }
            (Party::Shard(i), Payload::Batch { header, bytes, item_bytes }) => {
                let Some(from) = self.sender(sent.from) else { return };
                let batch = BatchKey::of(header.claimed());
                let message = PeerMessage::Batch { header };
                self.tell_shard(i, ShardInput::Peer { from, message });
                for chunk in bytes.chunks(CHUNK_ITEMS * item_bytes) {
                    let bytes = chunk.to_vec().into();
                    self.tell_shard(i, ShardInput::PeerChunk { from, batch, bytes });
                }
            }
            (Party::Shard(i), Payload::Cells { batch, bytes }) => {
                let Some(from) = self.sender(sent.from) else { return };
                let message = PeerMessage::Cells { batch };
                self.tell_shard(i, ShardInput::Peer { from, message });
                self.tell_shard(i, ShardInput::PeerCells { from, batch, bytes: bytes.into() });
            }
            (Party::Shard(i), Payload::FromClient(message)) => {
                if let Party::Client(client) = sent.from
                    && matches!(self.line_to(client, i), Some(Line::InUse | Line::Before(_)))
                {
                    let from = ClientId(client as u64);
                    self.tell_shard(i, ShardInput::Client { from, message });
                }
            }
            (Party::Client(i), Payload::ToClient(message)) => {
                let Party::Shard(gateway) = sent.from else { return };
                self.gateway_says(gateway, i, message);
            }
            // Nobody takes a message of another kind.
            _ => {}
        }
    }

    /// Tells a client what one of its gateways says.
    fn gateway_says(&mut self, gateway: usize, client: usize, message: ToClient) {
        match self.line_to(client, gateway) {
            Some(Line::InUse) if self.is_of_another(client, &message) => {}
            Some(Line::InUse) => {
                // The gateway shows its clock just before it opens a round, which a client that left then would lose.
                let is_clock = matches!(message, ToClient::Clock { .. });
                self.tell_client(client, ClientInput::from(message));
                if !is_clock {
                    self.follow_gateway_policy(client);
                }
            }
            Some(Line::Before(through)) => {
                let is_its = round_of(&message).is_some_and(|round| round <= through);
                if is_its && !matches!(message, ToClient::Opened { .. }) {
                    self.tell_client(client, ClientInput::from(message));
                    self.turn_if_due(client);
                }
            }
            Some(Line::Next) => self.heard_ahead(client, message),
            None => {}
        }
    }

    /// A gateway ends its link to a client.
    fn gateway_drops(&mut self, gateway: usize, client: usize) {
        match self.line_to(client, gateway) {
            Some(Line::InUse) => self.tell_client(client, ClientInput::LinkLost),
            Some(Line::Before(_) | Line::Next) => self.line_lost(client, gateway),
            None => {}
        }
    }

    fn sender(&self, party: Party) -> Option<IdentityKey> {
        match party {
            Party::Shard(i) => Some(self.identity(i)),
            _ => None,
        }
    }

    pub(super) fn wake(&mut self, party: Party) {
        match party {
            Party::Coordinator(i) if self.coordinators[i].wake == Some(self.now) => {
                self.coordinators[i].wake = None;
                self.tell_coordinator(i, CoordinatorInput::Tick);
            }
            Party::Shard(i) if self.shards[i].wake == Some(self.now) => {
                self.shards[i].wake = None;
                self.tell_shard(i, ShardInput::Tick);
            }
            Party::Client(i) if self.clients[i].wake == Some(self.now) => {
                self.clients[i].wake = None;
                self.tell_client(i, ClientInput::Tick);
                self.follow_gateway_policy(i);
            }
            // It has asked for another time since.
            _ => {}
        }
    }

    /// Notes when a process wants to be woken, but never twice at one moment without progress.
    fn wake_at(&mut self, party: Party, deadline: Option<Timestamp>) {
        let deadline = deadline.map(|at| self.by_true_time(party, at).max(self.now.plus_ms(1)));
        let wake = match party {
            Party::Coordinator(i) => &mut self.coordinators[i].wake,
            Party::Shard(i) => &mut self.shards[i].wake,
            Party::Client(i) => &mut self.clients[i].wake,
        };
        if *wake != deadline {
            *wake = deadline;
            if let Some(at) = deadline {
                self.schedule(at, Happening::Wake(party));
            }
        }
    }

    /// Tells a shard what a coordinator says. If the shard begins to serve a round by it, the record is told.
    fn coordinator_says(&mut self, from: usize, i: usize, message: ToShard) {
        let before = self.saved_signers[i].served_round;
        let coordinator = Setup::coordinator_identity(from);
        self.tell_shard(i, ShardInput::Coordinator { from: coordinator, message });
        let served = self.saved_signers[i].served_round;
        if served > before {
            self.record.opened.push((self.now, i, served));
            self.record.promises.opened(from, i, served);
        }
    }

    pub(super) fn tell_coordinator(&mut self, i: usize, input: CoordinatorInput) {
        let from = Party::Coordinator(i);
        let now = self.clock(from);
        let Some(coordinator) = &mut self.coordinators[i].running else { return };
        coordinator.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = coordinator.poll() {
            match output {
                // Work takes no virtual time.
                CoordinatorOutput::Work(work) => {
                    coordinator.handle(now, CoordinatorInput::WorkDone(work.run()));
                }
                output => outputs.push(output),
            }
        }
        let deadline = coordinator.next_deadline();
        for output in outputs {
            match output {
                CoordinatorOutput::Persist(state) => self.saved_coordinators[i] = state,
                CoordinatorOutput::Send { to, message } => {
                    if let Some(shard) = self.position(&to) {
                        let payload = Payload::ToShard(Arc::unwrap_or_clone(message));
                        self.send(Sent { from, to: Party::Shard(shard), payload });
                    }
                }
                // Clients get documents from their gateways.
                CoordinatorOutput::Publish(_) | CoordinatorOutput::Work(_) => {}
                CoordinatorOutput::Notice(notice) => {
                    self.record.coordinator.push((self.now, notice));
                }
            }
        }
        self.wake_at(from, deadline);
    }

    pub(super) fn position(&self, identity: &IdentityKey) -> Option<usize> {
        (0..self.setup.shards).find(|&i| self.identity(i) == *identity)
    }

    /// Tells a shard something, and carries out what it says. Long and deep, as it is one table of outputs.
    pub(super) fn tell_shard(&mut self, i: usize, input: ShardInput) {
        let from = Party::Shard(i);
        let now = self.clock(from);
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(shard) = &mut self.shards[i].running else { return };
            shard.handle(now, input);
            let mut outputs = Vec::new();
            while let Some(output) = shard.poll() {
                outputs.push(output);
            }
            for output in outputs {
                match output {
                    ShardOutput::Persist(state) => self.saved_signers[i] = state,
                    // Work takes no virtual time.
                    ShardOutput::Work(work) => inputs.push_back(ShardInput::WorkDone(work.run())),
                    ShardOutput::Coordinator { to, message } => {
                        let mut positions = 0..self.setup.coordinators;
                        if let Some(at) =
                            positions.find(|at| Setup::coordinator_identity(*at) == to)
                        {
                            let payload = Payload::ToCoordinator(message);
                            self.send(Sent { from, to: Party::Coordinator(at), payload });
                        }
                    }
                    ShardOutput::Peer { to, message } => {
                        if let Some(to) = self.position(&to).map(Party::Shard) {
                            self.send(Sent { from, to, payload: Payload::Peer(message) });
                        }
                    }
                    ShardOutput::Batch { to, header, bytes, item_bytes } => {
                        if let Some(to) = self.position(&to).map(Party::Shard) {
                            let bytes = bytes.to_vec();
                            let payload = Payload::Batch { header, bytes, item_bytes };
                            self.send(Sent { from, to, payload });
                        }
                    }
                    ShardOutput::Cells { to, batch, bytes, .. } => {
                        if let Some(to) = self.position(&to).map(Party::Shard) {
                            let payload = Payload::Cells { batch, bytes: bytes.to_vec() };
                            self.send(Sent { from, to, payload });
                        }
                    }
                    // The others are strangers, who do not listen.
                    ShardOutput::Client { to, .. } if to.0 >= self.setup.clients as u64 => {}
                    ShardOutput::Client { to, message } => {
                        let payload = Payload::ToClient(Arc::unwrap_or_clone(message));
                        let to = Party::Client(to.0 as usize);
                        self.send(Sent { from, to, payload });
                    }
                    ShardOutput::DropClient { client, .. }
                        if client.0 >= self.setup.clients as u64 => {}
                    ShardOutput::DropClient { client, reason } => {
                        let note = format!("client dropped: {reason:?}");
                        self.record.shards[i].push((self.now, note));
                        self.gateway_drops(i, client.0 as usize);
                    }
                    ShardOutput::Roster(_) | ShardOutput::Proposed { .. } => {}
                    ShardOutput::Notice(notice) => {
                        if let Notice::RoundEnded { round, outcome, counts, .. } = &notice {
                            self.record.ended.push((self.now, i, *round, *outcome, *counts));
                        }
                        self.record.shards[i].push((self.now, format!("{notice:?}")));
                    }
                }
            }
        }
        let deadline = self.shards[i].running.as_ref().and_then(antiphon_mix::Shard::next_deadline);
        self.wake_at(from, deadline);
    }

    /// Tells a client, and carries out what it asks for. Long, as it is one table of outputs.
    pub(super) fn tell_client(&mut self, i: usize, input: ClientInput) {
        let now = self.clock(Party::Client(i));
        let Some(client) = &mut self.clients[i].running else { return };
        let mut plans_turn = false;
        if let ClientInput::Message(message) = &input
            && let ToClient::Opened { epoch, .. } = **message
        {
            let interval_ms =
                client.newest_epoch().map_or(0, |epoch| epoch.parameters().interval_ms);
            plans_turn = self.policies[i].opened(epoch, now, interval_ms);
        }
        client.handle(now, input);
        let mut outputs = Vec::new();
        while let Some(output) = client.poll() {
            outputs.push(output);
        }
        let deadline = client.next_deadline();
        for output in outputs {
            match output {
                ClientOutput::Persist(checkpoint) => {
                    self.saved_clients[i] = Some(checkpoint);
                    self.record.persisted[i].push((self.record.events[i].len(), checkpoint));
                }
                ClientOutput::Submit { at, epoch, round, ticket, onions } => {
                    let onions = antiphon_wire::Blob(onions);
                    let message = FromClient::Submit { epoch, round, ticket, onions };
                    let link = self.client_links[i];
                    let at = self.by_true_time(Party::Client(i), at).max(self.now);
                    self.schedule(at, Happening::Leaving { client: i, link, message });
                }
                ClientOutput::Cells { at, epoch, round, beat, cells } => {
                    let cells = antiphon_wire::Blob(cells);
                    let message = FromClient::Cells { epoch, round, beat, cells };
                    let link = self.client_links[i];
                    let at = self.by_true_time(Party::Client(i), at).max(self.now);
                    self.schedule(at, Happening::Leaving { client: i, link, message });
                }
                ClientOutput::Leave { at, epoch, round, ticket, onions, cells } => {
                    let (onions, cells) = (antiphon_wire::Blob(onions), antiphon_wire::Blob(cells));
                    let message = FromClient::Leave { epoch, round, ticket, onions, cells };
                    let link = self.client_links[i];
                    let at = self.by_true_time(Party::Client(i), at).max(self.now);
                    self.schedule(at, Happening::Leaving { client: i, link, message });
                }
                ClientOutput::Resume { epoch, round, ticket } => {
                    self.send_to_gateway(i, FromClient::Resume { epoch, round, ticket });
                }
                ClientOutput::AskBoxes { after } => {
                    self.send_to_gateway(i, FromClient::AskBoxes { after });
                }
                ClientOutput::Event(event) => {
                    if let antiphon_client_core::Event::Asleep { until } = event {
                        self.fall_asleep(i, until);
                    }
                    plans_turn |= matches!(event, antiphon_client_core::Event::EpochAdopted { .. });
                    self.policies[i].heed(&event);
                    self.record.events[i].push((self.now, event));
                }
            }
        }
        self.wake_at(Party::Client(i), deadline);
        if plans_turn {
            self.plan_turn(i);
        }
    }

    pub(super) fn send_to_gateway(&mut self, i: usize, message: FromClient) {
        let Some(gateway) = self.gateway_for(i, &message) else { return };
        let to = Party::Shard(gateway);
        self.send(Sent { from: Party::Client(i), to, payload: Payload::FromClient(message) });
    }
}

/// The coordinator and the shard that a message is between, if it is.
fn control_link(sent: &Sent) -> Option<(usize, usize)> {
    match (sent.from, sent.to) {
        (Party::Coordinator(coordinator), Party::Shard(shard))
        | (Party::Shard(shard), Party::Coordinator(coordinator)) => Some((coordinator, shard)),
        _ => None,
    }
}
