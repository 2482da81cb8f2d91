//! The shard as a gateway: who is linked, what they are told, what is taken from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Blob, FromClient, PROTOCOL_VERSION, Round, Timestamp, ToClient};

use crate::io::{ClientId, Output};
use crate::shard::Shard;

/// The clients linked to this shard, with how many messages each has sent in the running round.
#[derive(Debug, Default)]
pub(super) struct Clients {
    messages: BTreeMap<ClientId, u32>,
}

impl Clients {
    pub(super) fn linked(&self) -> Vec<ClientId> {
        self.messages.keys().copied().collect()
    }
}

impl Shard {
    fn tell(&mut self, to: ClientId, message: ToClient) {
        self.outputs.push_back(Output::Client { to, message: Arc::new(message) });
    }

    fn tell_all_clients(&mut self, message: ToClient) {
        let message = Arc::new(message);
        for &to in self.clients.messages.keys() {
            self.outputs.push_back(Output::Client { to, message: Arc::clone(&message) });
        }
    }

    pub(super) fn pass_on_document(&mut self, epoch: &VerifiedEpoch) {
        self.tell_all_clients(ToClient::Document { document: epoch.signed().clone() });
    }

    pub(super) fn client_joined(&mut self, now: Timestamp, client: ClientId) {
        self.clients.messages.insert(client, 0);
        let served = self.epochs.values().map(|keys| &keys.context.epoch);
        let documents: Vec<_> =
            served.chain(&self.elsewhere).map(|epoch| epoch.signed().clone()).collect();
        for document in documents {
            self.tell(client, ToClient::Document { document });
        }
        // A client that joins while a round is open can still take part.
        for round in self.running() {
            if let Some(machine) = self.rounds.get_mut(&round) {
                machine.client_joined(client);
            }
            if let Some(opened) = self.opened_message(now, round) {
                self.tell(client, opened);
            }
        }
    }

    fn opened_message(&self, now: Timestamp, round: Round) -> Option<ToClient> {
        let machine = self.rounds.get(&round)?;
        let closes_in_ms = machine.open_for_ms(now)?;
        Some(ToClient::Opened { epoch: machine.context().epoch.epoch(), round, closes_in_ms })
    }

    pub(super) fn announce_to_clients(&mut self, now: Timestamp, round: Round) {
        self.clients.messages.values_mut().for_each(|messages| *messages = 0);
        if let Some(message) = self.opened_message(now, round) {
            self.tell_all_clients(message);
        }
    }

    pub(super) fn client(&mut self, now: Timestamp, from: ClientId, message: FromClient) {
        let most = self.config.limits.client_messages_per_round;
        let Some(messages) = self.clients.messages.get_mut(&from) else { return };
        *messages += 1;
        if *messages > most {
            return self.drop_client(now, from, "it sends more messages than a round needs");
        }
        match message {
            FromClient::Hello { version } => {
                if version != PROTOCOL_VERSION {
                    self.drop_client(now, from, "it speaks another version of the protocol");
                }
            }
            FromClient::Submit { epoch, round, onions } => {
                let mut result = Err(crate::round::SubmitError::Closed);
                self.with_round(now, round, |machine, effects| {
                    if machine.context().epoch.epoch() == epoch {
                        result = machine.submit(now, from, &onions.0, effects);
                    }
                });
                if let Err(error) = result {
                    let reason = Blob(error.to_string().into_bytes());
                    self.tell(from, ToClient::Refused { epoch, round, reason });
                }
            }
        }
    }

    fn drop_client(&mut self, now: Timestamp, client: ClientId, reason: &'static str) {
        self.client_left(now, client);
        self.outputs.push_back(Output::DropClient { client, reason });
    }

    pub(super) fn client_left(&mut self, now: Timestamp, client: ClientId) {
        self.clients.messages.remove(&client);
        for round in self.running() {
            self.with_round(now, round, |machine, effects| {
                machine.client_left(now, client, effects);
            });
        }
    }
}
