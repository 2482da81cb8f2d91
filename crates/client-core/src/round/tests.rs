//! Rounds below the onions: clients whose deposits meet in a plain exchange.

use std::collections::VecDeque;

use antiphon_wire::{DEAD_DROP_BYTES, Epoch, Geometry, Round};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{Conversations, Place, Plan, Result};
use crate::conversation::Conversation;
use crate::{ConversationId, ConversationSecret, Event, Opening, PartnerError, Role, Start};

const BODY: usize = 256;
const ID: ConversationId = ConversationId(0);

fn place(round: u64, pairs: u8) -> Place {
    let geometry = Geometry::new(15, BODY as u16).unwrap();
    Place {
        epoch: Epoch(1 + round / 100),
        round: Round(round),
        turn: Round(round),
        geometry,
        pairs,
        cell: None,
    }
}

fn end(role: Role, pairs: u8, start: Start) -> Conversations {
    end_of(role, pairs, start, role as u64)
}

/// An end whose instance follows from `seed`.
fn end_of(role: Role, pairs: u8, start: Start, seed: u64) -> Conversations {
    let secret = ConversationSecret([4; 32]);
    let opening = Opening { pairs, ..Opening::new(secret, role, start) };
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    Conversations::from([(ID, Conversation::new(&opening, 1 << 20, 1 << 20, &mut rng))])
}

/// What the dead drops make of deposits: two at one swap bodies, any other number stay as they are.
fn exchange(deposits: &[&[u8]]) -> Vec<Vec<u8>> {
    let each = DEAD_DROP_BYTES + BODY;
    let all: Vec<&[u8]> = deposits.iter().flat_map(|of_client| of_client.chunks(each)).collect();
    let reply = |mine: usize| {
        let drop = &all[mine][..DEAD_DROP_BYTES];
        let here: Vec<_> = (0..all.len()).filter(|other| all[*other].starts_with(drop)).collect();
        let from = match here[..] {
            [a, b] => a + b - mine,
            _ => mine,
        };
        all[from][DEAD_DROP_BYTES..].to_vec()
    };
    let mut next = 0;
    deposits
        .iter()
        .map(|of_client| {
            let count = of_client.len() / each;
            next += count;
            (next - count..next).flat_map(reply).collect()
        })
        .collect()
}

/// What each end planned, until it has heard of the round, and the replies it will get.
type OpenRound = ([Option<Plan>; 2], [Vec<u8>; 2]);

struct Pair {
    ends: [Conversations; 2],
    rng: ChaCha20Rng,
    events: [Vec<Event>; 2],
}

impl Pair {
    fn new(pairs: u8, start: Start) -> Self {
        let ends = [end(Role::First, pairs, start), end(Role::Second, pairs, start)];
        Self { ends, rng: ChaCha20Rng::seed_from_u64(1), events: [Vec::new(), Vec::new()] }
    }

    /// Plays a round; each body that comes back is lost with probability `loss`. Returns for each end
    /// whether it was undisturbed.
    fn round(&mut self, place: Place, loss: f64) -> [bool; 2] {
        let plans = [0, 1].map(|i| {
            let events = &mut self.events[i];
            Plan::new(place, &mut self.ends[i], true, &mut self.rng, events)
        });
        let mut replies = exchange(&[plans[0].deposits(), plans[1].deposits()]);
        let mut well = [false; 2];
        for (i, plan) in plans.into_iter().enumerate() {
            for body in replies[i].chunks_exact_mut(BODY) {
                if self.rng.random_bool(loss) {
                    self.rng.fill(body);
                }
            }
            let result = Result::Replies(&mut replies[i]);
            well[i] = plan.settle(result, &mut self.ends[i], &mut self.events[i]).undisturbed;
        }
        well
    }

    /// Plays rounds of which each is over when `overlap` later ones have opened, and hears of it at
    /// each end just before the next opens or just after, at random. Returns the first after which
    /// the second end has received something.
    fn overlapping(&mut self, pairs: u8, overlap: usize, most: u64) -> Option<u64> {
        let mut open: VecDeque<OpenRound> = VecDeque::new();
        for round in 0..most {
            let early = [0, 1].map(|_| self.rng.random_bool(0.5));
            let opens_first = self.rng.random_bool(0.5);
            let mut plans = [None, None];
            for i in if opens_first { [0, 1] } else { [1, 0] } {
                let over = open.len() >= overlap;
                if over && early[i] {
                    self.settle_first(&mut open, i);
                }
                let (place, events) = (place(round, pairs), &mut self.events[i]);
                plans[i] = Some(Plan::new(place, &mut self.ends[i], true, &mut self.rng, events));
                if over && !early[i] {
                    self.settle_first(&mut open, i);
                }
            }
            open.pop_front_if(|(plans, _)| plans.iter().all(Option::is_none));
            let of = |i: usize| plans[i].as_ref().unwrap().deposits();
            let replies = exchange(&[of(0), of(1)]).try_into().unwrap();
            open.push_back((plans, replies));
            if !self.received(1).is_empty() {
                return Some(round);
            }
        }
        None
    }

    fn settle_first(&mut self, open: &mut VecDeque<OpenRound>, end: usize) {
        let (plans, replies) = &mut open[0];
        let result = Result::Replies(&mut replies[end]);
        let plan = plans[end].take().unwrap();
        assert!(plan.settle(result, &mut self.ends[end], &mut self.events[end]).undisturbed);
    }

    fn received(&self, end: usize) -> Vec<&[u8]> {
        let messages = self.events[end].iter().filter_map(|event| match event {
            Event::Received { message, .. } => Some(&message[..]),
            _ => None,
        });
        messages.collect()
    }

    fn send(&mut self, end: usize, message: &[u8]) {
        self.ends[end].get_mut(&ID).unwrap().send(message.to_vec()).unwrap();
    }
}

#[test]
fn twenty_kilobytes_arrive_over_lossy_rounds() {
    for (pairs, loss) in [(1, 0.0), (1, 0.1), (3, 0.05)] {
        let mut pair = Pair::new(pairs, Start::Dense);
        let message: Vec<u8> = (0..20_000).map(|i| (i * 7 % 251) as u8).collect();
        pair.send(0, &message);
        pair.send(1, b"and back");
        let rounds = (0..20_000).find(|round| {
            pair.round(place(*round, pairs), loss);
            !pair.received(1).is_empty()
        });
        let rounds = rounds.unwrap();
        assert_eq!(
            (pair.received(1), pair.received(0)),
            (vec![&message[..]], vec![&b"and back"[..]])
        );
        if loss == 0.0 {
            assert_eq!(rounds + 1, 20_000_u64.div_ceil(222).div_ceil(2));
        }
    }
}

#[test]
fn what_is_merely_in_flight_is_not_sent_again() {
    // With one more, half of what may be under way would wait for its acknowledgement.
    for overlap in 1..=7 {
        let mut pair = Pair::new(1, Start::Dense);
        pair.send(0, &[5; 20_000]);
        pair.send(1, &[6; 20_000]);
        let fragments = 20_000_u64.div_ceil(222);
        let arrived = pair.overlapping(1, overlap, 200).unwrap();
        // Two a round, and the last one's round has to end.
        assert_eq!(arrived, fragments.div_ceil(2) - 1 + overlap as u64, "{overlap}");
    }
}

#[test]
fn deposits_look_the_same_whatever_a_client_does() {
    let mut talking = Pair::new(1, Start::Dense);
    let mut silent = Conversations::new();
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut bodies = Vec::new();
    for round in 0..50 {
        if round == 20 {
            talking.send(0, &[0; 2000]);
        }
        let here = place(round, 2);
        let idle = Plan::new(here, &mut silent, true, &mut rng, &mut Vec::new());
        let open = Plan::new(here, &mut talking.ends[0], true, &mut rng, &mut Vec::new());
        assert_eq!(idle.deposits().len(), open.deposits().len());
        assert_eq!(idle.deposits().len(), 4 * (DEAD_DROP_BYTES + BODY));
        bodies.extend(open.deposits().chunks(DEAD_DROP_BYTES + BODY).map(|d| d[16..].to_vec()));
        bodies.extend(idle.deposits().chunks(DEAD_DROP_BYTES + BODY).map(|d| d[16..].to_vec()));
        open.settle(Result::Nullified, &mut talking.ends[0], &mut Vec::new());
    }
    // No two are alike, and no byte position favours a value.
    let ones: u32 = bodies.iter().flatten().map(|byte| byte.count_ones()).sum();
    let bits = (bodies.len() * BODY * 8) as f64;
    assert!((f64::from(ones) / bits - 0.5).abs() < 6.0 * 0.5 / bits.sqrt());
    for at in 0..BODY {
        let ones: u32 = bodies.iter().map(|body| body[at].count_ones()).sum();
        let bits = (bodies.len() * 8) as f64;
        assert!((f64::from(ones) / bits - 0.5).abs() < 6.0 * 0.5 / bits.sqrt(), "byte {at}");
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 50 * 8);
}

#[test]
fn an_undisturbed_round_shows_one_pair_per_pair_of_each_client() {
    let mut pair = Pair::new(1, Start::Dense);
    for round in 0..20 {
        let plans = [0, 1].map(|i| {
            Plan::new(place(round, 2), &mut pair.ends[i], true, &mut pair.rng, &mut Vec::new())
        });
        let mut drops: Vec<&[u8]> = plans
            .iter()
            .flat_map(|plan| plan.deposits().chunks(DEAD_DROP_BYTES + BODY))
            .map(|deposit| &deposit[..DEAD_DROP_BYTES])
            .collect();
        drops.sort_unstable();
        assert_eq!(drops.chunk_by(PartialEq::eq).map(<[_]>::len).collect::<Vec<_>>(), [2; 4]);
    }
}

#[test]
fn an_absent_partner_disturbs_meetings_and_idle_rounds_are_undisturbed() {
    let mut alone = end(Role::First, 1, Start::Dense);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut disturbed = 0;
    for round in 0..720 {
        let plan = Plan::new(place(round, 1), &mut alone, true, &mut rng, &mut Vec::new());
        let mut replies = exchange(&[plan.deposits()]).remove(0);
        let result = Result::Replies(&mut replies);
        disturbed += u32::from(!plan.settle(result, &mut alone, &mut Vec::new()).undisturbed);
    }
    assert!((9..20).contains(&disturbed), "{disturbed}");
}

#[test]
fn wrong_replies_are_noticed() {
    let mut nobody = Conversations::new();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for change in 0..4 {
        let plan = Plan::new(place(1, 1), &mut nobody, true, &mut rng, &mut Vec::new());
        let mut replies = exchange(&[plan.deposits()]).remove(0);
        match change {
            0 => replies[300] ^= 1,
            1 => replies.rotate_left(BODY),
            2 => replies.truncate(BODY),
            _ => {}
        }
        let result = Result::Replies(&mut replies);
        let returned = plan.settle(result, &mut nobody, &mut Vec::new());
        assert_eq!(returned.undisturbed, change == 3);
    }
}

#[test]
fn free_aborts_do_not_make_the_schedule_sparser_and_lose_nothing() {
    let mut pair = Pair::new(1, Start::Dense);
    pair.send(0, b"hello");
    for round in 0..10 {
        for i in [0, 1] {
            let events = &mut pair.events[i];
            let plan = Plan::new(place(round, 1), &mut pair.ends[i], true, &mut pair.rng, events);
            let returned = plan.settle(Result::Nullified, &mut pair.ends[i], events);
            assert!(!returned.undisturbed);
        }
    }
    assert_eq!(pair.round(place(10, 1), 0.0), [true, true]);
    assert_eq!(pair.received(1), [b"hello"]);
}

#[test]
fn closing_by_one_end_ends_both_at_the_same_round() {
    let mut pair = Pair::new(1, Start::Dense);
    for round in 0..40 {
        if round == 10 {
            pair.ends[1].get_mut(&ID).unwrap().close(Round(9));
        }
        let over = [0, 1].map(|i| pair.ends[i][&ID].is_over(Round(round)));
        assert_eq!(over, [round >= 26; 2], "{round}");
        if over[0] {
            break;
        }
        assert_eq!(pair.round(place(round, 1), 0.0), [true, true]);
    }
    let at = Round(26);
    let met = Event::Met { conversation: ID };
    assert_eq!(pair.events[0], [met, Event::Closing { conversation: ID, at }]);
}

#[test]
fn a_conversation_without_room_rests_and_says_so_once() {
    let mut pair = Pair::new(2, Start::Dense);
    for round in 0..5 {
        assert_eq!(pair.round(place(round, 1), 0.0), [true, true]);
    }
    assert_eq!(pair.events[0], [Event::NoRoom { conversation: ID }]);
    assert_eq!(pair.round(place(5, 2), 0.0), [true, true]);
}

#[test]
fn an_end_started_again_with_the_same_secret_is_noticed_by_both_and_both_close_together() {
    let mut pair = Pair::new(1, Start::Dense);
    pair.send(0, &[1; 5000]);
    for round in 0..4 {
        pair.round(place(round, 1), 0.0);
    }
    pair.ends[1] = end_of(Role::Second, 1, Start::Dense, 77);
    pair.events = [Vec::new(), Vec::new()];
    let over = (4..60).find(|&round| {
        let over = [0, 1].map(|i| pair.ends[i][&ID].is_over(Round(round)));
        assert_eq!(over[0], over[1], "round {round}");
        if !over[0] {
            assert_eq!(pair.round(place(round, 1), 0.0), [true, true]);
        }
        over[0]
    });
    assert!(over.is_some_and(|round| round <= 4 + 17), "{over:?}");
    // Said once, and nothing that comes of it is blamed on the partner.
    for events in &pair.events {
        assert_eq!(events[..], [Event::Restarted { conversation: ID }]);
    }
}

#[test]
fn two_ends_in_one_role_are_told_so() {
    let mut pair = Pair::new(1, Start::Dense);
    pair.ends[1] = end_of(Role::First, 1, Start::Dense, 77);
    assert_eq!(pair.round(place(0, 1), 0.0), [false, false]);
    let error = PartnerError::SameRole;
    let said = Event::PartnerFailed { conversation: ID, error };
    assert!(pair.events.iter().all(|events| events.contains(&said)));
    // Alone, an end finds its own body, which is nobody's fault.
    let mut alone = end(Role::First, 1, Start::Dense);
    let (mut rng, mut events) = (ChaCha20Rng::seed_from_u64(3), Vec::new());
    let plan = Plan::new(place(0, 1), &mut alone, true, &mut rng, &mut events);
    let mut replies = exchange(&[plan.deposits()]).remove(0);
    plan.settle(Result::Replies(&mut replies), &mut alone, &mut events);
    assert_eq!(events, []);
}
