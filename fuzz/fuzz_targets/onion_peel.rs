//! Onions from anybody: peeling any bytes, at any layer of any shape in either suite, neither fails nor lets a
//! forged onion through, and leaves what did not open as it came.
#![no_main]

use std::sync::{Arc, LazyLock};

use antiphon_onion::{KemSecretKey, OnionSecretKey, PeelKey, Peeled, RoundContext, peel_batch};
use antiphon_wire::{Epoch, Geometry, Layer, Round, Suite};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<PeelKey> = LazyLock::new(|| {
    let mut secret = [0; 32];
    secret[0] = 7;
    let kem = Arc::new(KemSecretKey::from_seed(&[7; 64]));
    PeelKey::plain(&OnionSecretKey::from_bytes(secret).expect("7 is a reduced scalar"))
        .with_kem(kem)
});

fuzz_target!(|input: (u8, u8, u8, bool, &[u8])| {
    let (layers, body, layer, hybrid, bytes) = input;
    let Ok(geometry) = Geometry::new(layers % 20, 16 * u16::from(body % 8)) else { return };
    let geometry = geometry.with_suite(if hybrid { Suite::Hybrid } else { Suite::Classic });
    let context = RoundContext { geometry, epoch: Epoch(1), round: Round(2) };
    let mut peeled = Peeled::default();
    let mut onions = bytes.to_vec();
    let accepted = peel_batch(&KEY, context, Layer(layer), &mut onions, &mut peeled).is_ok();
    assert_eq!(peeled.opened_count(), 0);
    assert_eq!(onions, bytes);
    if accepted {
        assert_eq!(peeled.len() * geometry.onion_bytes(Layer(layer)), bytes.len());
    }
    // The same bytes as a whole number of onions.
    if (1..=geometry.layers()).contains(&layer) {
        let onion_bytes = geometry.onion_bytes(Layer(layer));
        onions.resize(bytes.len().next_multiple_of(onion_bytes), 0);
        peel_batch(&KEY, context, Layer(layer), &mut onions, &mut peeled)
            .expect("whole onions of a layer that exists");
        assert_eq!(peeled.opened_count(), 0);
    }
});
