//! Steps that tests of whole networks take again and again.

use antiphon_client_core::{
    ConversationId, ConversationSecret, Event, Opening, Outcome, Role, Start,
};
use antiphon_coordinator_core::{RoundReport, RoundResult};
use antiphon_wire::{IdentityKey, Layer, Reason, Round, RoundCounts, RoundOutcome, ShardIndex};

use crate::adversary::Adversary;
use crate::{Network, Setup};

/// The time within which a conversation of a few rounds is done, whatever a few spoilt rounds cost,
/// in milliseconds.
const PATIENCE_MS: u64 = 600_000;

/// How much longer than a round a client waits for its outcome, in milliseconds, and some more.
const GRACE_MS: u64 = 20_000;

/// A network whose clients 0 and 1 are in a conversation, with a message queued at each end.
pub struct Talk {
    /// The network.
    pub network: Network,
    /// Message of client 0 to client 1.
    pub there: Vec<u8>,
    /// Message of client 1 to client 0.
    pub back: Vec<u8>,
}

/// A network that is quick to simulate: four clients, little noise, short epochs.
pub fn quick(shards: usize) -> Setup {
    let mut setup = Setup::small(shards, 4);
    setup.policy.epsilon = 6.0;
    setup.policy.delta = 0.1;
    setup.coordinator.epoch_rounds = 10;
    setup.coordinator.prepare_ahead_rounds = 3;
    setup
}

/// Opens a conversation between two clients.
///
/// # Panics
/// If one of them has no room for it.
pub fn converse(network: &mut Network, a: usize, b: usize) -> (ConversationId, ConversationId) {
    // A secret of their own: with one in common, four would meet at one place.
    let secret = || {
        let mut secret = [7; 32];
        secret[..2].copy_from_slice(&[a as u8, b as u8]);
        ConversationSecret(secret)
    };
    let mut open = |client: usize, role| {
        let opening = Opening::new(secret(), role, Start::Dense);
        network.client(client).open_conversation(&opening).expect("there is room for one")
    };
    (open(a, Role::First), open(b, Role::Second))
}

/// Disturbed meetings that a dense conversation bears before it backs off.
const MEETS_ALL: u32 = 3;

impl Talk {
    /// Starts a network with an adversary. The messages take several rounds.
    ///
    /// # Panics
    /// If the messages cannot be queued.
    pub fn start(setup: Setup, adversary: impl Adversary + 'static) -> Self {
        let mut network = Network::with_adversary(setup, adversary);
        let (a, b) = converse(&mut network, 0, 1);
        let there: Vec<u8> = (0..1000u32).map(|i| (i * i) as u8).collect();
        let back = b"and back".to_vec();
        network.client(0).send(a, there.clone()).expect("the queue is empty");
        network.client(1).send(b, back.clone()).expect("the queue is empty");
        Self { network, there, back }
    }

    /// Runs until both messages are there and a few rounds more, and sees that each came once and
    /// intact.
    ///
    /// # Panics
    /// If not.
    pub fn finish(&mut self) {
        let network = &mut self.network;
        let arrived = network.run_until(PATIENCE_MS, |network| {
            (0..2).all(|client| network.record.received(client).next().is_some())
        });
        assert!(arrived, "not delivered\n{}", log(network));
        network.run_ms(2_000);
        assert_eq!(network.record.received(1).collect::<Vec<_>>(), [&self.there]);
        assert_eq!(network.record.received(0).collect::<Vec<_>>(), [&self.back]);
    }

    /// Runs the network until everything is delivered, and gathers what each party says of `round`.
    ///
    /// # Panics
    ///
    /// If something is lost, or the round did not take place.
    pub fn judge(&mut self, round: Round) -> Verdict {
        self.finish();
        let reported =
            |network: &Network| network.record.rounds().any(|ended| ended.round == round);
        self.network.run_until(PATIENCE_MS, reported);
        // A client that hears nothing waits longer than any shard.
        let told = |network: &Network| {
            (0..network.record.events.len()).all(|i| network.record.outcome(i, round).is_some())
        };
        self.network.run_until(GRACE_MS, told);
        self.charges_match();
        Verdict::of(&self.network, round)
    }

    /// Sees that those in the conversation are charged for what disturbed them, and others for
    /// nothing: for all of it as long as they meet in every round, and for no more after that.
    ///
    /// # Panics
    /// If not.
    pub fn charges_match(&mut self) {
        for client in 0..self.network.record.events.len() {
            let costly = self.network.record.events[client].iter().filter(|(_, event)| {
                use Outcome::{ChargedAbort, Disturbed};
                let Event::RoundEnded { outcome, .. } = event else { return false };
                client < 2 && matches!(outcome, Disturbed | ChargedAbort)
            });
            let costly = costly.count() as u32;
            let ledger = *self.network.client(client).ledger();
            let charged = ledger.charged();
            assert!(charged <= costly, "client {client}: {charged} of {costly}");
            assert!(charged >= costly.min(MEETS_ALL), "client {client}: {charged} of {costly}");
        }
    }
}

/// One round's outcome, as every party has it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The coordinator's report.
    pub report: RoundReport,
    /// The outcome at each client, if it has one.
    pub clients: Vec<Option<Outcome>>,
    /// The outcome and counts at each shard, by position in the setup.
    pub shards: Vec<Option<(RoundOutcome, RoundCounts)>>,
}

impl Verdict {
    /// # Panics
    /// If the coordinator did not report the round.
    pub fn of(network: &Network, round: Round) -> Self {
        let report = network.record.rounds().find(|report| report.round == round);
        let report = report.cloned().unwrap_or_else(|| panic!("no {round:?}\n{}", log(network)));
        let clients = (0..network.record.events.len())
            .map(|client| network.record.outcome(client, round))
            .collect();
        let shards = (0..network.record.shards.len())
            .map(|shard| {
                let ended = &network.record.ended;
                ended
                    .iter()
                    .find(|(_, at, of, ..)| (*at, *of) == (shard, round))
                    .map(|(_, _, _, outcome, counts)| (*outcome, *counts))
            })
            .collect();
        Self { report, clients, shards }
    }

    /// Sees that all clients that took part had this outcome, and that some did.
    ///
    /// # Panics
    /// If not.
    pub fn all_clients(&self, outcome: Outcome) {
        assert!(self.clients.iter().flatten().count() > 0, "{self:?}");
        assert!(self.clients.iter().flatten().all(|had| *had == outcome), "{self:?}");
    }

    /// Sees that no seal was opened at any shard but those in `but`.
    ///
    /// # Panics
    /// If one was.
    pub fn nothing_opened(&self, but: &[usize]) {
        for (shard, ended) in self.shards.iter().enumerate() {
            if but.contains(&shard) {
                continue;
            }
            let (outcome, counts) = ended.unwrap_or_else(|| panic!("{shard} silent: {self:?}"));
            assert_ne!(outcome, RoundOutcome::Delivered, "{self:?}");
            assert_eq!((counts.pairs, counts.singles), (0, 0), "{self:?}");
        }
    }

    /// The deposits that were opened.
    pub fn deposits(&self) -> u64 {
        2 * self.report.totals.pairs + self.report.totals.singles
    }

    /// The onions that were handed in.
    pub fn onions(&self) -> u64 {
        self.report.totals.user_onions + self.report.totals.noise_onions
    }
}

/// Whom the report of an aborted round names.
///
/// # Panics
/// If the round was not aborted.
pub fn named(report: &RoundReport) -> (Vec<IdentityKey>, Option<Reason>) {
    match &report.result {
        RoundResult::Aborted { missing, reason } => (missing.clone(), *reason),
        other => panic!("not aborted: {other:?}"),
    }
}

/// The index of a shard in the newest epoch document that client 0 knows.
///
/// # Panics
/// If the shard is not in it.
pub fn index_of(network: &mut Network, shard: usize) -> ShardIndex {
    let identity = network.identity(shard);
    let epoch = network.client(0).newest_epoch().expect("an epoch is published");
    epoch.index_of(&identity).expect("the shard is in it")
}

/// The layers of `setup`'s network.
///
/// # Panics
/// Unless f = 0: there are more then.
pub fn layers(setup: &Setup) -> (Layer, Layer, Layer) {
    assert_eq!(setup.policy.malicious_ppm, 0);
    let mixing = setup.policy.least_mixing_hops;
    (Layer::FIRST, Layer(mixing), Layer(mixing + 1))
}

/// The coordinator's reports, and those of shards on each other, for a failed test.
pub fn log(network: &Network) -> String {
    let start = crate::START;
    let coordinator = network
        .record
        .coordinator
        .iter()
        .map(|(at, notice)| (at.ms_since(start), notice.to_string()));
    let shards = network.record.shards.iter().enumerate().flat_map(|(shard, notices)| {
        notices.iter().map(move |(at, notice)| (at.ms_since(start), format!("{shard}: {notice}")))
    });
    let mut lines: Vec<(u64, String)> = coordinator.chain(shards).collect();
    lines.sort_by_key(|(at, _)| *at);
    lines.iter().map(|(at, line)| format!("{at} {line}\n")).collect()
}
