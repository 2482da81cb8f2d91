//! Circuits and their cells, from a client through every hop and back.

use antiphon_onion::{
    BeatContext, CellBytes, CircuitKey, CircuitKeys, Keep, Peeled, RoundContext, backward_cells,
    build_batch, forward_cells, inner_of, peel_batch,
};
use antiphon_wire::{Epoch, Layer, Round, ShardIndex};
use rand::Rng;

use crate::support::{Network, context, deposits, hybrid, rng};

const ONIONS: usize = 21;

/// The keys that the hops of some circuits keep, layer by layer, and those of their maker. There is one
/// shard, so that it has every circuit at every layer.
fn circuits(context: RoundContext, seed: u64) -> (Vec<Vec<CircuitKey>>, CircuitKeys) {
    let rng = &mut rng(seed);
    let geometry = context.geometry;
    let network = Network::new(1, rng);
    let paths: Vec<_> = (0..ONIONS).flat_map(|_| network.path(geometry, rng)).collect();
    let deposits = deposits(geometry, ONIONS, rng);
    let mut onions = vec![0; ONIONS * geometry.onion_bytes(Layer::FIRST)];
    let built = build_batch(context, &paths, &deposits, Keep::CIRCUITS, rng, &mut onions).unwrap();
    let mut hops = Vec::new();
    for layer in geometry.all_layers() {
        let mut peeled = Peeled::with_capacity(ONIONS).with_circuits();
        let key = network.peel_key(geometry, layer, ShardIndex(0));
        peel_batch(&key, context, layer, &mut onions, &mut peeled).unwrap();
        hops.push((0..ONIONS).map(|i| peeled.circuit_key(i).unwrap().clone()).collect());
        onions = onions
            .chunks_exact(geometry.onion_bytes(layer))
            .flat_map(|onion| inner_of(geometry, layer, onion).to_vec())
            .collect();
    }
    (hops, built.circuits.unwrap())
}

fn beat(number: u64) -> BeatContext {
    BeatContext { epoch: Epoch(1), round: Round(2), beat: number, cell: CellBytes::DEFAULT }
}

#[test]
fn both_ends_of_a_hop_derive_one_circuit_key_that_is_no_other_key() {
    let mut seen = std::collections::BTreeSet::new();
    for context in [context(5, 64), hybrid(5, 64)] {
        let (hops, client) = circuits(context, 1);
        for circuit in 0..ONIONS {
            for (key, hop) in client.of(circuit).iter().zip(&hops) {
                assert_eq!(key.as_bytes(), hop[circuit].as_bytes());
                assert!(seen.insert(*key.as_bytes()));
            }
        }
    }
}

#[test]
fn a_cell_passes_every_hop_there_and_back() {
    let (hops, client) = circuits(context(5, 64), 2);
    let rng = &mut rng(2);
    for context in [beat(0), beat(1), beat(u64::MAX)] {
        let mut sent = vec![0; ONIONS * context.cell.bytes()];
        rng.fill_bytes(&mut sent);
        let mut cells = sent.clone();
        client.wrap(context, &mut cells);
        for (keys, layer) in hops.iter().zip(1..6u8) {
            assert_ne!(cells, sent);
            forward_cells(keys, context, Layer(layer), &mut cells);
        }
        assert_eq!(cells, sent, "layer L has what the client sent");
        for (keys, layer) in hops.iter().zip(1..6u8).rev() {
            backward_cells(keys, context, Layer(layer), &mut cells);
        }
        assert_ne!(cells, sent);
        client.unwrap(context, &mut cells);
        assert_eq!(cells, sent, "and so has the client again");
    }
}

/// Epoch, round, beat, layer and direction each take a cell elsewhere.
#[test]
fn a_key_meets_each_cell_under_another_tweak() {
    let key = [CircuitKey::from_bytes([5; 32])];
    let usual = beat(3);
    let contexts = [
        usual,
        BeatContext { epoch: Epoch(2), ..usual },
        BeatContext { round: Round(3), ..usual },
        beat(4),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for context in contexts {
        for layer in [Layer(1), Layer(2)] {
            let mut cells = vec![0; context.cell.bytes()];
            forward_cells(&key, context, layer, &mut cells);
            assert!(seen.insert(cells.clone()));
            // The other direction, undone under the same tweak, would be the cell again.
            backward_cells(&key, context, layer, &mut cells);
            assert!(seen.insert(cells));
        }
    }
    assert!(!seen.contains(&vec![0; 256]));
}

#[test]
fn peeling_keeps_no_circuit_keys_unless_it_is_asked_to() {
    let rng = &mut rng(3);
    let context = context(3, 64);
    let geometry = context.geometry;
    let network = Network::new(1, rng);
    let paths = network.path(geometry, rng);
    let deposit = deposits(geometry, 1, rng);
    let mut onion = vec![0; geometry.onion_bytes(Layer::FIRST)];
    let built = build_batch(context, &paths, &deposit, Keep::NOTHING, rng, &mut onion).unwrap();
    assert!(built.circuits.is_none());
    let mut peeled = Peeled::default();
    let key = network.peel_key(geometry, Layer::FIRST, ShardIndex(0));
    peel_batch(&key, context, Layer::FIRST, &mut onion, &mut peeled).unwrap();
    assert!(peeled.opened(0) && peeled.circuit_key(0).is_none());
}

#[test]
fn cells_have_whole_blocks_and_bounds() {
    for bytes in [0, 48, 65, 16400, u16::MAX] {
        assert!(CellBytes::new(bytes).is_err(), "{bytes}");
    }
    for bytes in [64, 256, 16384] {
        assert_eq!(CellBytes::new(bytes).unwrap().bytes(), usize::from(bytes));
    }
}
