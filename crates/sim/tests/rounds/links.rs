//! Links between clients and gateways that break in the middle of rounds.

use std::collections::BTreeSet;

use antiphon_client_core::{Event, Outcome};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log, quick};
use antiphon_sim::{Network, Party, Payload, Sent};
use antiphon_wire::{FromClient, Round, Ticket, Timestamp, ToClient};

const RUN_MS: u64 = 30_000;

/// Loses the first replies to client 0 in every third round.
fn loses_replies() -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    let mut lost = BTreeSet::new();
    move |_, sent, _| match (&sent.payload, sent.to) {
        (Payload::ToClient(ToClient::Replies { round, .. }), Party::Client(0))
            if round.0.is_multiple_of(3) && lost.insert(*round) =>
        {
            vec![]
        }
        _ => vec![(0, sent)],
    }
}

fn outcomes(network: &Network, client: usize) -> Vec<Outcome> {
    let ended = network.record.events[client].iter().filter_map(|(_, event)| match event {
        Event::RoundEnded { outcome, .. } => Some(*outcome),
        _ => None,
    });
    ended.collect()
}

#[test]
fn rounds_in_flight_when_a_link_is_lost_cost_nothing_once_it_is_back() {
    for talking in [true, false] {
        let mut network = Network::with_adversary(quick(3), loses_replies());
        if talking {
            converse(&mut network, 0, 1);
        }
        let (began, mut relinked) = (network.now(), 0);
        while network.now().ms_since(began) < RUN_MS {
            let lost = |network: &Network| {
                // Replies to client 1 and none to client 0: its link is gone.
                let of = |i| outcomes(network, i).len();
                of(1) > of(0)
            };
            if network.run_until(5_000, lost) {
                network.run_ms(300);
                network.relink_client(0);
                network.run_ms(300);
                relinked += 1;
            }
        }
        assert!(relinked > 5, "{relinked}");
        let all = outcomes(&network, 0);
        assert!(all.len() > 15, "{}", log(&network));
        assert!(all.iter().all(|outcome| *outcome == Outcome::Undisturbed), "{all:?}");
        assert_eq!(network.client(0).budget().spent, 0);
    }
}

#[test]
fn without_its_link_back_a_client_is_charged_for_the_rounds_it_had_in_flight() {
    let mut network = Network::with_adversary(quick(3), loses_replies());
    converse(&mut network, 0, 1);
    network.run_ms(2 * RUN_MS);
    assert!(network.client(0).budget().spent > 0, "{}", log(&network));
}

#[test]
fn a_stranger_who_knows_all_but_the_ticket_gets_nobodys_replies() {
    let mut seen: BTreeSet<Round> = BTreeSet::new();
    // Client 3 is at the gateway of client 0, and shows what went with that one's onions.
    let attack = move |_: Timestamp, sent: Sent, _: &Keys| {
        let Payload::FromClient(FromClient::Submit { epoch, round, ticket, .. }) = &sent.payload
        else {
            return vec![(0, sent)];
        };
        if sent.from != Party::Client(0) || !seen.insert(*round) {
            return vec![(0, sent)];
        }
        let guess = FromClient::Resume { epoch: *epoch, round: *round, ticket: Ticket(ticket.0) };
        let (from, payload) = (Party::Client(3), Payload::FromClient(guess));
        let asks = Sent { from, to: sent.to, payload };
        vec![(0, sent), (50, asks.clone()), (2_000, asks)]
    };
    let mut network = Network::with_adversary(quick(3), attack);
    converse(&mut network, 0, 1);
    network.run_ms(RUN_MS);
    let mine = outcomes(&network, 0);
    assert!(mine.len() > 15);
    assert!(mine.iter().all(|outcome| *outcome == Outcome::Undisturbed), "{mine:?}");
}
