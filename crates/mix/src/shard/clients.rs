//! The shard as a gateway: who is linked, what they are told, what is taken from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    BeatParameters, Blob, Digest, Epoch, FromClient, PROTOCOL_VERSION, Round, Timestamp, ToClient,
};

use crate::io::{ClientId, Misconduct, Output};
use crate::round::{RoundMachine, SubmitError};
use crate::shard::Shard;
use crate::shard::kept::MOST_KEPT;
use crate::shard::patience::Patience;

/// Rounds after which a client that hands in nothing is dropped: it takes the place of another.
const IDLE_ROUNDS: u32 = 100;

/// Rounds in a row that a client may miss and still be waited for, where most were missed with it.
const MISSED_TOGETHER: u32 = 2;

/// Rounds that a client which comes back may ask for.
const MOST_QUESTIONS: u32 = MOST_KEPT as u32;

/// The clients linked to this shard.
#[derive(Debug, Default)]
pub(super) struct Clients {
    linked: BTreeMap<ClientId, Linked>,
    /// The beats for which they send cells, which they do when documents and tables are gone as well. `None` until
    /// there is a document: clients of a shard that was started again know more than it does.
    beats: Option<BeatParameters>,
    patience: Patience,
    /// The epoch of the last round that was opened.
    epoch: Option<Epoch>,
    /// They were shown a document since then, which they have to check.
    shown: bool,
}

/// One of them.
#[derive(Debug, Default)]
struct Linked {
    /// Number of messages that it has sent since the last round was opened, or for the time of a round's beats.
    messages: u32,
    /// When they were last counted from zero.
    since: Timestamp,
    /// It has said hello.
    greeted: bool,
    /// It linked itself when an epoch was announced of which no round had opened.
    stands_by: bool,
    /// Rounds wait for its onions: from its hello on, until it misses a round, and again
    /// once it has handed in.
    awaited: bool,
    /// Rounds that it has missed since it handed in; `None` if it never has.
    missed: Option<u32>,
    /// The first round that it was told of at the opening.
    first_told: Option<Round>,
    /// Rounds opened since it has handed in onions.
    idle: u32,
    /// The last round in which the time of its onions counted.
    counted: Round,
    /// It has asked for boxes since the last round was opened.
    was_shown_boxes: bool,
}

impl Clients {
    /// Whom a round of `epoch` that opens now waits for, and for how many milliseconds of `window_ms`. If more
    /// clients are missing of late than took part, that is hardly their own doing, and they are waited for as
    /// well: else nobody's onions would come before the round goes on.
    ///
    /// The first round of an epoch waits for those as well who linked themselves when it was announced: clients that turn
    /// do so, and hand in for the rounds before at their other gateways. In that round, and where a document was shown since
    /// the last one opened, clients have more to do than experience tells of, and get the whole window.
    pub(super) fn expect(&mut self, epoch: Epoch, window_ms: u64) -> (Vec<ClientId>, u64) {
        self.patience.fade();
        let is_first = self.epoch.replace(epoch) != Some(epoch);
        if is_first {
            for client in self.linked.values_mut() {
                client.awaited |= std::mem::take(&mut client.stands_by);
            }
        }
        let those = |which: fn(&Linked) -> bool| -> Vec<ClientId> {
            let chosen = self.linked.iter().filter(|(_, client)| which(client));
            chosen.map(|(id, _)| *id).collect()
        };
        let (mut awaited, missing) = (those(|client| client.awaited), those(Linked::is_missing));
        if missing.len() > awaited.len() {
            awaited.extend(missing);
        }
        let busy = std::mem::take(&mut self.shown) || is_first;
        (awaited, if busy { window_ms } else { self.patience.wait_ms(window_ms) })
    }

    /// The links of all clients.
    pub(super) fn links(&self) -> Vec<ClientId> {
        self.linked.keys().copied().collect()
    }

    /// A client has handed in onions for `round`, in time or not, `after_ms` after its opening.
    fn handed_in(&mut self, client: ClientId, round: Round, after_ms: u64, window_ms: u64) {
        let Some(linked) = self.linked.get_mut(&client) else {
            unreachable!("only a client that is linked hands in");
        };
        linked.awaited = true;
        linked.missed = Some(0);
        linked.idle = 0;
        if round > linked.counted && linked.first_told.is_some_and(|first| first <= round) {
            linked.counted = round;
            self.patience.note(after_ms, window_ms);
        }
    }

    /// A round has gone on without a client's onions. Returns `true` if others need not wait for it either: one that
    /// linked itself while the round was open may have handed in elsewhere.
    pub(super) fn missed(&mut self, client: ClientId, round: Round) -> bool {
        let Some(linked) = self.linked.get_mut(&client) else { return true };
        let was_told = linked.first_told.is_some_and(|first| first <= round);
        if was_told {
            linked.awaited = false;
            linked.missed = linked.missed.map(|missed| missed.saturating_add(1));
        }
        was_told
    }
}

impl Linked {
    /// It took part before, and has missed no more than a few rounds since.
    fn is_missing(&self) -> bool {
        !self.awaited && self.missed.is_some_and(|missed| missed <= MISSED_TOGETHER)
    }
}

impl Shard {
    fn tell(&mut self, to: ClientId, message: ToClient) {
        self.outputs.push_back(Output::Client { to, message: Arc::new(message) });
    }

    fn tell_all_clients(&mut self, message: ToClient) {
        let message = Arc::new(message);
        for &to in self.clients.linked.keys() {
            self.outputs.push_back(Output::Client { to, message: Arc::clone(&message) });
        }
    }

    pub(super) fn pass_on_document(&mut self, epoch: &VerifiedEpoch) {
        self.clients.shown = true;
        // They check it before anything else.
        self.rounds.values_mut().for_each(RoundMachine::give_all_time);
        self.tell_all_clients(ToClient::Document { document: epoch.signed().clone() });
    }

    pub(super) fn client_joined(&mut self, now: Timestamp, client: ClientId) {
        let stands_by = self.epochs.keys().next_back() > self.clients.epoch.as_ref();
        self.clients.linked.insert(client, Linked { stands_by, ..Linked::default() });
        let served = self.epochs.values().map(|keys| &keys.context.epoch);
        let documents: Vec<_> =
            served.chain(&self.elsewhere).map(|epoch| epoch.signed().clone()).collect();
        for document in documents {
            self.tell(client, ToClient::Document { document });
        }
        self.show_clock(now, [client]);
        self.show_evidence(client);
    }

    fn opened_message(&self, now: Timestamp, round: Round) -> Option<ToClient> {
        let machine = self.rounds.get(&round)?;
        let closes_in_ms = machine.open_for_ms(now)?;
        Some(ToClient::Opened { epoch: machine.context().epoch.epoch(), round, closes_in_ms })
    }

    pub(super) fn announce_to_clients(
        &mut self,
        now: Timestamp,
        epoch: Epoch,
        round: Round,
        closes_in_ms: u32,
    ) {
        for client in self.clients.linked.values_mut() {
            (client.messages, client.since) = (0, now);
            client.first_told.get_or_insert(round);
            client.idle += 1;
            client.was_shown_boxes = false;
        }
        // A link that hands in nothing takes the place of a client.
        let idle = self.clients.linked.iter().filter(|(_, client)| client.idle > IDLE_ROUNDS);
        for client in idle.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.drop_client(now, client, Misconduct::Silent);
        }
        let links = self.clients.links();
        self.show_clock(now, links);
        self.tell_all_clients(ToClient::Opened { epoch, round, closes_in_ms });
    }

    /// Shows clients the clock by which their cells are in time, and by which their users learn that their own is wrong.
    fn show_clock(&mut self, now: Timestamp, to: impl IntoIterator<Item = ClientId>) {
        let message = Arc::new(ToClient::Clock { now });
        let told = to.into_iter().map(|to| Output::Client { to, message: Arc::clone(&message) });
        self.outputs.extend(told);
    }

    /// The beats for which clients send cells, by what they were told of last: of several, the most.
    fn beats_of_clients(&mut self) -> Option<BeatParameters> {
        let served = self.epochs.values().map(|keys| &keys.context.epoch);
        let documents = served.chain(&self.elsewhere).map(|epoch| epoch.parameters().beats);
        let beats = documents.chain(self.beats.parameters());
        if let Some(most) = beats.max_by_key(|beats| beats.beats) {
            self.clients.beats = Some(most);
        }
        self.clients.beats
    }

    /// Takes a client's message, if it has not sent too many. Long, as it is one table of messages.
    pub(super) fn client(&mut self, now: Timestamp, from: ClientId, message: FromClient) {
        // Cells go on at their rate while no round opens, and also where no shard has a table for them.
        let beats = self.beats_of_clients();
        // As many as there can be, where it is not known yet how many there are.
        let most_cells = 2 * u32::from(beats.map_or(u16::MAX, |beats| beats.beats));
        let most = self.config.limits.client_messages_per_round + MOST_QUESTIONS + most_cells;
        // Whoever has been dropped may have sent more.
        let Some(client) = self.clients.linked.get_mut(&from) else { return };
        let span_ms = beats.filter(|beats| !beats.is_classic()).map(|beats| beats.span_ms());
        if span_ms.is_some_and(|span_ms| now >= client.since.plus_ms(span_ms)) {
            (client.messages, client.since) = (0, now);
        }
        client.messages += 1;
        if client.messages > most {
            return self.drop_client(now, from, Misconduct::Floods);
        }
        match message {
            FromClient::Hello { version } => {
                if version != PROTOCOL_VERSION {
                    self.drop_client(now, from, Misconduct::OtherVersion);
                } else if !std::mem::replace(&mut client.greeted, true) {
                    self.await_newcomer(now, from);
                }
            }
            FromClient::Submit { epoch, round, ticket, onions } => {
                if let Err(error) = self.submit(now, from, (epoch, round), ticket, &onions.0) {
                    let reason = Blob(error.to_string().into_bytes());
                    self.tell(from, ToClient::Refused { epoch, round, reason });
                }
            }
            FromClient::Resume { epoch, round, ticket } => {
                self.resume(now, from, (epoch, round), &ticket.digest());
            }
            FromClient::Cells { epoch, round, beat, cells } => {
                self.client_cells(now, from, (epoch, round, beat), &cells.0);
            }
            FromClient::Leave { epoch, round, ticket, onions, cells } => {
                let left = (ticket, onions.0, cells.0);
                if let Err(error) = self.leave_round(from, (epoch, round), left) {
                    let reason = Blob(error.to_string().into_bytes());
                    self.tell(from, ToClient::Refused { epoch, round, reason });
                }
            }
            // Once for each round that opens, so that what goes out to those that come back is bounded.
            FromClient::AskBoxes { after } => {
                if !std::mem::replace(&mut client.was_shown_boxes, true) {
                    self.show_boxes(from, after);
                }
            }
        }
    }

    /// A client that lost its link asks for what became of a round.
    fn resume(
        &mut self,
        now: Timestamp,
        from: ClientId,
        (epoch, round): (Epoch, Round),
        ticket: &Digest,
    ) {
        let has_circuits = self.beats.resume(from, (epoch, round), ticket);
        let slept = self.beats.sleepers.show(from, (epoch, round), ticket);
        let was_left = slept.is_some();
        let shown = slept.into_iter().flatten();
        self.outputs.extend(shown.map(|message| Output::Client { to: from, message }));
        // The round may be over, and its answers kept.
        if !was_left && let Some(message) = self.kept.answer(now, round, ticket) {
            return self.outputs.push_back(Output::Client { to: from, message });
        }
        let running = self
            .rounds
            .get_mut(&round)
            .filter(|machine| machine.context().epoch.epoch() == epoch && !machine.has_ended());
        let waits = running.is_some_and(|machine| machine.resume(now, from, ticket));
        if !waits && !has_circuits && !was_left {
            let reason = Blob(b"no onions with this ticket are known here".to_vec());
            self.tell(from, ToClient::Refused { epoch, round, reason });
        }
    }

    /// Waits once for a client that has said hello. Of rounds that are open it is told at the same time, unless it was
    /// at their opening: whoever is told of a round that does not wait for it builds its onions in vain.
    fn await_newcomer(&mut self, now: Timestamp, client: ClientId) {
        let Some(linked) = self.clients.linked.get_mut(&client) else { return };
        linked.awaited = true;
        let first_told = linked.first_told;
        for round in self.running() {
            let Some(opened) = self.opened_message(now, round) else { continue };
            if let Some(machine) = self.rounds.get_mut(&round) {
                machine.await_client(client);
            }
            if first_told.is_none_or(|first| round < first) {
                self.tell(client, opened);
            }
        }
    }

    fn submit(
        &mut self,
        now: Timestamp,
        from: ClientId,
        (epoch, round): (Epoch, Round),
        ticket: Digest,
        onions: &[u8],
    ) -> Result<(), SubmitError> {
        let mut result = Err(SubmitError::Closed);
        let mut opened = None;
        self.with_round(now, round, |machine, outputs| {
            if machine.context().epoch.epoch() == epoch {
                opened = machine.opened_ms_ago(now);
                result = machine.submit(now, from, ticket, onions, outputs);
            }
        });
        // Whoever came too late shows how long clients take, too.
        if let (Some((after_ms, window_ms)), Ok(()) | Err(SubmitError::Closed)) = (opened, result) {
            self.clients.handed_in(from, round, after_ms, window_ms);
        }
        result
    }

    fn drop_client(&mut self, now: Timestamp, client: ClientId, reason: Misconduct) {
        self.client_left(now, client);
        self.outputs.push_back(Output::DropClient { client, reason });
    }

    pub(super) fn client_left(&mut self, now: Timestamp, client: ClientId) {
        self.clients.linked.remove(&client);
        self.beats.client_left(client);
        for round in self.running() {
            self.with_round(now, round, |machine, outputs| {
                machine.client_left(now, client, outputs);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_MS: u64 = 2000;

    /// Clients that have said hello, by their numbers.
    fn linked(clients: impl IntoIterator<Item = u64>) -> Clients {
        let greeted = || Linked { awaited: true, ..Linked::default() };
        let linked = clients.into_iter().map(|client| (ClientId(client), greeted()));
        Clients { linked: linked.collect(), ..Clients::default() }
    }

    /// Whom a round waits for.
    fn awaited(clients: &mut Clients, epoch: u64, round: u64) -> Vec<u64> {
        for client in clients.linked.values_mut() {
            client.first_told.get_or_insert(Round(round));
        }
        clients.expect(Epoch(epoch), WINDOW_MS).0.into_iter().map(|client| client.0).collect()
    }

    #[test]
    fn whoever_links_before_an_epoch_is_waited_for_in_its_first_round_alone() {
        let mut clients = linked([1]);
        assert_eq!(awaited(&mut clients, 1, 10), [1]);
        clients.handed_in(ClientId(1), Round(10), 100, WINDOW_MS);
        // It stands by for the next epoch, and says nothing.
        clients.linked.insert(ClientId(2), Linked { stands_by: true, ..Linked::default() });
        assert_eq!(awaited(&mut clients, 1, 11), [1]);
        assert_eq!(awaited(&mut clients, 2, 12), [1, 2]);
        clients.missed(ClientId(2), Round(12));
        // A link on which nobody says anything is waited for once.
        for (epoch, round) in [(2, 13), (3, 14)] {
            assert_eq!(awaited(&mut clients, epoch, round), [1]);
        }
    }

    #[test]
    fn a_round_whose_opening_a_client_did_not_hear_is_held_against_nobody() {
        let mut clients = linked([1, 2]);
        assert_eq!(awaited(&mut clients, 1, 10), [1, 2]);
        // It has turned to this gateway in the midst of a round that it handed in for elsewhere.
        clients.linked.insert(ClientId(3), Linked { awaited: true, ..Linked::default() });
        assert!(!clients.missed(ClientId(3), Round(10)));
        assert!(clients.missed(ClientId(2), Round(10)));
        assert_eq!(awaited(&mut clients, 1, 11), [1, 3]);
        assert!(clients.missed(ClientId(3), Round(11)));
        assert_eq!(awaited(&mut clients, 1, 12), [1]);
    }

    #[test]
    fn clients_have_the_whole_window_after_a_document_and_in_the_first_round_of_an_epoch() {
        let mut clients = linked([1]);
        let mut waits = |epoch, shown| {
            clients.shown = shown;
            let (_, wait_ms) = clients.expect(Epoch(epoch), WINDOW_MS);
            clients.linked.entry(ClientId(1)).or_default().first_told = Some(Round(1));
            let round = clients.linked[&ClientId(1)].counted.next();
            clients.handed_in(ClientId(1), round, 10, WINDOW_MS);
            wait_ms
        };
        let all = [(1, false), (1, false), (1, true), (1, false), (2, false), (2, false)];
        let quick = WINDOW_MS / 4;
        let waited = all.map(|(epoch, shown)| waits(epoch, shown));
        assert_eq!(waited, [WINDOW_MS, quick, WINDOW_MS, quick, WINDOW_MS, quick]);
    }
}
