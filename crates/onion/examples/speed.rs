//! Prints microseconds per peeled onion and per built hop on one core.
#![allow(clippy::disallowed_methods)] // A stopwatch needs a clock.

use std::time::Instant;

use antiphon_onion::{
    Hop, HopKey, JointSealKey, Keep, OnionSecretKey, PeelKey, Peeled, RoundContext, SealSecretKey,
    apply_reply_streams, build_batch, peel_batch,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

const ONIONS: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let geometry = Geometry::new(15, 256)?;
    let context = RoundContext { geometry, epoch: Epoch(1), round: Round(1) };
    let secret = OnionSecretKey::generate(rng);
    let public = secret.public_key();
    let seal = SealSecretKey::generate(rng);
    let joint = JointSealKey::sum([&seal.public_key()])?;
    let sealed = HopKey::sealed(&public, &joint)?;

    let mut out = vec![0; ONIONS * geometry.onion_bytes(Layer::FIRST)];
    for (name, plain) in [
        ("without tables", HopKey::plain(&public)),
        ("with tables", HopKey::plain(&public).with_table()),
    ] {
        let path = geometry.all_layers().map(|layer| Hop {
            shard: ShardIndex(0),
            key: if layer == geometry.seal_layer() { &sealed } else { &plain },
        });
        let paths: Vec<_> = path.collect::<Vec<_>>().repeat(ONIONS);
        let deposits = vec![0; ONIONS * geometry.deposit_bytes()];
        let start = Instant::now();
        build_batch(context, &paths, &deposits, Keep::ALL, rng, &mut out)?;
        println!("build, {name}: {:.2} us per hop", micros(start, paths.len()));
    }

    let key = PeelKey::plain(&secret);
    let mut peeled = Peeled::with_capacity(ONIONS);
    let start = Instant::now();
    peel_batch(&key, context, Layer::FIRST, &mut out, &mut peeled)?;
    println!("peel: {:.2} us per onion", micros(start, ONIONS));
    assert_eq!(peeled.opened_count(), ONIONS);

    // Again with keys that fit nothing: all but the decryption itself.
    let stranger = PeelKey::plain(&OnionSecretKey::generate(rng));
    let start = Instant::now();
    peel_batch(&stranger, context, Layer::FIRST, &mut out, &mut peeled)?;
    println!("peel, refused: {:.2} us per onion", micros(start, ONIONS));

    let keys = vec![antiphon_onion::ReplyKey::default(); ONIONS];
    let mut bodies = vec![0; ONIONS * geometry.body_bytes()];
    let start = Instant::now();
    apply_reply_streams(&keys, &mut bodies, geometry.body_bytes());
    println!("reply stream: {:.2} us per reply", micros(start, ONIONS));
    Ok(())
}

fn micros(start: Instant, count: usize) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}
