//! Strategies for every message and document.

mod documents;
mod messages;
mod rounds;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use antiphon_wire::{
    Addresses, Blob, Digest, Epoch, IdentityKey, Layer, MOST_ADDRESSES, OperatorIndex, Round,
    ShardIndex, Signable, Signature, Signed, Timestamp,
};
use ed25519_dalek::SigningKey;
use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) use documents::*;
pub(crate) use messages::*;
pub(crate) use rounds::*;

macro_rules! newtypes {
    ($($function:ident: $type:ident($inner:ty);)*) => {$(
        pub(crate) fn $function() -> impl Strategy<Value = $type> {
            any::<$inner>().prop_map($type)
        }
    )*};
}
newtypes! {
    epoch: Epoch(u64);
    round: Round(u64);
    layer: Layer(u8);
    shard: ShardIndex(u16);
    operator: OperatorIndex(u16);
    timestamp: Timestamp(u64);
}

pub(crate) fn bytes_32() -> impl Strategy<Value = [u8; 32]> {
    uniform32(any::<u8>())
}

pub(crate) fn bytes_64() -> impl Strategy<Value = [u8; 64]> {
    [bytes_32(), bytes_32()].prop_map(|[a, b]| {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&a);
        bytes[32..].copy_from_slice(&b);
        bytes
    })
}

pub(crate) fn digest() -> impl Strategy<Value = Digest> {
    bytes_32().prop_map(Digest)
}

pub(crate) fn identity() -> impl Strategy<Value = IdentityKey> {
    bytes_32().prop_map(IdentityKey)
}

pub(crate) fn signature() -> impl Strategy<Value = Signature> {
    bytes_64().prop_map(Signature)
}

pub(crate) fn blob() -> impl Strategy<Value = Blob> {
    vec(any::<u8>(), 0..40).prop_map(Blob)
}

/// Without flow labels: they are no part of an address as text.
pub(crate) fn address() -> impl Strategy<Value = SocketAddr> {
    let v4 = any::<([u8; 4], u16)>()
        .prop_map(|(ip, port)| SocketAddr::from((IpAddr::V4(Ipv4Addr::from(ip)), port)));
    let v6 = any::<([u8; 16], u16, u32)>().prop_map(|(ip, port, scope)| {
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, 0, scope))
    });
    prop_oneof![v4, v6]
}

pub(crate) fn addresses() -> impl Strategy<Value = Addresses> {
    let different = "different addresses";
    vec(address(), 1..=MOST_ADDRESSES)
        .prop_filter_map(different, |addresses| Addresses::new(addresses).ok())
}

pub(crate) fn signed<T: Signable + std::fmt::Debug>(
    content: impl Strategy<Value = T>,
) -> impl Strategy<Value = Signed<T>> {
    content.prop_map(|content| Signed::new(content, &SigningKey::from_bytes(&[7; 32])))
}
