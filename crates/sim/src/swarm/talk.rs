//! Conversations of a network's users, and what each message came to.

use std::collections::VecDeque;

use antiphon_client_core::{ConversationId, ConversationSecret, Event, Opening, Role, Start};

use crate::Network;
use crate::party::Party;

/// Where a conversation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its ends open it as soon as they are there.
    Opening,
    Open,
    /// One end has begun anew and knows nothing of it: the other one closes.
    Ending,
}

/// Two users who talk, however often one of them has to begin anew.
#[derive(Debug)]
pub(super) struct Talk {
    number: usize,
    ends: [usize; 2],
    stage: Stage,
    /// Conversations that they have had.
    lives: u8,
    ids: [Option<ConversationId>; 2],
    /// Messages that each end has sent in this life, and the number of them that have come.
    sent: [Vec<Vec<u8>>; 2],
    arrived: [usize; 2],
    /// Messages that each end has still to send.
    pending: [VecDeque<Vec<u8>>; 2],
}

impl Talk {
    pub(super) fn new(number: usize, a: usize, b: usize) -> Self {
        Self {
            number,
            ends: [a, b],
            stage: Stage::Opening,
            lives: 0,
            ids: [None; 2],
            sent: Default::default(),
            arrived: [0; 2],
            pending: Default::default(),
        }
    }

    /// Returns `true` once every message of both ends has come.
    pub(super) fn is_done(&self) -> bool {
        (0..2).all(|end| self.pending[end].is_empty() && self.arrived[end] == self.sent[end].len())
    }

    /// The other end of this conversation, if `client` is one of them.
    pub(super) fn partner_of(&self, client: usize) -> Option<usize> {
        let end = self.end_of(client)?;
        Some(self.ends[1 - end])
    }

    fn end_of(&self, client: usize) -> Option<usize> {
        self.ends.iter().position(|end| *end == client)
    }

    /// A user says something.
    pub(super) fn say(&mut self, network: &mut Network, end: usize, message: Vec<u8>) {
        self.pending[end].push_back(message);
        self.flush(network);
    }

    fn flush(&mut self, network: &mut Network) {
        if self.stage != Stage::Open {
            return;
        }
        for end in 0..2 {
            let Some(id) = self.ids[end].filter(|_| network.is_up(Party::Client(self.ends[end])))
            else {
                continue;
            };
            for message in self.pending[end].drain(..) {
                let client = network.client(self.ends[end]);
                client.send(id, message.clone()).expect("an open conversation takes messages");
                self.sent[end].push(message);
            }
        }
    }

    /// A client has begun anew, and its conversations are gone.
    pub(super) fn restarted(&mut self, client: usize) {
        if let Some(end) = self.end_of(client) {
            self.ids[end] = None;
            self.stage = Stage::Ending;
        }
    }

    /// Does what is next to do.
    pub(super) fn turn(&mut self, network: &mut Network) {
        match self.stage {
            Stage::Opening => self.open(network),
            Stage::Open => {}
            Stage::Ending => self.end(network),
        }
        self.flush(network);
    }

    fn open(&mut self, network: &mut Network) {
        for (end, role) in [(0, Role::First), (1, Role::Second)] {
            if self.ids[end].is_some() || !network.is_up(Party::Client(self.ends[end])) {
                continue;
            }
            let mut secret = [7; 32];
            secret[..2].copy_from_slice(&[self.number as u8, self.lives]);
            let opening = Opening::new(ConversationSecret(secret), role, Start::Dense);
            self.ids[end] = network.client(self.ends[end]).open_conversation(&opening).ok();
        }
        if self.ids.iter().all(Option::is_some) {
            self.stage = Stage::Open;
        }
    }

    fn end(&mut self, network: &mut Network) {
        for end in 0..2 {
            if let Some(id) = self.ids[end].filter(|_| network.is_up(Party::Client(self.ends[end])))
            {
                network.client(self.ends[end]).close_conversation(id);
            }
        }
        if self.ids == [None; 2] {
            // What had not come is said once more in the next life, in its old order.
            for end in 0..2 {
                let lost: Vec<_> = self.sent[end].drain(self.arrived[end]..).collect();
                lost.into_iter().rev().for_each(|message| self.pending[end].push_front(message));
                self.sent[end].clear();
                self.arrived[end] = 0;
            }
            self.lives += 1;
            self.stage = Stage::Opening;
        }
    }

    /// The users know that both are there now.
    pub(super) fn meet_now(&self, network: &mut Network) {
        for (client, id) in self.ends.iter().zip(self.ids) {
            if let Some(id) = id.filter(|_| network.is_up(Party::Client(*client))) {
                network.client(*client).meet_now(id);
            }
        }
    }

    /// An end is told something. Returns whether it was a message.
    pub(super) fn told(&mut self, client: usize, event: &Event) -> Result<bool, String> {
        let Some(end) = self.end_of(client) else { return Ok(false) };
        let ours = |id: &ConversationId| self.ids[end] == Some(*id);
        match event {
            Event::Received { conversation, message } if ours(conversation) => {
                let from = 1 - end;
                // Messages come once each and in order, whatever was lost on the way.
                if self.sent[from].get(self.arrived[from]) != Some(message) {
                    let known = self.sent[from].iter().position(|sent| sent == message);
                    return Err(format!(
                        "client {client} received message {known:?} where {} was next",
                        self.arrived[from]
                    ));
                }
                self.arrived[from] += 1;
                Ok(true)
            }
            Event::Closed { conversation } if ours(conversation) => {
                self.ids[end] = None;
                self.stage = Stage::Ending;
                Ok(false)
            }
            Event::PartnerFailed { conversation, error } if ours(conversation) => {
                Err(format!("client {client} is told that its honest partner failed: {error}"))
            }
            Event::Restarted { conversation } if ours(conversation) => {
                Err(format!("client {client} is told of a restart that was not in this secret"))
            }
            _ => Ok(false),
        }
    }
}
