//! The maker's part of a canary.

use antiphon_onion::{BeatContext, CircuitKeys};
use antiphon_wire::{Blob, ShardIndex};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::opening::{OpenCircuit, Opening};

/// Context under which the contents of a canary's cells are derived.
const CONTEXT: &str = "Antiphon 2026 canary cells";

/// Two circuits of one shard that meet each other, as an idle client's do. The shard keeps their keys until the round's
/// beats are over and it has opened them or knows that it need not.
#[derive(Debug)]
pub struct Canary {
    hops: [Vec<ShardIndex>; 2],
    keys: CircuitKeys,
    /// The contents of all beats come of it.
    seed: Zeroizing<[u8; 32]>,
}

impl Canary {
    /// A canary whose onions took these ways. `keys` are those of both, and `seed` is drawn for it alone.
    ///
    /// # Panics
    /// If there are not two circuits with a key for each hop.
    pub fn new(hops: [Vec<ShardIndex>; 2], keys: CircuitKeys, seed: Zeroizing<[u8; 32]>) -> Self {
        assert_eq!(keys.len(), 2, "a canary has two circuits");
        assert!(
            hops.iter().enumerate().all(|(circuit, hops)| keys.of(circuit).len() == hops.len())
        );
        Self { hops, keys, seed }
    }

    /// The cells of a beat as the first hops get them, one for each circuit, behind each other. Once for each beat.
    pub fn cells(&self, context: BeatContext) -> Vec<u8> {
        let mut cells = self.contents(context).to_vec();
        self.keys.wrap(context, &mut cells);
        cells
    }

    /// Returns `true` if these cells, as they came back in a beat, are whole: each circuit has the other's content.
    pub fn is_whole(&self, context: BeatContext, came: &[u8]) -> bool {
        let contents = self.contents(context);
        if came.len() != contents.len() {
            return false;
        }
        let mut came = came.to_vec();
        self.keys.unwrap(context, &mut came);
        let (one, other) = contents.split_at(context.cell.bytes());
        came.ct_eq(&[other, one].concat()).into()
    }

    /// The canary as it is shown, for a beat in which it was not whole. Never before the round's tables are erased
    /// everywhere: whoever knows a canary leaves it alone.
    pub fn open(&self, context: BeatContext, maker: ShardIndex) -> Opening {
        let contents = self.contents(context);
        let circuit = |number: usize| OpenCircuit {
            hops: self.hops[number].clone(),
            keys: self.keys.of(number).to_vec(),
            content: Blob(
                contents[number * context.cell.bytes()..][..context.cell.bytes()].to_vec(),
            ),
        };
        let BeatContext { epoch, round, beat, .. } = context;
        Opening { epoch, round, beat, maker, circuits: [circuit(0), circuit(1)] }
    }

    /// The contents of both circuits' cells in a beat, behind each other.
    fn contents(&self, context: BeatContext) -> Zeroizing<Vec<u8>> {
        let mut contents = Zeroizing::new(vec![0; 2 * context.cell.bytes()]);
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&*self.seed).update(&context.beat.to_be_bytes());
        hasher.finalize_xof().fill(&mut contents);
        contents
    }
}
