//! Beats of real circuits: what leaves, when, and what arrives.

use std::collections::VecDeque;

use antiphon_mock_mix::Circuits;
use antiphon_wire::{Announcement, SealAct, SealSecret};
use rand::{Rng as _, RngExt as _};

use super::mix::mix_with_beats;
use super::*;
use crate::{CircuitMark, Input};

/// Milliseconds from a round's opening to its first beat.
const FIRST_MS: u64 = 1000;
const BEAT_MS: u64 = 100;
const LAYER_MS: u64 = 10;
const CELL: usize = 256;

/// A message of cells as its link shows it: when it left, for which round and beat, and its size.
type Shown = (Timestamp, Round, u64, usize);

/// Clients of one network, whose rounds and beats the test runs.
struct Net {
    mix: Mix,
    clients: Vec<Client>,
    /// Whatever each was told to do beside sending cells.
    outputs: Vec<Vec<Output>>,
    shown: Vec<Vec<Shown>>,
    /// The last checkpoint that each has written.
    kept: Vec<Option<Checkpoint>>,
    /// What each keeps beside it.
    beside: Vec<Vec<u8>>,
    /// Cells that each has made, and that have not left.
    made: Vec<VecDeque<(Round, u64, Vec<u8>)>>,
    circuits: Vec<(Round, Circuits)>,
    rng: ChaCha20Rng,
}

fn verified(role: Role) -> Opening {
    Opening { verified: true, ..opening(role) }
}

impl Net {
    fn new(count: u64) -> Self {
        let mix = mix_with_beats(1, 0, 1);
        let mut clients: Vec<_> = (0..count).map(|seed| client(&mix, seed, None)).collect();
        clients.iter_mut().for_each(|client| drop(document(client, &mix)));
        let empty = || (0..count).map(|_| Vec::new()).collect::<Vec<_>>();
        let rng = ChaCha20Rng::seed_from_u64(99);
        let (outputs, shown) = (empty(), (0..count).map(|_| Vec::new()).collect());
        let made = (0..count).map(|_| VecDeque::new()).collect();
        let kept = vec![None; clients.len()];
        let beside = vec![Vec::new(); clients.len()];
        Self { mix, clients, outputs, shown, kept, beside, made, circuits: Vec::new(), rng }
    }

    fn announced(&self, round: u64) -> Announcement {
        self.mix.announce(Round(round), time(&self.mix, round).plus_ms(FIRST_MS))
    }

    /// Plays a round; the clients in `disturbed` get other replies than they should.
    fn round(&mut self, round: u64, disturbed: &[usize]) {
        let mut submitted = Vec::new();
        for client in &mut self.clients {
            submitted.push(open(client, &self.mix, round));
        }
        let opened = submitted;
        let submitted: Vec<_> = opened.iter().map(|outputs| onions(outputs)).collect();
        for (i, outputs) in opened.into_iter().enumerate() {
            self.keep(i, outputs);
        }
        let replies = self.mix.exchange(Round(round), &submitted);
        for (i, mut replies) in replies.into_iter().enumerate() {
            if disturbed.contains(&i) {
                self.rng.fill(&mut replies[..]);
            }
            let outputs = reply(&mut self.clients[i], &self.mix, round, replies);
            self.keep(i, outputs);
        }
        self.circuits.push((Round(round), self.mix.circuits(Round(round), &submitted)));
    }

    fn show(&mut self, i: usize, now: Timestamp, evidence: ToClient) {
        self.clients[i].handle(now, Input::from(evidence));
        let outputs = drain(&mut self.clients[i]);
        self.keep(i, outputs);
    }

    /// Shows all clients that the beats of `round` run.
    fn evidence(&mut self, round: u64) {
        let (evidence, at) = (self.mix.evidence(self.announced(round)), time(&self.mix, round));
        (0..self.clients.len()).for_each(|i| self.show(i, at, evidence.clone()));
    }

    /// A round and the evidence for its beats.
    fn set_up(&mut self, round: u64) {
        self.round(round, &[]);
        self.evidence(round);
    }

    /// Keeps a client's outputs: cells, and whatever else there is.
    fn keep(&mut self, i: usize, outputs: Vec<Output>) {
        for output in outputs {
            let (at, round, beat, cells) = match output {
                Output::Cells { at, round, beat, cells, .. } => (at, round, beat, cells),
                Output::Persist(checkpoint) => {
                    self.kept[i] = Some(checkpoint);
                    self.beside[i] = self.clients[i].kept().to_vec();
                    continue;
                }
                Output::Submit { .. } => continue,
                other => {
                    self.outputs[i].push(other);
                    continue;
                }
            };
            let marks = self.kept[i].expect("onions come before cells").circuits;
            let reserved = |mark: &CircuitMark| mark.round == round && beat < mark.unused_from;
            assert!(marks.iter().any(reserved), "beat {beat} is reserved on disk before its cells");
            self.shown[i].push((at, round, beat, cells.len()));
            self.made[i].push_back((round, beat, cells));
        }
    }

    fn tick(&mut self, i: usize, now: Timestamp) {
        self.clients[i].handle(now, Input::Tick);
        let outputs = drain(&mut self.clients[i]);
        self.keep(i, outputs);
    }

    /// The next cells of a client, for which time goes on if none are made.
    fn cells(&mut self, i: usize) -> (Round, u64, Vec<u8>) {
        while self.made[i].is_empty() {
            let due = self.clients[i].next_deadline().expect("a beat comes");
            self.tick(i, due);
        }
        self.made[i].pop_front().unwrap()
    }

    /// Lets the next cells of every client leave, and brings back what `spoil` makes of those that return.
    fn beat(&mut self, mut spoil: impl FnMut(usize, &mut [u8], &mut ChaCha20Rng)) {
        let left: Vec<_> = (0..self.clients.len()).map(|i| self.cells(i)).collect();
        let (round, beat, _) = left[0];
        assert!(left.iter().all(|cells| (cells.0, cells.1) == (round, beat)));
        let cells: Vec<_> = left.into_iter().map(|(.., cells)| cells).collect();
        let Some((_, circuits)) = self.circuits.iter().find(|(of, _)| *of == round) else { return };
        let epoch = self.mix.signed.document.epoch;
        let back = self.announced(round.0).begins(beat).plus_ms(8 * LAYER_MS);
        for (i, mut cells) in circuits.pass(beat, &cells).into_iter().enumerate() {
            for cell in cells.chunks_exact_mut(CELL) {
                spoil(i, cell, &mut self.rng);
            }
            let cells = ToClient::Cells { epoch, round, beat, cells: Blob(cells) };
            self.show(i, back, cells);
        }
    }

    fn beats(&mut self, count: u64) {
        (0..count).for_each(|_| self.beat(|_, _, _| {}));
    }

    fn received(&self, i: usize) -> Vec<Vec<u8>> {
        let received = self.outputs[i].iter().filter_map(|output| match output {
            Output::Event(Event::Received { message, .. }) => Some(message.clone()),
            _ => None,
        });
        received.collect()
    }

    /// Cells that came back as they had to, and those that did not.
    fn tally(&self, i: usize) -> (u64, u64) {
        let ended = self.outputs[i].iter().filter_map(|output| match output {
            Output::Event(Event::BeatEnded { arrived, spoilt, .. }) => Some((*arrived, *spoilt)),
            _ => None,
        });
        ended.fold((0, 0), |(a, b), (c, d)| (a + u64::from(c), b + u64::from(d)))
    }
}

fn message(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 241) as u8).collect()
}

#[test]
fn a_message_travels_in_beats_once_whole_and_in_order_though_cells_are_spoilt() {
    let mut net = Net::new(3);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    let second = net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    net.set_up(0);
    let sent = [message(4000), b"and then".to_vec(), Vec::new()];
    for message in &sent {
        net.clients[0].send(first, message.clone()).unwrap();
    }
    net.clients[1].send(second, b"back".to_vec()).unwrap();
    for _ in 0..36 {
        net.beat(|_, cell, rng| {
            if rng.random_bool(0.1) {
                rng.fill_bytes(cell);
            }
        });
    }
    assert_eq!(net.received(1), sent);
    assert_eq!(net.received(0), [b"back".to_vec()]);
    let acknowledged = net.outputs[0]
        .iter()
        .filter(|output| matches!(output, Output::Event(Event::Acknowledged { .. })));
    assert_eq!(acknowledged.count(), 3);
    // Nothing is charged for what is spoilt, and it is counted.
    assert_eq!(net.clients[0].ledger().charged(), 0);
    assert!(net.tally(0).1 > 0 && net.tally(2).1 > 0);
    let told = |output: &&Output| {
        matches!(output, Output::Event(Event::BeatEnded { after_ms: Some(90), .. }))
    };
    assert_eq!(
        net.outputs[2].iter().filter(told).count(),
        36,
        "80 ms there and back, and 10 before"
    );
}

#[test]
fn what_was_said_in_a_rounds_body_and_in_beats_arrives_once() {
    let mut net = Net::new(2);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    for i in 0..6_u8 {
        net.clients[0].send(first, vec![i; 150]).unwrap();
    }
    net.set_up(0);
    net.beats(3);
    net.set_up(2);
    net.beats(20);
    assert_eq!(net.received(1), (0..6).map(|i| vec![i; 150]).collect::<Vec<_>>());
}

/// Whatever the user does and whatever arrives, a link shows the same.
#[test]
fn one_message_of_cells_leaves_at_one_point_of_each_beat_whoever_talks() {
    let mut net = Net::new(4);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    // The third talks to nobody it knows, and the fourth is idle.
    let third = net.clients[2].open_conversation(&Opening {
        secret: ConversationSecret([3; 32]),
        ..opening(Role::First)
    });
    net.clients[2].send(third.unwrap(), message(3000)).unwrap();
    net.round(0, &[1]);
    net.evidence(0);
    net.clients[0].send(first, message(5000)).unwrap();
    for beat in 0..30 {
        match beat {
            7 => net.clients[0].close_conversation(first),
            // All of the first's cells are spoilt, and half of the second's.
            _ => net.beat(|i, cell, rng| {
                if i == 0 || (i == 1 && rng.random_bool(0.5)) {
                    rng.fill_bytes(cell);
                }
            }),
        }
    }
    let first_at = net.announced(0).first_beat;
    for (beat, shown) in (0..).zip(&net.shown[3]) {
        let at = Timestamp(first_at.0 + beat * BEAT_MS - LAYER_MS);
        assert_eq!(*shown, (at, Round(0), beat, 2 * CELL));
    }
    assert!(net.shown[3].len() >= 29);
    assert!(net.shown.iter().all(|shown| *shown == net.shown[3]), "all links show the same");
    // The requests that clients make beside are the same too.
    let quiet = |outputs: &[Output]| outputs.iter().all(|o| matches!(o, Output::Event(_)));
    assert!(net.outputs.iter().all(|outputs| quiet(outputs)), "nothing else leaves");
}

#[test]
fn cells_are_random_looking_and_none_is_like_another() {
    let mut net = Net::new(2);
    net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.set_up(0);
    let mut seen = std::collections::BTreeSet::new();
    let mut ones = [0_u64; 2];
    for _ in 0..20 {
        for (i, ones) in ones.iter_mut().enumerate() {
            let (.., cells) = net.cells(i);
            *ones += cells.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
            for block in cells.chunks_exact(16) {
                assert!(seen.insert(block.to_vec()));
            }
        }
    }
    // 81,920 bits each, 143 of standard deviation: six of them.
    let half = 20 * 2 * CELL as u64 * 8 / 2;
    assert!(ones.iter().all(|ones| ones.abs_diff(half) < 860), "{ones:?}");
}

#[test]
fn beats_of_a_round_go_on_until_there_is_evidence_of_another_and_then_carry_nothing() {
    let mut net = Net::new(2);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    net.set_up(0);
    net.beats(10);
    // The next round opens for the client, and nobody says that its beats run: it may have been aborted.
    net.round(2, &[]);
    net.beats(30);
    assert!(net.shown[0].iter().all(|(_, round, ..)| *round == Round(0)));
    let said = net.received(1).len();
    net.clients[0].send(first, b"later".to_vec()).unwrap();
    // Forty beats are over.
    let tally = net.tally(0);
    net.beats(5);
    assert_eq!((net.received(1).len(), net.tally(0)), (said, tally), "random cells");
    assert_eq!(net.shown[0][44], (net.shown[0][43].0.plus_ms(BEAT_MS), Round(0), 44, 2 * CELL));
    // With evidence, the newer one takes over at once, between two beats.
    let now = Timestamp(net.clients[0].next_deadline().unwrap().0 - 1);
    let evidence = net.mix.evidence(net.announced(2));
    for i in 0..2 {
        net.show(i, now, evidence.clone());
    }
    net.beats(6);
    assert_eq!(net.received(1).last().unwrap(), b"later");
    assert_eq!(net.shown[0].last().unwrap().1, Round(2));
    for pair in net.shown[0].windows(2) {
        assert!(pair[0].0 < pair[1].0, "never two messages at one moment");
    }
}

#[test]
fn a_newer_round_takes_over_at_its_first_beat_also_for_whom_it_went_wrong() {
    let mut net = Net::new(2);
    net.set_up(0);
    net.beats(10);
    // The first client's replies of the next round are not what they had to be.
    net.round(1, &[0]);
    net.evidence(1);
    net.beats(25);
    // Two seconds are twenty beats.
    for shown in &net.shown {
        let rounds: Vec<_> = shown.iter().map(|(_, round, beat, _)| (round.0, *beat)).collect();
        let expected: Vec<_> =
            (0..20).map(|beat| (0, beat)).chain((0..10).map(|beat| (1, beat))).collect();
        assert_eq!(rounds[..30], expected);
    }
}

#[test]
fn without_a_part_in_the_round_that_runs_nothing_leaves() {
    let mut net = Net::new(2);
    net.set_up(0);
    net.beats(2);
    let evidence = net.mix.evidence(net.announced(1));
    net.show(0, time(&net.mix, 1), evidence);
    let before = net.shown[0].len();
    while let Some(due) = net.clients[0].next_deadline() {
        net.tick(0, due);
    }
    // Those of before its first beat, and none after.
    let shown = &net.shown[0];
    assert!(shown.len() > before && shown.iter().all(|shown| shown.1 == Round(0)));
    assert!(shown.last().unwrap().0 < net.announced(1).first_beat);
}

#[test]
fn evidence_that_does_not_hold_changes_nothing() {
    let mut net = Net::new(1);
    net.round(0, &[]);
    let announced = net.announced(0);
    let ToClient::Circuits { statements, .. } = net.mix.evidence(announced) else {
        panic!("no evidence")
    };
    let other_round = {
        let ToClient::Circuits { statements, .. } = net.mix.evidence(net.announced(1)) else {
            panic!("no evidence")
        };
        statements
    };
    let mut with_withheld = statements.clone();
    with_withheld[1] = net.mix.withheld(Round(0), 1);
    let mut other_secret = statements.clone();
    let secret = SealSecret({
        let mut bytes = [0; 32];
        bytes[0] = 7;
        bytes
    });
    let act = SealAct::Released { secret, announcement: announced.digest() };
    other_secret[2] = net.mix.stated(Round(0), 2, act);
    let twice = [&statements[..1], &statements[..2]].concat();
    let earlier = Announcement { first_beat: Timestamp(5), ..announced };
    let mut other_beats = announced;
    other_beats.beats.beat_ms += 1;
    let outside = Announcement { round: Round(7000), ..announced };
    let unknown = Announcement { epoch: Epoch(9), ..announced };
    for (announcement, statements, wanted) in [
        (announced, statements[..2].to_vec(), "one of each"),
        (announced, with_withheld, "withheld"),
        (announced, other_secret, "joint seal key"),
        (announced, twice, "something else"),
        (announced, other_round, "something else"),
        (earlier, statements.clone(), "another announcement"),
        (other_beats, statements.clone(), "otherwise"),
        (outside, statements.clone(), "outside"),
        (unknown, statements.clone(), "no document"),
    ] {
        let now = time(&net.mix, 0);
        net.show(0, now, ToClient::Circuits { announcement, statements });
        let Some(Output::Event(Event::EvidenceRefused { error, .. })) = net.outputs[0].pop() else {
            panic!("{wanted}: taken")
        };
        assert!(error.to_string().contains(wanted), "{wanted}: {error}");
    }
    net.evidence(0);
    net.beats(1);
}

#[test]
fn with_a_partner_who_is_not_verified_only_rounds_carry_content() {
    let mut net = Net::new(2);
    let first = net.clients[0].open_conversation(&opening(Role::First)).unwrap();
    let second = net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    net.clients[0].send(first, vec![1; 300]).unwrap();
    net.clients[1].send(second, vec![2; 300]).unwrap();
    net.set_up(0);
    net.beats(15);
    assert!(net.received(0).len() + net.received(1).len() <= 2, "the round's two bodies");
    // What the round's bodies brought is all: further messages wait for a round.
    net.clients[0].send(first, vec![3; 100]).unwrap();
    net.clients[1].send(second, vec![4; 100]).unwrap();
    let before = (net.received(0).len(), net.received(1).len());
    net.beats(10);
    assert_eq!((net.received(0).len(), net.received(1).len()), before);
    // Once both are verified, cells carry all of it.
    net.clients[0].set_verified(first, true);
    net.beats(10);
    assert_eq!(net.received(1).last(), Some(&vec![3; 100]));
    assert_eq!(net.received(0).last(), Some(&vec![4; 100]));
}

#[test]
fn a_client_that_is_linked_again_shows_the_tickets_of_its_circuits_and_goes_on() {
    let mut net = Net::new(2);
    net.set_up(0);
    net.beats(3);
    net.round(2, &[]);
    let now = net.clients[0].next_deadline().unwrap();
    let now = Timestamp(now.0 - 1);
    net.clients[0].handle(now, Input::Linked);
    let asked: Vec<_> = drain(&mut net.clients[0])
        .into_iter()
        .map(|output| match output {
            Output::Resume { round, .. } => round,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [Round(0), Round(2)]);
    net.beats(3);
    // Given up with its gateway, the circuits are gone.
    net.clients[0].handle(now, Input::LinkLost);
    drain(&mut net.clients[0]);
    assert_eq!(net.clients[0].next_deadline(), None);
    net.clients[0].handle(now, Input::Linked);
    assert!(drain(&mut net.clients[0]).is_empty());
}

/// Cells are in time by the gateway's clock, wherever the client's own is.
#[test]
fn a_clock_that_is_a_second_off_makes_no_cell_late() {
    for ahead_ms in [-1000_i64, 1000] {
        let mut net = Net::new(1);
        net.set_up(0);
        net.beats(2);
        // The gateway's clock turns out to be so much ahead of the client's own.
        let own = Timestamp(net.clients[0].next_deadline().unwrap().0 - 1);
        let theirs = |own: Timestamp| Timestamp(own.0.saturating_add_signed(ahead_ms));
        net.show(0, own, ToClient::Clock { now: theirs(own) });
        let before = net.shown[0].len();
        (0..15).for_each(|_| drop(net.cells(0)));
        for (at, _, beat, _) in &net.shown[0][before..] {
            assert_eq!(theirs(*at).0, net.announced(0).begins(*beat).0 - LAYER_MS);
        }
        assert!(net.shown[0].is_sorted_by(|one, next| one.2 < next.2), "no beat comes twice");
    }
}

#[test]
fn a_client_that_was_held_up_leaves_out_what_it_missed() {
    let mut net = Net::new(1);
    net.set_up(0);
    net.beats(2);
    let made = net.shown[0].len() as u64;
    let late = net.announced(0).begins(9);
    net.tick(0, late);
    let next = net.clients[0].next_deadline().unwrap();
    net.tick(0, next);
    let beats: Vec<_> = net.shown[0].iter().map(|shown| shown.2).collect();
    assert_eq!(beats, (0..made).chain([10]).collect::<Vec<_>>());
    // A clock that was set back makes no cell of a beat again.
    let early = net.announced(0).begins(1);
    net.tick(0, early);
    let next = net.clients[0].next_deadline().unwrap();
    net.tick(0, next);
    assert_eq!(net.shown[0].last().unwrap().2, 11);
}

#[test]
fn cells_that_a_gateway_makes_up_are_counted_and_change_nothing() {
    let mut net = Net::new(1);
    net.set_up(0);
    net.beats(2);
    let under_way = net.shown[0].last().unwrap().2;
    let epoch = Epoch(1);
    let all = [(0, 0, 512), (0, 1, 0), (0, 99, 512), (3, 1, 512), (0, under_way, 7)];
    let before = net.tally(0);
    for (round, beat, length) in all {
        let cells = Blob(vec![7; length]);
        let cells = ToClient::Cells { epoch, round: Round(round), beat, cells };
        net.show(0, time(&net.mix, 0), cells);
    }
    // Those of beats that are over, or not begun, are nothing.
    assert_eq!((before, net.tally(0)), ((4, 0), (4, 2)));
    net.beats(3);
    assert_eq!(net.tally(0), (8, 2));
    assert!(net.shown[0].iter().zip(0..).all(|(shown, beat)| shown.2 == beat));
}

/// Starts a client again from what is on its disk, just after its last cells left, and shows it whose beats run.
fn start_again(net: &mut Net, i: usize, seed: u64, rounds: &[u64]) {
    let mut again = client(&net.mix, seed, net.kept[i]);
    again.resume(&net.beside[i]).unwrap();
    document(&mut again, &net.mix);
    net.clients[i] = again;
    let now = time(&net.mix, rounds[rounds.len() - 1]);
    for round in rounds {
        let evidence = net.mix.evidence(net.announced(*round));
        net.show(i, now, evidence);
    }
}

#[test]
fn a_client_that_starts_again_goes_on_in_the_next_beat_and_uses_none_twice() {
    let mut net = Net::new(2);
    net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.set_up(0);
    net.beats(10);
    net.round(1, &[]);
    let newest = net.shown[0].last().unwrap().2;
    // It may start again as often as it likes, also without what it keeps beside its checkpoint.
    for seed in 5..8 {
        let mut again = client(&net.mix, seed, net.kept[0]);
        document(&mut again, &net.mix);
        again.handle(time(&net.mix, 1), Input::Linked);
        let asked = drain(&mut again).into_iter().map(|output| match output {
            Output::Resume { round, .. } => round,
            other => panic!("{other:?}"),
        });
        assert_eq!(asked.collect::<Vec<_>>(), [Round(0), Round(1)]);
        net.clients[0] = again;
        net.made[0].clear();
    }
    let now = time(&net.mix, 1);
    for round in [0, 1] {
        let evidence = net.mix.evidence(net.announced(round));
        (0..2).for_each(|i| net.show(i, now, evidence.clone()));
    }
    let before = net.shown[0].len();
    for _ in 0..20 {
        net.cells(0);
    }
    let resumed = &net.shown[0][before..];
    assert_eq!(resumed[0].2, newest + 1);
    let mut used: Vec<_> = net.shown[0].iter().map(|shown| (shown.1, shown.2)).collect();
    let all = used.len();
    used.dedup();
    assert!(used.is_sorted() && used.len() == all, "no beat twice: {used:?}");
    assert!(resumed.iter().all(|shown| shown.3 == 2 * CELL));
    assert_eq!(resumed.last().unwrap().1, Round(1), "and on to the newer round");
    // The moments are those of a client that never stopped.
    for (at, round, beat, _) in resumed {
        let announced = net.announced(round.0);
        assert_eq!(at.0, announced.begins(*beat).0 - LAYER_MS);
    }
}

#[test]
fn a_conversation_goes_on_though_both_ends_start_again_in_nearly_every_beat() {
    let mut net = Net::new(3);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    let second = net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    net.set_up(0);
    let sent = [message(2500), b"and then".to_vec(), Vec::new()];
    for message in &sent {
        net.clients[0].send(first, message.clone()).unwrap();
    }
    net.clients[1].send(second, b"back".to_vec()).unwrap();
    net.beats(1);
    for beat in 0..38 {
        if beat % 4 < 2 {
            start_again(&mut net, beat % 2, 100 + beat as u64, &[0]);
        }
        net.beats(1);
    }
    // What arrived is told in the beat in which it came, and on disk in the next: a client that starts again hears the
    // last of it once more, from its partner.
    let mut received = net.received(1);
    received.dedup();
    assert_eq!(received, sent);
    assert_eq!(net.received(0), [b"back".to_vec()]);
    let noticed = |output: &Output| {
        matches!(output, Output::Event(Event::Restarted { .. } | Event::PartnerFailed { .. }))
    };
    assert!(!net.outputs.iter().flatten().any(noticed));
    // The third never stopped, and its link shows the same.
    assert!(net.shown.iter().all(|shown| *shown == net.shown[2]));
    // The application opens it again, and nobody else does.
    let other = Opening { secret: ConversationSecret([8; 32]), ..verified(Role::First) };
    assert_eq!(net.clients[0].kept_conversation(&other), None);
    assert_eq!(net.clients[0].kept_conversation(&verified(Role::Second)), None);
    assert_eq!(net.clients[0].open_conversation(&verified(Role::First)), Ok(first));
    assert_eq!(net.clients[0].kept_conversation(&verified(Role::First)), None);
    let (next, under_way) = net.clients[0].unacknowledged(first);
    assert_eq!((next, under_way.len()), (MessageId(3), 0));
    // One that nobody opens again gives way, and one that is open does not.
    start_again(&mut net, 0, 99, &[0]);
    let other = net.clients[0].open_conversation(&other).unwrap();
    assert!(other != first && net.clients[0].open_conversation(&verified(Role::First)).is_err());
}

#[test]
fn what_is_kept_is_read_back_as_it_was_and_nothing_else_is() {
    let mut net = Net::new(2);
    let first = net.clients[0].open_conversation(&verified(Role::First)).unwrap();
    net.clients[1].open_conversation(&verified(Role::Second)).unwrap();
    net.clients[0].send(first, message(9000)).unwrap();
    net.set_up(0);
    net.beats(3);
    for i in 0..2 {
        let kept = net.clients[i].kept();
        let mut again = client(&net.mix, 9, net.kept[i]);
        again.resume(&kept).unwrap();
        assert_eq!(*again.kept(), *kept);
        for length in (0..kept.len()).step_by(61) {
            let mut other = client(&net.mix, 9, net.kept[i]);
            assert!(other.resume(&kept[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn a_backup_goes_on_with_no_circuits() {
    let mut net = Net::new(1);
    net.set_up(0);
    net.beats(3);
    let kept = net.kept[0].unwrap();
    let backup = kept.of_a_backup(&net.mix.network.policy, time(&net.mix, 0));
    let mut restored = client(&net.mix, 7, Some(backup));
    document(&mut restored, &net.mix);
    restored.handle(time(&net.mix, 0), Input::Linked);
    assert!(drain(&mut restored).is_empty());
    restored.handle(time(&net.mix, 0), Input::from(net.mix.evidence(net.announced(0))));
    drain(&mut restored);
    assert_eq!(restored.next_deadline(), None);
}
