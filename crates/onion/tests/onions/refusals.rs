//! What must not open.

use antiphon_onion::{
    Hop, Keep, PeelError, PeelKey, Peeled, RoundContext, build_batch, inner_of, peel_batch,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round};
use curve25519_dalek::montgomery::MontgomeryPoint;
use proptest::prelude::*;

use crate::support::{Network, context, deposits, rng};

/// One onion of four layers with its path.
struct Sample {
    context: RoundContext,
    network: Network,
    shards: Vec<antiphon_wire::ShardIndex>,
    onion: Vec<u8>,
}

impl Sample {
    fn new() -> Self {
        let rng = &mut rng(4);
        let context = context(4, 64);
        let network = Network::new(3, rng);
        let path: Vec<Hop<'_>> = network.path(context.geometry, rng);
        let shards = path.iter().map(|hop| hop.shard).collect();
        let mut onion = vec![0; context.geometry.onion_bytes(Layer::FIRST)];
        let deposit = deposits(context.geometry, 1, rng);
        build_batch(context, &path, &deposit, Keep::NOTHING, rng, &mut onion).unwrap();
        Self { context, network, shards, onion }
    }

    /// The onion as it enters `layer`, and the key that opens it there.
    fn entering(&self, layer: Layer) -> (Vec<u8>, PeelKey) {
        let geometry = self.context.geometry;
        let mut onion = self.onion.clone();
        for before in geometry.all_layers().take_while(|before| *before < layer) {
            assert!(opens(&self.key(before), self.context, before, &mut onion));
            onion = inner_of(geometry, before, &onion).to_vec();
        }
        (onion, self.key(layer))
    }

    fn key(&self, layer: Layer) -> PeelKey {
        let shard = self.shards[usize::from(layer.0 - 1)];
        self.network.peel_key(self.context.geometry, layer, shard)
    }
}

fn opens(key: &PeelKey, context: RoundContext, layer: Layer, onion: &mut [u8]) -> bool {
    let mut peeled = Peeled::default();
    peel_batch(key, context, layer, onion, &mut peeled).unwrap();
    assert_eq!(peeled.len(), 1);
    peeled.opened(0)
}

#[test]
fn a_replay_in_another_round_or_epoch_fails_at_every_layer() {
    let sample = Sample::new();
    for layer in sample.context.geometry.all_layers() {
        let (onion, key) = sample.entering(layer);
        for other in [
            RoundContext { round: Round(5001), ..sample.context },
            RoundContext { epoch: Epoch(8), ..sample.context },
        ] {
            assert!(!opens(&key, other, layer, &mut onion.clone()));
        }
        assert!(opens(&key, sample.context, layer, &mut onion.clone()));
    }
}

#[test]
fn a_replay_in_another_layer_fails() {
    let sample = Sample::new();
    let (onion, key) = sample.entering(Layer::FIRST);
    // With one layer more, layer 2 has onions of this size.
    let deeper = RoundContext { geometry: Geometry::new(5, 64).unwrap(), ..sample.context };
    assert_eq!(deeper.geometry.onion_bytes(Layer(2)), onion.len());
    assert!(!opens(&key, deeper, Layer(2), &mut onion.clone()));
}

#[test]
fn the_seal_layer_stays_shut_while_one_seal_key_is_missing() {
    let sample = Sample::new();
    let layer = sample.context.geometry.seal_layer();
    let (onion, _) = sample.entering(layer);
    let secret = &sample.network.secrets[sample.shards[usize::from(layer.0 - 1)].position()];
    let seals = &sample.network.seals;
    for missing in 0..seals.len() {
        let others = seals.iter().enumerate().filter(|(i, _)| *i != missing).map(|(_, seal)| seal);
        let key = PeelKey::sealed(secret, others).unwrap();
        assert!(!opens(&key, sample.context, layer, &mut onion.clone()));
    }
    assert!(!opens(&PeelKey::plain(secret), sample.context, layer, &mut onion.clone()));
    let all = PeelKey::sealed(secret, seals).unwrap();
    assert!(opens(&all, sample.context, layer, &mut onion.clone()));
}

#[test]
fn any_flipped_bit_and_any_other_encoding_of_the_ephemeral_key_keeps_it_shut() {
    let sample = Sample::new();
    for layer in sample.context.geometry.all_layers() {
        let (onion, key) = sample.entering(layer);
        // Among them bit 255 of the ephemeral key, which Diffie-Hellman alone ignores.
        for position in 0..onion.len() {
            let mut onion = onion.clone();
            onion[position] ^= 0x80;
            let before = onion.clone();
            assert!(!opens(&key, sample.context, layer, &mut onion));
            assert_eq!(onion, before);
        }
    }
}

#[test]
fn ephemeral_keys_of_small_order_or_on_the_twist_do_not_open() {
    let sample = Sample::new();
    let (onion, key) = sample.entering(Layer::FIRST);
    let points = curve25519_dalek::constants::EIGHT_TORSION;
    let small = points.iter().map(|point| point.to_montgomery().to_bytes());
    let twist =
        (0..=255u8).map(|u| [u; 32]).filter(|u| MontgomeryPoint(*u).to_edwards(0).is_none());
    for ephemeral in small.chain(twist) {
        let mut onion = onion.clone();
        onion[..32].copy_from_slice(&ephemeral);
        assert!(!opens(&key, sample.context, Layer::FIRST, &mut onion));
    }
}

#[test]
fn chunks_may_be_peeled_on_different_cores() {
    fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<PeelKey>();
    crosses_threads::<Peeled>();
    crosses_threads::<Hop<'_>>();
}

#[test]
fn buffers_and_layers_that_make_no_sense_are_refused() {
    let sample = Sample::new();
    let (mut onion, key) = sample.entering(Layer::FIRST);
    let mut peeled = Peeled::default();
    for layer in [Layer(0), Layer(5), Layer(255)] {
        let refused = peel_batch(&key, sample.context, layer, &mut onion, &mut peeled);
        assert_eq!(refused, Err(PeelError::Layer(layer)));
    }
    let short = onion.len() - 1;
    let refused = peel_batch(&key, sample.context, Layer::FIRST, &mut onion[..short], &mut peeled);
    assert_eq!(refused, Err(PeelError::Length { found: short, onion: short + 1 }));
    peel_batch(&key, sample.context, Layer::FIRST, &mut [], &mut peeled).unwrap();
    assert!(peeled.is_empty());
}

proptest! {
    #[test]
    fn arbitrary_bytes_neither_open_nor_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        layer in 0u8..6,
    ) {
        let sample = Sample::new();
        let key = sample.key(Layer::FIRST);
        let mut bytes = bytes;
        let mut peeled = Peeled::default();
        if peel_batch(&key, sample.context, Layer(layer), &mut bytes, &mut peeled).is_ok() {
            prop_assert_eq!(peeled.opened_count(), 0);
        }
    }
}
