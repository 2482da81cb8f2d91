//! What a client keeps over a restart beside its checkpoint: it is read or refused, and what is read is kept alike.
#![no_main]

use antiphon_client_core::{Client, ClientConfig, EntropySource};
use antiphon_wire::{IdentityKey, NetworkFile, Operator, Policy};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn client() -> Client {
    let operator = Operator { name: "a".to_owned(), key: IdentityKey([1; 32]), weight: 1 };
    let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
    let network = NetworkFile::new(vec![operator], policy).expect("it is a network");
    let entropy = EntropySource::new(ChaCha20Rng::seed_from_u64(1));
    Client::new(ClientConfig::new(network), None, entropy)
}

fuzz_target!(|bytes: &[u8]| {
    let mut first = client();
    if first.resume(bytes).is_err() {
        return;
    }
    let kept = first.kept();
    let mut second = client();
    second.resume(&kept).expect("what is kept is read");
    assert_eq!(second.kept(), kept);
});
