//! Bytes from anybody are read or refused, and what is read has no second form.

use antiphon_wire::{
    Decode, DecodeError, Encode, EpochDocument, FromClient, Layer, PeerMessage, Round,
    SignedDocument, ToClient, ToCoordinator, ToShard,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::strategies::*;

fn is_canonical<T: Encode + Decode>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

fn all_messages(bytes: &[u8]) -> Result<(), TestCaseError> {
    is_canonical::<PeerMessage>(bytes)?;
    is_canonical::<ToCoordinator>(bytes)?;
    is_canonical::<ToShard>(bytes)?;
    is_canonical::<FromClient>(bytes)?;
    is_canonical::<ToClient>(bytes)?;
    is_canonical::<SignedDocument>(bytes)
}

/// A valid message of some kind.
fn some_message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        peer_message().prop_map(|message| message.to_bytes()),
        to_coordinator().prop_map(|message| message.to_bytes()),
        to_shard().prop_map(|message| message.to_bytes()),
        from_client().prop_map(|message| message.to_bytes()),
        to_client().prop_map(|message| message.to_bytes()),
        signed_document().prop_map(|message| message.to_bytes()),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        all_messages(&bytes)?;
    }

    /// With a tag that exists, reading gets further.
    #[test]
    fn any_bytes_behind_a_tag_are_read_or_refused(
        tag in 0u8..10,
        mut bytes in vec(prop_oneof![Just(0u8), any::<u8>()], 1..400),
    ) {
        bytes[0] = tag;
        all_messages(&bytes)?;
    }

    #[test]
    fn a_damaged_message_is_read_in_one_form_or_refused(
        mut bytes in some_message(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        all_messages(&bytes)?;
    }
}

#[test]
fn an_address_has_one_text() {
    let read = |text: &str| {
        let mut bytes = (text.len() as u16).to_bytes();
        bytes.extend_from_slice(text.as_bytes());
        std::net::SocketAddr::from_bytes(&bytes)
    };
    assert!(read("127.0.0.1:80").is_ok());
    assert!(read("[::1]:80").is_ok());
    for text in ["127.0.0.1:080", "[0::1]:80", "[::A]:80", "[::1%0]:80", "::1", "localhost:80", ""]
    {
        assert_eq!(read(text), Err(DecodeError::OutOfRange("address")), "{text}");
    }
}

/// Numbers from outside are counted with before anything else about them is known.
#[test]
fn the_largest_numbers_can_be_counted_with() {
    assert_eq!(Round(u64::MAX).next(), Round(u64::MAX));
    assert_eq!(Layer(u8::MAX).next(), Layer(u8::MAX));
    let mut document = document_without_shards();
    for (first, last, rounds) in [
        (5, 5, 1),
        (5, 4, 0),
        (u64::MAX, u64::MAX, 1),
        (u64::MAX, 0, 0),
        (1, u64::MAX, u64::MAX),
        (0, u64::MAX, u64::MAX),
    ] {
        (document.first_round, document.last_round) = (Round(first), Round(last));
        assert_eq!(document.rounds(), rounds, "{first} to {last}");
    }
}

/// Nothing but zeros: the smallest document.
fn document_without_shards() -> EpochDocument {
    let mut bytes = vec![0; 2 + 32 + 5 * 8 + 32];
    bytes.extend_from_slice(&[0; 7 + 5 * 4 + 12]);
    bytes.extend_from_slice(&[0; 3 * 4]);
    EpochDocument::from_bytes(&bytes).expect("empty lists behind the fixed fields")
}

#[test]
fn an_unknown_kind_is_named() {
    assert_eq!(
        PeerMessage::from_bytes(&[99]).unwrap_err().to_string(),
        "unknown peer message 99: does the sender run another version?"
    );
}
