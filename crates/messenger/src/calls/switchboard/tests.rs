//! Ends that call each other through boxes, on a clock that is turned by hand.

mod away;

use antiphon_contacts::{BoxAddress, CallRoot, Introduction};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::super::line::CallMarks;
use super::*;

pub(super) const SERVICES: Services = Services::USUAL;
const MINUTE_MS: u64 = 60_000;

/// One end, with what it was told to do.
pub(super) struct End {
    pub(super) board: Switchboard,
    pub(super) opened: Vec<(ContactId, CallRound, Round)>,
    pub(super) ended: usize,
    pub(super) calls: usize,
    /// Secrets of the sessions, by contact and call round.
    pub(super) secrets: BTreeMap<(ContactId, u64), [u8; 32]>,
}

pub(super) fn contact(number: usize) -> ContactId {
    ContactId([number as u8; 16])
}

/// The lines of two ends to each other, as an introduction makes them.
pub(super) fn lines(seed: u64) -> [Line; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    Introduction::draw(BoxAddress(0), BoxAddress(0), &mut rng).map(|half| {
        let roots = Roots::new(half.side, &CallRoot::of_introduction(&half), 20_160);
        Line::new(roots, 0, CallMarks::default())
    })
}

impl End {
    pub(super) fn new(places: usize) -> Self {
        let mut board = Switchboard::new(SERVICES, 500, None);
        board.set_places(places);
        Self { board, opened: Vec::new(), ended: 0, calls: 0, secrets: BTreeMap::new() }
    }

    /// The session that stands with a contact.
    pub(super) fn session(&self, with: usize) -> Option<CallRound> {
        self.board.line(contact(with)).unwrap().marks.session
    }

    /// Takes what there is to be done.
    pub(super) fn act(&mut self) {
        while let Some(act) = self.board.poll() {
            match act {
                Act::Open { contact, first } => {
                    let line = self.board.line(contact).unwrap();
                    let session = line.marks.session.unwrap();
                    if let Some(secret) = line.roots.session(session) {
                        self.secrets.insert((contact, session.0), secret.0);
                    }
                    self.opened.push((contact, session, first));
                }
                Act::End(_) => self.ended += 1,
                Act::Keep(_) | Act::Confirm(..) | Act::Read(_) => {}
            }
        }
    }

    /// The posting of this end for a call round, if it has one.
    pub(super) fn post(&mut self, now: Timestamp, round: Round) -> Option<Posting> {
        let last = Round(round.0 - 1);
        let (contact, intent) = self.board.next(now, last)?;
        let postings = self.board.postings(contact, intent, last);
        let posting = *postings.iter().find(|posting| posting.round == round)?;
        self.board.posted(contact, intent, round);
        self.calls += 1;
        Some(posting)
    }
}

/// Plays a call round among the ends that are there; `aborted`, nothing of it is published.
pub(super) fn play(ends: &mut [&mut End], now: Timestamp, round: Round, aborted: bool) {
    let posted: Vec<Token> = ends
        .iter_mut()
        .filter_map(|end| match end.post(now, round)?.item {
            Item::Call(token) => Some(token),
            Item::Invitation(_) => None,
        })
        .collect();
    let published = CallBox::new(posted).unwrap();
    for end in ends {
        match aborted {
            true => end.board.missed(round),
            false => end.board.read(round, 0, &published),
        }
        end.act();
    }
}

/// The call round number `turn`, and its time.
fn turn(number: u64) -> (Timestamp, Round) {
    let rounds = (0..).map(Round).filter(|round| SERVICES.of(*round) == RoundKind::Calls);
    let mut rounds = rounds.skip(number as usize);
    let round = rounds.next().expect("there are always more");
    (Timestamp(1 << 40).plus_ms(number * MINUTE_MS), round)
}

/// Two ends that are each other's contacts: each names the other with its own number.
fn pair() -> [End; 2] {
    let mut ends = [End::new(1), End::new(1)];
    for (i, line) in lines(1).into_iter().enumerate() {
        ends[i].board.add(contact(1 - i), line);
    }
    ends
}

fn both(ends: &mut [End; 2], number: u64, aborted: bool) {
    let (now, round) = turn(number);
    let [one, other] = ends;
    play(&mut [one, other], now, round, aborted);
}

#[test]
fn a_call_and_its_answer_open_one_session_at_both_ends_in_the_same_round() {
    let mut ends = pair();
    ends[0].board.wants(contact(1), true);
    assert_eq!(ends[0].board.state(Timestamp(0), contact(1)), Some(TalkState::Calling));
    assert_eq!(ends[1].board.state(Timestamp(0), contact(0)), Some(TalkState::Asleep));
    both(&mut ends, 0, false);
    assert!(ends.iter().all(|end| end.opened.is_empty()));
    both(&mut ends, 1, false);
    let session = CallRound(turn(1).1.0);
    for (i, end) in ends.iter().enumerate() {
        assert_eq!(end.opened, [(contact(1 - i), session, Round(session.0 + LEAD))]);
        assert_eq!((end.calls, end.board.state(Timestamp(0), contact(1 - i))), (1, None));
    }
    // Nothing more is said in call rounds while it stands.
    (2..100).for_each(|number| both(&mut ends, number, false));
    assert!(ends.iter().all(|end| end.calls == 1 && end.opened.len() == 1));
}

/// A session may break off after either message of a greeting.
#[test]
fn wherever_a_fresh_root_was_left_the_next_call_opens_a_session_under_it() {
    for (i, confirmed) in [(0, false), (0, true), (1, false), (1, true)] {
        for caller in 0..2 {
            let mut ends = pair();
            both(&mut ends, 0, false);
            let [fresh, _] = Introduction::draw(
                BoxAddress(0),
                BoxAddress(0),
                &mut ChaCha20Rng::seed_from_u64(5),
            );
            let fresh = CallRoot::of_introduction(&fresh);
            for (end, other) in [(0, 1), (1, 0)] {
                let line = ends[end].board.lines.get_mut(&contact(other)).unwrap();
                line.roots.refreshed(&fresh);
                if confirmed && end == i {
                    line.roots.confirmed(CallRound(12));
                }
            }
            ends[caller].board.wants(contact(1 - caller), true);
            (1..12).for_each(|number| both(&mut ends, number, false));
            assert!(ends[0].session(1).is_some(), "{i} {confirmed} {caller}");
            assert_eq!(ends[0].session(1), ends[1].session(0));
            let secret = |end: usize| {
                let call = ends[end].session(1 - end).unwrap();
                let (contact, opened, _) = *ends[end].opened.last().unwrap();
                assert_eq!(opened, call);
                ends[end].secrets[&(contact, call.0)]
            };
            assert_eq!(secret(0), secret(1), "{i} {confirmed} {caller}");
        }
    }
}

#[test]
fn two_that_call_at_once_open_one_session() {
    let mut ends = pair();
    (0..2).for_each(|i| ends[i].board.wants(contact(1 - i), true));
    (0..5).for_each(|number| both(&mut ends, number, false));
    assert!(ends.iter().all(|end| end.opened.len() == 1 && end.ended == 0));
    assert_eq!(ends[0].session(1), ends[1].session(0));
}

#[test]
fn who_has_lost_the_session_calls_and_both_begin_another() {
    let mut ends = pair();
    ends[0].board.wants(contact(1), true);
    (0..3).for_each(|number| both(&mut ends, number, false));
    // The second end's profile was restored: it has the roots of before, and no session.
    let [_, mut line] = lines(1);
    line.marks.session = ends[1].session(0);
    line.begin(false);
    ends[1] = End::new(1);
    ends[1].board.add(contact(0), line);
    (3..6).for_each(|number| both(&mut ends, number, false));
    assert_eq!((ends[0].ended, ends[0].opened.len(), ends[1].opened.len()), (1, 2, 1));
    assert_eq!(ends[0].opened[1].1, ends[1].opened[0].1);
}

#[test]
fn after_an_absence_everybody_with_whom_no_session_stands_is_called_once() {
    let mut ends = pair();
    let [one, other] = &mut ends;
    let (now, round) = turn(0);
    play(&mut [one, other], now, round, false);
    // A few that were missed are nothing.
    let (now, round) = turn(MISSED_TURNS);
    play(&mut [one], now, round, false);
    let (now, round) = turn(MISSED_TURNS + 1);
    play(&mut [one], now, round, false);
    assert_eq!(one.calls, 0);
    for number in 20..40 {
        let (now, round) = turn(number);
        play(&mut [one], now, round, false);
    }
    assert_eq!(one.calls, 1);
}

#[test]
fn with_one_place_contacts_have_a_session_one_after_the_other_and_nobody_is_left_alone() {
    let mut center = End::new(1);
    let mut others: Vec<End> = (0..3).map(|_| End::new(1)).collect();
    for (i, other) in others.iter_mut().enumerate() {
        let [mine, theirs] = lines(10 + i as u64);
        center.board.add(contact(i), mine);
        other.board.add(contact(9), theirs);
        other.board.wants(contact(9), true);
    }
    let mut served = [0; 3];
    for number in 0..120 {
        let (now, round) = turn(number);
        let mut all: Vec<&mut End> = vec![&mut center];
        all.extend(&mut others);
        play(&mut all, now, round, false);
        let standing: Vec<usize> = (0..3).filter(|i| center.session(*i).is_some()).collect();
        assert!(standing.len() <= 1);
        for (i, other) in others.iter_mut().enumerate() {
            assert_eq!(other.session(9), center.session(i));
            // All that it had to say is said, and both agree to end.
            if number % 5 == 4
                && let Some(session) = center.session(i)
            {
                served[i] += 1;
                center.board.over(now, contact(i), session, false);
                other.board.wants(contact(9), false);
                other.board.over(now, contact(9), session, false);
            }
        }
    }
    assert!(served.iter().all(|times| *times >= 1), "{served:?}");
}

#[test]
fn a_place_that_somebody_waits_for_is_asked_for() {
    let mut ends = pair();
    ends[0].board.wants(contact(1), true);
    (0..3).for_each(|number| both(&mut ends, number, false));
    assert!(!ends[0].board.wants_place());
    let [line, _] = lines(2);
    ends[0].board.add(contact(5), line);
    assert!(!ends[0].board.wants_place());
    ends[0].board.wants(contact(5), true);
    assert!(ends[0].board.wants_place());
    assert_eq!(ends[0].board.state(Timestamp(0), contact(5)), Some(TalkState::NoPlace));
}

#[test]
fn the_place_of_a_contact_that_is_let_go_is_free_once_its_session_has_been_closed() {
    let mut ends = pair();
    ends[0].board.wants(contact(1), true);
    (0..3).for_each(|number| both(&mut ends, number, false));
    let [line, _] = lines(2);
    ends[0].board.add(contact(5), line);
    ends[0].board.wants(contact(5), true);
    ends[0].board.remove(contact(1));
    let [end, _] = &mut ends;
    let calls = |number| {
        let (now, round) = turn(number);
        play(&mut [&mut *end], now, round, false);
        end.calls
    };
    let calls: Vec<_> = (3..10).map(calls).collect();
    assert_eq!(calls, [1, 1, 1, 1, 1, 2, 2]);
}

#[test]
fn whoever_has_sessions_fall_asleep_gets_three_at_once_and_then_one_in_three_hours() {
    let mut ends = pair();
    ends[0].board.wants(contact(1), true);
    let mut slept = Vec::new();
    for number in 0..2000 {
        both(&mut ends, number, false);
        if let Some(session) = ends[0].session(1) {
            slept.push(number);
            let (now, _) = turn(number);
            ends[0].board.over(now, contact(1), session, true);
            ends[1].board.over(now, contact(0), session, true);
        }
    }
    let first: Vec<_> = slept.iter().take_while(|number| **number < 60).collect();
    assert_eq!(first.len(), 3);
    let day = slept.iter().filter(|number| (100..100 + 24 * 60).contains(*number)).count();
    assert!((4..=8).contains(&day), "{day} sessions in a day");
}

#[test]
fn a_phrase_that_nobody_puts_in_is_called_for_two_days_and_no_more() {
    let [mine, _] = lines(3);
    let mut end = End::new(1);
    let (until, _) = turn(100);
    end.board.add(contact(1), mine.until(Some(until)));
    end.board.wants(contact(1), true);
    let calls: Vec<_> = (0..400)
        .map(|number| {
            let (now, round) = turn(number);
            play(&mut [&mut end], now, round, false);
            end.calls
        })
        .collect();
    assert!(calls[99] > 3 && calls[99] == calls[399], "{calls:?}");
    assert_eq!(end.board.state(until, contact(1)), Some(TalkState::Lapsed));
}

#[test]
fn calls_are_counted_and_rest_when_as_many_have_left_as_are_covered() {
    let [mine, _] = lines(3);
    let mut end = End::new(1);
    end.board.most_calls = 5;
    end.board.add(contact(1), mine);
    end.board.wants(contact(1), true);
    for number in 0..2000 {
        let (now, round) = turn(number);
        play(&mut [&mut end], now, round, false);
    }
    assert_eq!(end.calls, 5);
    assert_eq!(end.board.line(contact(1)).unwrap().marks.calls, 5);
    assert_eq!(end.board.state(Timestamp(0), contact(1)), Some(TalkState::CallsUsedUp));
}

proptest! {
    /// Boxes are the same for all, so the ends always agree on whether a session stands, and on which.
    #[test]
    fn no_end_is_ever_in_a_session_without_the_other(
        turns in prop::collection::vec((any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), any::<bool>()), 1..60),
    ) {
        let mut ends = pair();
        for (number, (one, other, aborted, over)) in (0..).zip(turns) {
            ends[0].board.wants(contact(1), one);
            ends[1].board.wants(contact(0), other);
            both(&mut ends, number, aborted);
            prop_assert_eq!(ends[0].session(1), ends[1].session(0));
            if over && let Some(session) = ends[0].session(1) {
                let (now, _) = turn(number);
                ends[0].board.over(now, contact(1), session, false);
                ends[1].board.over(now, contact(0), session, false);
            }
        }
        prop_assert_eq!(ends[0].ended + ends[1].ended, 0);
    }
}
