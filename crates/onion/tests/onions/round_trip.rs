//! Onions arrive, replies come back, and the maker knows what its onion looked like on the way.

use antiphon_onion::{
    BuildError, EphemeralSecrets, Keep, Peeled, apply_reply_stream, build_batch, inner_of,
    peel_batch, rebuild_batch,
};
use antiphon_wire::Layer;
use proptest::prelude::*;
use rand::Rng;

use crate::support::{Network, context, deposits, hybrid, rng};

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn deposits_arrive_and_replies_return(
        layers in 3u8..9,
        body in (4u16..40).prop_map(|blocks| blocks * 16),
        onions in 0usize..5,
        seed: u64,
        suite_2: bool,
    ) {
        let rng = &mut rng(seed);
        let context = if suite_2 { hybrid(layers, body) } else { context(layers, body) };
        let geometry = context.geometry;
        let network = Network::new(3, rng);
        let paths: Vec<_> = (0..onions).flat_map(|_| network.path(geometry, rng)).collect();
        let deposits = deposits(geometry, onions, rng);
        let size = geometry.onion_bytes(Layer::FIRST);
        let mut out = vec![0; onions * size];
        let built = build_batch(context, &paths, &deposits, Keep::ALL, rng, &mut out).unwrap();
        let sealed = built.sealed.unwrap();
        prop_assert_eq!(built.replies.len(), onions);

        for i in 0..onions {
            let path = &paths[i * usize::from(layers)..][..usize::from(layers)];
            let mut onion = out[i * size..][..size].to_vec();
            let mut keys = Vec::new();
            for (hop, layer) in path.iter().zip(geometry.all_layers()) {
                prop_assert_eq!(onion.len(), geometry.onion_bytes(layer));
                if layer == geometry.seal_layer() {
                    prop_assert_eq!(&onion, &sealed[i * onion.len()..][..onion.len()]);
                }
                let mut again = vec![0; onion.len()];
                let deposit = &deposits[i * geometry.deposit_bytes()..][..geometry.deposit_bytes()];
                let revealed = EphemeralSecrets::revealed(built.ephemerals.as_ref().unwrap().of(i));
                rebuild_batch(context, layer, path, deposit, &revealed, &mut again).unwrap();
                prop_assert_eq!(&again, &onion);

                let key = network.peel_key(geometry, layer, hop.shard);
                prop_assert_eq!(key.u(), hop.key.u());
                let mut peeled = Peeled::default();
                peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
                prop_assert!(peeled.opened(0));
                let next = path.get(usize::from(layer.0)).map(|hop| hop.shard);
                prop_assert_eq!(peeled.next_hop(0), next);
                keys.push(peeled.reply_key(0).unwrap().clone());
                onion = inner_of(geometry, layer, &onion).to_vec();
            }
            prop_assert_eq!(&onion, &deposits[i * onion.len()..][..onion.len()]);

            let mut sent = vec![0; geometry.body_bytes()];
            rng.fill_bytes(&mut sent);
            let mut reply = sent.clone();
            for key in keys.iter().rev() {
                let before = reply.clone();
                apply_reply_stream(key, &mut reply);
                prop_assert_ne!(&before, &reply);
            }
            built.replies.open(i, &mut reply);
            prop_assert_eq!(reply, sent);
        }
    }
}

#[test]
fn a_batch_of_any_size_peels_as_its_onions_do_one_by_one() {
    let rng = &mut rng(2);
    let context = context(3, 64);
    let geometry = context.geometry;
    let network = Network::new(1, rng);
    let key = network.peel_key(geometry, Layer::FIRST, antiphon_wire::ShardIndex(0));
    let size = geometry.onion_bytes(Layer::FIRST);
    for onions in [1, 2, 41, 42, 43, 127, 128, 129, 300] {
        let paths: Vec<_> = (0..onions).flat_map(|_| network.path(geometry, rng)).collect();
        let deposits = deposits(geometry, onions, rng);
        let mut out = vec![0; onions * size];
        build_batch(context, &paths, &deposits, Keep::NOTHING, rng, &mut out).unwrap();
        // Every seventh does not open, wherever it stands.
        for onion in out.chunks_exact_mut(size).step_by(7) {
            onion[size - 1] ^= 1;
        }
        let mut batch = out.clone();
        let mut peeled = Peeled::with_capacity(onions);
        peel_batch(&key, context, Layer::FIRST, &mut batch, &mut peeled).unwrap();
        assert_eq!(peeled.len(), onions);
        assert_eq!(peeled.opened_count(), onions - onions.div_ceil(7));

        let mut alone = Peeled::default();
        for (i, onion) in out.chunks_exact_mut(size).enumerate() {
            let before = onion.to_vec();
            peel_batch(&key, context, Layer::FIRST, onion, &mut alone).unwrap();
            assert_eq!(alone.opened(0), i % 7 != 0);
            assert_eq!(peeled.opened(i), alone.opened(0));
            assert_eq!(peeled.next_hop(i), alone.next_hop(0));
            let bytes = |peeled: &Peeled, i| peeled.reply_key(i).map(|key| *key.as_bytes());
            assert_eq!(bytes(&peeled, i), bytes(&alone, 0));
            assert_eq!(&batch[i * size..][..size], onion);
            assert!(i % 7 != 0 || before == onion, "what does not open keeps its bytes");
        }
    }
}

#[test]
fn lengths_and_kinds_of_keys_that_do_not_fit_are_refused() {
    let rng = &mut rng(3);
    let context = context(3, 64);
    let geometry = context.geometry;
    let network = Network::new(2, rng);
    let paths = network.path(geometry, rng);
    let deposits = deposits(geometry, 1, rng);
    let mut out = vec![0; geometry.onion_bytes(Layer::FIRST)];
    let mut build = |paths: &[_], deposits: &[u8], out: &mut [u8]| {
        build_batch(context, paths, deposits, Keep::NOTHING, rng, out).map(|_| ())
    };
    assert_eq!(
        build(&paths[..2], &deposits, &mut out),
        Err(BuildError::Paths { hops: 2, layers: 3 })
    );
    assert!(matches!(build(&paths, &deposits[1..], &mut out), Err(BuildError::Length { .. })));
    assert!(matches!(build(&paths, &deposits, &mut out[1..]), Err(BuildError::Length { .. })));
    let mut unsealed = paths.clone();
    unsealed[1].key = &network.plain[0];
    assert_eq!(build(&unsealed, &deposits, &mut out), Err(BuildError::KeyKind(Layer(2))));
    let mut sealed = paths.clone();
    sealed[2].key = &network.sealed[0];
    assert_eq!(build(&sealed, &deposits, &mut out), Err(BuildError::KeyKind(Layer(3))));
    assert_eq!(build(&paths, &deposits, &mut out), Ok(()));
}
