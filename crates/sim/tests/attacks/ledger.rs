//! What attacks on chosen users cost them, and what the network shows of it.

use antiphon_client_core::{Event, Outcome};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{LinkModel, Network, Party, Payload, Sent, Setup};
use antiphon_wire::{FromClient, Timestamp};

/// K, for both ends together.
const K: u32 = 8;
const RUN_MS: u64 = 60_000;

/// Whether the onions of client 0 or 1 in a round are lost.
type Loses = fn(client: usize, round: u64) -> bool;

const ATTACKS: [(&str, Loses); 6] = [
    ("nobody", |_, _| false),
    ("both, always", |_, _| true),
    ("the first, always", |client, _| client == 0),
    ("one after the other", |client, round| round % 2 == client as u64),
    ("both, now and then", |_, round| round % 16 == 3),
    ("both, in runs", |_, round| round % 32 < 6),
];

fn run(loses: Loses, talking: bool) -> Network {
    let link = LinkModel { delay_ms: 20, jitter_ms: 0, loss_ppm: 0 };
    let mut setup = Setup { link, ..Setup::small(3, 4).with_little_noise() };
    setup.policy.disturbed_rounds = K;
    let attack = move |_: Timestamp, sent: Sent, _: &Keys| match (&sent.payload, sent.from) {
        (Payload::FromClient(FromClient::Submit { round, .. }), Party::Client(client))
            if client < 2 && loses(client, round.0) =>
        {
            vec![]
        }
        _ => vec![(0, sent)],
    };
    let mut network = Network::with_adversary(setup, attack);
    if talking {
        converse(&mut network, 0, 1);
    }
    network.run_ms(RUN_MS);
    network
}

#[test]
fn an_attack_costs_both_ends_k_rounds_at_most_and_nothing_outside_shows_it() {
    for (name, loses) in ATTACKS {
        let mut network = run(loses, true);
        let charged = [0, 1].map(|client| network.client(client).budget().spent);
        for (client, charged) in charged.into_iter().enumerate() {
            let budget = network.client(client).budget();
            assert_eq!(budget.total, K / 2);
            assert_eq!(budget.spent + budget.reserved + budget.left, budget.total);
            let disturbed = network.record.events[client].iter().filter(|(_, event)| {
                let revealing = [Outcome::Disturbed, Outcome::ChargedAbort];
                matches!(event, Event::RoundEnded { outcome, .. } if revealing.contains(outcome))
            });
            // Those in which they meet are charged, until nothing is left: then rounds are idle.
            let disturbed = disturbed.count() as u32;
            assert!(charged <= disturbed, "{name}: {charged} of {disturbed}");
            let told =
                |event: &Event| matches!(event, Event::Resting { charged } if *charged == K / 2);
            let told = network.record.events[client].iter().filter(|(_, event)| told(event));
            assert_eq!(told.count(), usize::from(charged == K / 2), "{name}");
        }
        assert!(charged.iter().sum::<u32>() <= K);
        if name == "both, always" {
            assert_eq!(charged, [K / 2; 2]);
        }
        assert_eq!(charged == [0; 2], name == "nobody", "{name}: {charged:?}");
        // Every link of every client shows the same as if nobody talked, before the ledgers are used
        // up, when they are, and after.
        let mut idle = run(loses, false);
        assert_eq!(idle.client(0).budget().spent, 0);
        for (client, seen) in network.record.observed.iter().enumerate() {
            assert_eq!(*seen, idle.record.observed[client], "{name}: client {client}");
        }
    }
}

#[test]
fn a_used_up_ledger_leaves_one_pair_for_each_client() {
    let (_, always) = ATTACKS[1];
    let mut network = run(always, true);
    let used_up = network.now();
    network.set_adversary(antiphon_sim::adversary::Honest);
    network.run_ms(30_000);
    let outcomes = network.record.events[0].iter().filter_map(|(at, event)| match event {
        Event::RoundEnded { outcome, .. } if at.ms_since(used_up) > 20_000 => Some(*outcome),
        _ => None,
    });
    let outcomes: Vec<_> = outcomes.collect();
    assert!(outcomes.len() > 3, "{}", log(&network));
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Undisturbed));
    assert_eq!(network.client(0).budget().spent, K / 2);
}
