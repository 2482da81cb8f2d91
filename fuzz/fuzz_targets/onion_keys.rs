//! Keys from documents and released secrets: read in one form, or refused; sums never fail on keys
//! that were accepted.
#![no_main]

use antiphon_onion::{
    HopKey, JointSealKey, OnionPublicKey, OnionSecretKey, PeelKey, SealPublicKey, SealSecretKey,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 32], [u8; 32])| {
    let (a, b) = input;
    let onion = OnionPublicKey::from_bytes(a).ok();
    assert!(onion.as_ref().is_none_or(|key| key.to_bytes() == a));
    let seal = SealPublicKey::from_bytes(a).ok();
    assert!(seal.as_ref().is_none_or(|key| key.to_bytes() == a));
    assert_eq!(seal.is_some(), JointSealKey::from_bytes(a).is_ok());
    // The bytes of an onion key are those of an eighth of some seal key; many more are.
    assert!(onion.is_none() || seal.is_some());
    if let (Some(onion), Ok(joint)) = (&onion, JointSealKey::from_bytes(b)) {
        let _ = HopKey::plain(onion);
        let _ = HopKey::sealed(onion, &joint);
    }
    if let (Ok(x), Ok(y)) = (SealPublicKey::from_bytes(a), SealPublicKey::from_bytes(b)) {
        let _ = JointSealKey::sum([&x, &y]);
    }
    if let Ok(released) = SealSecretKey::from_bytes(a) {
        assert_eq!(released.to_bytes(), a);
        assert!(released.public_key().matches(&released));
        if let Ok(own) = OnionSecretKey::from_bytes(b) {
            let hop = JointSealKey::sum([&released.public_key()])
                .and_then(|joint| HopKey::sealed(&own.public_key(), &joint));
            // Both ends agree on the key of the seal layer, or both refuse it.
            match (hop, PeelKey::sealed(&own, [&released])) {
                (Ok(hop), Ok(peel)) => assert_eq!(hop.u(), peel.u()),
                (hop, peel) => assert!(hop.is_err() && peel.is_err()),
            }
        }
    }
});
