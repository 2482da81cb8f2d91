//! Two people from nothing to a compared safety number, with all that passes between them as bytes.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use antiphon_contacts::{
    Acquaintance, BoxAddress, CallBox, CallRoot, CallRound, Comparison, ContactCode, Expiry,
    Identity, Intent, Introduction, Invitation, InvitationBox, InvitationRound, InvitationSecret,
    NetworkMark, OwnCodes, Phrase, Refresh, Roots, SafetyNumber, SessionSecret, Side, Token, Which,
};
use antiphon_wire::{Digest, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const NETWORK: Digest = Digest([5; 32]);
const NOW: Timestamp = Timestamp(1_790_000_000_000);
const KEPT: u64 = 20_160;
/// Where each of them listens.
const ADDRESSES: [BoxAddress; 2] = [BoxAddress(3), BoxAddress(200)];

type Ends = [(CallRoot, Side); 2];

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The codes of an end, of which one is for the other, and that code's text.
fn codes(end: usize) -> (OwnCodes, String) {
    let mut codes = OwnCodes::default();
    let mark = NetworkMark::of(&NETWORK);
    let code =
        codes.make("for my friend", mark, ADDRESSES[end], Expiry::NEVER, &mut rng(end as u64));
    let text = code.unwrap().code().to_text();
    (codes, text)
}

fn admitted(text: &str, own: &OwnCodes) -> ContactCode {
    ContactCode::parse(text).unwrap().admit(NetworkMark::of(&NETWORK), NOW, own).unwrap()
}

/// The second has given the first a code.
fn by_invitation() -> Ends {
    let (theirs, text) = codes(1);
    let code = admitted(&text, &OwnCodes::default());
    let round = InvitationRound(9);
    let mut rng = rng(40);
    let secret = InvitationSecret::draw(&mut rng);
    let invitation = Invitation::seal(&code, (ADDRESSES[0], &secret), round, &mut rng);
    let items = (0..30).map(|_| Invitation::noise(&mut rng)).chain([invitation]).collect();
    let published = InvitationBox::new(items).unwrap().to_bytes();
    let published = InvitationBox::from_bytes(&published).unwrap();
    let knock = theirs.knocks(&published, round, NOW).knocks.pop().unwrap();
    assert_eq!(knock.label(), "for my friend");
    let accepted = knock.accept();
    assert_eq!((accepted.partner, accepted.own), (ADDRESSES[0], ADDRESSES[1]));
    [(secret.root(&code, ADDRESSES[0]), Side::First), (accepted.root, accepted.side)]
}

fn by_both_codes() -> Ends {
    let ((mine, my_text), (theirs, their_text)) = (codes(0), codes(1));
    let [to_me, to_them] = [admitted(&my_text, &theirs), admitted(&their_text, &mine)];
    [CallRoot::of_codes(&mine.all()[0], &to_them), CallRoot::of_codes(&theirs.all()[0], &to_me)]
        .map(Result::unwrap)
}

fn by_phrase() -> Ends {
    let phrase = Phrase::generate(&mut rng(50));
    let heard = Phrase::parse(&phrase.to_text().to_uppercase()).unwrap();
    [(phrase.call_root(&NETWORK), Side::First), (heard.call_root(&NETWORK), Side::Second)]
}

fn by_introduction() -> Ends {
    let halves = Introduction::draw(ADDRESSES[0], ADDRESSES[1], &mut rng(60));
    halves.map(|half| {
        let half = Introduction::from_bytes(&half.to_bytes()).unwrap();
        (CallRoot::of_introduction(&half), half.side)
    })
}

/// Lets `caller` call in `round`; returns both ends' secrets of the session.
fn session(caller: &Roots, callee: &mut Roots, round: CallRound) -> [SessionSecret; 2] {
    let token = caller.token(round, Intent::Call).unwrap();
    let mut rng = rng(round.0);
    let noise = (0..500).map(|_| Token::new(rng.next_u64() >> 24).unwrap());
    let published = CallBox::new(noise.chain([token]).collect()).unwrap().to_bytes();
    let heard = callee.heard(round, &CallBox::from_bytes(&published).unwrap()).unwrap();
    assert_eq!((heard.intent, heard.root), (Intent::Call, Which::Current));
    [caller.session(round).unwrap(), callee.session_of(heard).unwrap()]
}

/// Refreshes the ends' roots in a session, and returns the safety number that each of them shows.
fn refreshed(
    ends: &mut [Roots; 2],
    sides: [Side; 2],
    session: [SessionSecret; 2],
) -> [SafetyNumber; 2] {
    let mut rng = rng(70);
    let [one, other] = session;
    let (a, b) =
        (Refresh::begin(sides[0], one, &mut rng), Refresh::begin(sides[1], other, &mut rng));
    let (of_a, of_b) = (*a.offer(), *b.offer());
    let (a, b) = (a.offered(&of_b, &mut rng).unwrap(), b.offered(&of_a, &mut rng).unwrap());
    let (to_b, to_a) = (*a.ciphertext(), *b.ciphertext());
    let mixed = [a.answered(&to_a).unwrap(), b.answered(&to_b).unwrap()];
    for (i, end) in ends.iter_mut().enumerate() {
        end.refreshed(mixed[i].root());
        mixed[i].confirmed(&mixed[1 - i].confirmation()).unwrap();
        end.confirmed(CallRound(101));
    }
    let identities = [1, 2].map(|of| Identity { agreement: [of; 32], signing: [of; 32] });
    [0, 1].map(|i| {
        let known = Acquaintance::new(identities[i], identities[1 - i], mixed[i].binding());
        known.safety_number()
    })
}

#[test]
fn two_people_meet_by_each_of_the_four_ways_and_whoever_learns_the_first_root_is_left_behind() {
    for way in [by_invitation, by_both_codes, by_phrase, by_introduction] {
        let begun = way();
        let sides = [begun[0].1, begun[1].1];
        let mut ends = begun.clone().map(|(root, side)| Roots::new(side, &root, KEPT));
        let [one, other] = &mut ends;
        let secrets = session(one, other, CallRound(100));
        assert_eq!(secrets[0].0, secrets[1].0);
        let numbers = refreshed(&mut ends, sides, secrets);
        assert_eq!(numbers[0].to_string(), numbers[1].to_string());
        assert_eq!(numbers[0].compare(&numbers[1].qr_bytes()), Ok(Comparison::Same));
        // The other end calls next, under the new root.
        let [one, other] = &mut ends;
        let secrets = session(other, one, CallRound(200));
        assert_eq!(secrets[0].0, secrets[1].0);
        let [(root, side), _] = begun;
        let thief = Roots::new(side, &root, KEPT);
        assert_ne!(thief.session(CallRound(200)).unwrap().0, secrets[0].0);
        assert_ne!(
            thief.token(CallRound(200), Intent::Call),
            one.token(CallRound(200), Intent::Call)
        );
    }
}
