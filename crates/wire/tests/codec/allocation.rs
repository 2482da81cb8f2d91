//! A claimed count costs nothing: memory follows the bytes that really came.

use std::fmt::Debug;
use std::net::SocketAddr;

use antiphon_wire::{
    Addresses, Blob, Contribution, Decode, DecodeError, Encode, Epoch, HeldEpoch, IdentityKey,
    OperatorIndex, OperatorList, Reason, Round, SealAct, SealStatement, ShardEntry, ShardIndex,
    Signature, Signed, ToClient,
};
use ed25519_dalek::SigningKey;

/// A list of 2^32 - 1 items, of which `items` bytes came. Reserving what it claims would take
/// hundreds of gigabytes.
fn claimed<T: Decode + Debug + PartialEq>(items: &[u8]) {
    let mut bytes = u32::MAX.to_bytes();
    bytes.extend_from_slice(items);
    assert_eq!(Vec::<T>::from_bytes(&bytes), Err(DecodeError::Truncated));
}

#[test]
fn a_list_that_claims_more_than_came_is_truncated() {
    for items in [&[][..], &[0; 40], &[0; 4000]] {
        claimed::<Epoch>(items);
        claimed::<[u8; 32]>(items);
        claimed::<[u8; 64]>(items);
        claimed::<Signature>(items);
        claimed::<IdentityKey>(items);
    }
    claimed::<Signed<OperatorList>>(&[0; 4000]);
    claimed::<Signed<SealStatement>>(&[0; 100]);
    claimed::<Contribution>(&[0; 4000]);
    claimed::<ShardEntry>(&[0; 30]);
    claimed::<Vec<Vec<u32>>>(&[0xff; 40]);
}

#[test]
fn a_blob_that_claims_more_than_came_is_truncated() {
    let mut bytes = u32::MAX.to_bytes();
    bytes.extend_from_slice(&[0; 100]);
    assert_eq!(Blob::from_bytes(&bytes), Err(DecodeError::Truncated));
    let mut submit = vec![2];
    Epoch(1).encode(&mut submit);
    Round(1).encode(&mut submit);
    submit.extend_from_slice(&bytes);
    assert_eq!(ToClient::from_bytes(&submit), Err(DecodeError::Truncated));
}

#[test]
fn a_list_that_came_whole_takes_what_it_holds() {
    let bytes = vec![[7u8; 32]; 1000].to_bytes();
    let read = Vec::<[u8; 32]>::from_bytes(&bytes).unwrap();
    assert_eq!(read.capacity(), 1000);
}

/// The smallest `T` on the wire is no less than half of what `T` takes in memory. With a growing
/// list's doubling, reading takes at most a few times the input.
fn is_dense<T>(smallest: &impl Encode) {
    let bytes = smallest.to_bytes().len();
    assert!(size_of::<T>() <= 2 * bytes, "{} from {bytes} bytes", size_of::<T>());
}

#[test]
fn list_items_take_little_more_memory_than_bytes() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let list = OperatorList {
        network: Default::default(),
        operator: OperatorIndex(0),
        number: 0,
        first_epoch: Epoch(0),
        last_epoch: Epoch(0),
        shards: Vec::new(),
    };
    is_dense::<Signed<OperatorList>>(&Signed::new(list, &key));
    let statement = SealStatement {
        network: Default::default(),
        epoch: Epoch(0),
        round: Round(0),
        shard: ShardIndex(0),
        act: SealAct::Withheld { reason: Reason::NotPrepared },
    };
    is_dense::<Signed<SealStatement>>(&Signed::new(statement, &key));
    let address = Addresses::from(SocketAddr::from(([0, 0, 0, 0], 0)));
    is_dense::<ShardEntry>(&ShardEntry {
        operator: OperatorIndex(0),
        identity: IdentityKey([0; 32]),
        peer_addresses: address.clone(),
        client_addresses: address,
        onion_key: [0; 32],
        kem_key: None,
        noise_volume: 0,
        noise_sigma: 0,
    });
    is_dense::<HeldEpoch>(&HeldEpoch { epoch: Epoch(0), document: Default::default() });
    is_dense::<Contribution>(&Contribution {
        epoch: Epoch(0),
        first_round: Round(0),
        identity: IdentityKey([0; 32]),
        onion_key: [0; 32],
        kem_key: None,
        seal_keys: Vec::new(),
        proof: [0; 64],
    });
}
