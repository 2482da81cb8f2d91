//! Byte forms: one for each value, and never another.

use antiphon_canaries::{
    Ask, CanaryMessage, Leg, List, MOST_BEATS_KEPT, OpenCircuit, Opening, Print, Statement, Told,
};
use antiphon_onion::CircuitKey;
use antiphon_wire::{
    Blob, Decode as _, Digest, Direction, Encode as _, Epoch, Layer, Round, ShardIndex, Signable,
    Signed,
};
use proptest::prelude::*;

use crate::model::key_of;

fn leg(sender: u16, receiver: u16) -> Leg {
    let (sender, receiver) = (ShardIndex(sender), ShardIndex(receiver));
    Leg { layer: Layer(2), direction: Direction::Reply, sender, receiver }
}

fn statement() -> Statement {
    let told = Told {
        sent: [(leg(1, 0), Digest([3; 32]))].into(),
        received: [(leg(0, 1), None), (leg(2, 1), Some(Digest([4; 32])))].into(),
    };
    Statement { epoch: Epoch(5), round: Round(6), shard: ShardIndex(1), beats: [(7, told)].into() }
}

fn opening() -> Opening {
    let circuit = |number| OpenCircuit {
        hops: vec![ShardIndex(2), ShardIndex(number)],
        keys: vec![CircuitKey::from_bytes([8; 32]), CircuitKey::from_bytes([9; 32])],
        content: Blob(vec![10; 3]),
    };
    let maker = ShardIndex(1);
    Opening { epoch: Epoch(5), round: Round(6), beat: 7, maker, circuits: [circuit(3), circuit(4)] }
}

fn messages() -> Vec<CanaryMessage> {
    let key = key_of(1);
    let (epoch, round, beat) = (Epoch(5), Round(6), 7);
    let list = List { epoch, round, beat, leg: leg(1, 0), prints: vec![Print(*b"a print.")] };
    let ask = Ask { epoch, round, beat, shard: ShardIndex(1) };
    vec![
        CanaryMessage::Ask(Signed::new(ask, &key)),
        CanaryMessage::Statement(Signed::new(statement(), &key)),
        CanaryMessage::Opening(Signed::new(opening(), &key)),
        CanaryMessage::List(list),
    ]
}

#[test]
fn every_message_is_read_as_it_was_written_and_no_shorter_or_longer() {
    for message in messages() {
        let bytes = message.to_bytes();
        let read = CanaryMessage::from_bytes(&bytes).unwrap();
        assert_eq!(read.to_bytes(), bytes, "{message:?}");
        for end in 0..bytes.len() {
            assert!(CanaryMessage::from_bytes(&bytes[..end]).is_err());
        }
        assert!(CanaryMessage::from_bytes(&[bytes, vec![0]].concat()).is_err());
    }
}

#[test]
fn byte_forms_are_those_of_the_book() {
    let heads: Vec<_> =
        messages().iter().map(|message| hex::encode(&message.to_bytes()[..26])).collect();
    let beat = "000000000000000500000000000000060000000000000007";
    assert_eq!(heads[0], format!("00{beat}00"));
    // A statement has its shard before its beats.
    assert_eq!(heads[1], format!("01{}000100000001000000", &beat[..32]));
    assert_eq!(heads[2], format!("02{beat}00"));
    assert_eq!(heads[3], format!("03{beat}02"));
    let sent = "00000001".to_owned() + "020100010000" + &"03".repeat(32);
    let received = "00000002".to_owned() + "02010000000100" + "02010002000101" + &"04".repeat(32);
    let told = hex::encode(statement().beats[&7].to_bytes());
    assert_eq!(told, sent + &received);
}

#[test]
fn each_kind_is_signed_under_a_context_of_its_own() {
    let contexts = [Ask::CONTEXT, Statement::CONTEXT, Opening::CONTEXT];
    let distinct: std::collections::BTreeSet<_> = contexts.iter().collect();
    assert_eq!(distinct.len(), contexts.len());
    assert!(contexts.iter().all(|context| context.starts_with("antiphon v1 ")));
}

#[test]
fn statements_of_others_batches_of_too_many_beats_or_out_of_order_are_refused() {
    let read = |statement: &Statement| Statement::from_bytes(&statement.to_bytes());
    assert_eq!(read(&statement()).as_ref(), Ok(&statement()));
    let mut others = statement();
    others.shard = ShardIndex(2);
    assert!(read(&others).is_err());
    let mut many = statement();
    (0..=MOST_BEATS_KEPT as u64).for_each(|beat| drop(many.beats.insert(beat, Told::default())));
    assert!(read(&many).is_err());
    let bytes = statement().to_bytes();
    // Two received legs, the first of which has no list: in the other order they are no form of anything.
    let at = bytes.len() - (6 + 1) - (6 + 33);
    let (first, second) = bytes[at..].split_at(7);
    assert!(Statement::from_bytes(&[&bytes[..at], second, first].concat()).is_err());
}

proptest! {
    #[test]
    fn whatever_comes_is_read_in_one_form_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        tag in 0u8..5,
    ) {
        let bytes = [vec![tag], bytes].concat();
        if let Ok(message) = CanaryMessage::from_bytes(&bytes) {
            prop_assert_eq!(message.to_bytes(), bytes);
        }
    }
}
