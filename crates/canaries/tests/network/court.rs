//! What is heard, and what is refused.

use std::collections::BTreeMap;

use antiphon_canaries::{
    Ask, Canary, CanaryMessage, Court, Facts, Leg, Print, Refusal, Statement, Told, Watch,
};
use antiphon_onion::{BeatContext, CellBytes, CircuitKey, CircuitKeys};
use antiphon_wire::{
    Digest, Direction, Epoch, Layer, Round, ShardIndex, Signable, Signed, Timestamp,
};
use zeroize::Zeroizing;

use crate::model::{identities, key_of, members};

const SHARDS: usize = 9;
const ME: ShardIndex = ShardIndex(1);

fn facts() -> Facts {
    let cell = CellBytes::new(64).expect("cells have such sizes");
    // In this round those with odd numbers have a turn.
    Facts { epoch: Epoch(2), round: Round(7), layers: 2, shards: SHARDS, cell }
}

fn court() -> Court {
    let mut court = Court::default();
    court.open(facts(), members(SHARDS), Timestamp(1000));
    court
}

fn hear(court: &mut Court, from: usize, message: &CanaryMessage) -> Result<bool, Refusal> {
    court.hear(&identities(SHARDS)[from], message)
}

fn signed<T: Signable>(content: T, by: usize) -> Signed<T> {
    Signed::new(content, &key_of(by))
}

fn ask(shard: u16, beat: u64) -> Ask {
    Ask { epoch: facts().epoch, round: facts().round, beat, shard: ShardIndex(shard) }
}

fn statement(shard: u16, beat: u64) -> Statement {
    let Facts { epoch, round, .. } = facts();
    let beats = BTreeMap::from([(beat, Told::default())]);
    Statement { epoch, round, shard: ShardIndex(shard), beats }
}

fn canary() -> Canary {
    let hops = [[2, 3], [4, 3]].map(|hops| hops.map(ShardIndex).to_vec());
    let keys = (0..4).map(|byte| CircuitKey::from_bytes([byte; 32])).collect();
    Canary::new(hops, CircuitKeys::of_circuits(2, keys), Zeroizing::new([5; 32]))
}

fn context(beat: u64) -> BeatContext {
    let Facts { epoch, round, cell, .. } = facts();
    BeatContext { epoch, round, beat, cell }
}

#[test]
fn a_shard_asks_once_in_its_turn_and_for_itself() {
    let mut court = court();
    let mut asks = |from: usize, ask: Ask, by: usize| {
        hear(&mut court, from, &CanaryMessage::Ask(signed(ask, by)))
    };
    assert_eq!(asks(2, ask(2, 0), 2), Err(Refusal::Other), "it has no turn");
    assert_eq!(asks(1, ask(3, 0), 1), Err(Refusal::Other), "for another");
    assert!(matches!(asks(1, ask(1, 0), 3), Err(Refusal::Signature(_))));
    assert_eq!(asks(1, ask(1, 0), 1), Ok(true));
    assert_eq!(asks(1, ask(1, 1), 1), Err(Refusal::Other), "it has asked");
}

#[test]
fn whoever_makes_two_statements_is_named_for_it() {
    let mut court = court();
    let mut states = |beat| {
        let message = CanaryMessage::Statement(signed(statement(4, beat), 4));
        hear(&mut court, 4, &message)
    };
    assert_eq!(states(0), Ok(false), "the others have no use for it");
    assert_eq!(states(0), Ok(false), "it is the same");
    assert_eq!(states(1), Err(Refusal::Twice(ShardIndex(4))));
    let named = court.name(|_| 1, 1);
    assert_eq!(named.garblers, [members(SHARDS)[4]].into());
    assert!(named.late.is_empty());
}

#[test]
fn what_is_opened_is_of_a_beat_that_was_asked_for_and_only_its_lists_are_looked_at() {
    let mut court = court();
    let opening = CanaryMessage::Opening(signed(canary().open(context(0), ME), 1));
    assert_eq!(hear(&mut court, 1, &opening), Err(Refusal::Other), "nobody asked");
    assert_eq!(hear(&mut court, 3, &CanaryMessage::Ask(signed(ask(3, 0), 3))), Ok(true));
    assert_eq!(hear(&mut court, 2, &opening), Err(Refusal::Other), "it is another's");
    assert_eq!(hear(&mut court, 1, &opening), Ok(true));

    // The first hop of the first circuit shows what it received, once.
    let leg = |receiver| Leg {
        layer: Layer(1),
        direction: Direction::Forward,
        sender: ME,
        receiver: ShardIndex(receiver),
    };
    let list = |receiver: u16| {
        let Facts { epoch, round, .. } = facts();
        let prints = Vec::new();
        antiphon_canaries::List { epoch, round, beat: 0, leg: leg(receiver), prints }
    };
    let shows = |court: &mut Court, receiver| {
        hear(court, usize::from(receiver), &CanaryMessage::List(list(receiver)))
    };
    assert_eq!(shows(&mut court, 2), Err(Refusal::Unnamed), "no statement has it");
    let received = BTreeMap::from([(leg(2), Some(list(2).digest()))]);
    let told = Told { received, ..Told::default() };
    let stated = Statement { beats: BTreeMap::from([(0, told)]), ..statement(2, 0) };
    let stated = CanaryMessage::Statement(signed(stated, 2));
    assert_eq!(hear(&mut court, 2, &stated), Ok(false));
    assert_eq!(shows(&mut court, 2), Ok(false), "the others have no use for it");
    assert_eq!(shows(&mut court, 2), Err(Refusal::Other), "it is known");
    assert_eq!(shows(&mut court, 5), Err(Refusal::Other), "nothing went there");
}

#[test]
fn statements_about_legs_that_the_round_does_not_have_are_refused() {
    let far = Leg {
        layer: Layer(3),
        direction: Direction::Forward,
        sender: ShardIndex(2),
        receiver: ShardIndex(4),
    };
    let told = Told { sent: BTreeMap::from([(far, Digest::default())]), ..Told::default() };
    let stated = Statement { beats: BTreeMap::from([(0, told)]), ..statement(2, 0) };
    let message = CanaryMessage::Statement(signed(stated, 2));
    assert_eq!(hear(&mut court(), 2, &message), Err(Refusal::Other));
}

#[test]
fn nothing_is_opened_or_shown_while_tables_are_there() {
    let key = key_of(1);
    let mut watch = Watch::new(facts(), ME, identities(SHARDS), vec![canary()]);
    let leg =
        Leg { layer: Layer(1), direction: Direction::Forward, sender: ME, receiver: ShardIndex(2) };
    watch.sent(0, leg, vec![Print([3; 8])]);
    let asks = watch.home(0, &[0; 128], &key);
    assert!(matches!(asks, Some(CanaryMessage::Ask(_))), "it came back broken");
    assert!(watch.home(1, &[0; 128], &key).is_none(), "it has asked");
    let shown = CanaryMessage::Opening(signed(canary().open(context(0), ME), 1));
    assert!(watch.hear(&shown).is_empty(), "tables are there");
    assert!(matches!(watch.erased(&key), Some(CanaryMessage::Statement(_))));
    // The maker's own first leg is named by its own canary, and shown now.
    assert!(matches!(watch.hear(&shown)[..], [CanaryMessage::List(_)]));
    assert!(matches!(watch.expired(&key)[..], [CanaryMessage::Opening(_)]), "by the schedule");
    assert!(watch.expired(&key).is_empty(), "a canary is opened once");
}
