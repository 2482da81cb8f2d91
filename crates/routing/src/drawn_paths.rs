//! Paths that have been drawn for onions.

use antiphon_onion::Hop;
use antiphon_wire::{Entry, Geometry, Layer, ShardIndex};
use zeroize::optimization_barrier;

/// One path for each of several onions. Whoever knows them can follow the onions, so they are overwritten
/// when dropped.
#[derive(Debug)]
pub struct DrawnPaths<'k> {
    geometry: Geometry,
    /// L for each onion, one path after the other.
    hops: Vec<Hop<'k>>,
}

impl<'k> DrawnPaths<'k> {
    /// No paths yet, and room for those of so many onions. What outgrows it leaves a copy behind.
    pub(crate) fn with_capacity(geometry: Geometry, onions: usize) -> Self {
        Self { geometry, hops: Vec::with_capacity(onions * usize::from(geometry.layers())) }
    }

    pub(crate) fn push(&mut self, hop: Hop<'k>) {
        debug_assert!(
            self.hops.len() < self.hops.capacity(),
            "a copy of the paths would stay behind"
        );
        self.hops.push(hop);
    }

    pub(crate) fn hops(&self) -> &[Hop<'k>] {
        let layers = usize::from(self.geometry.layers());
        debug_assert!(self.hops.len().is_multiple_of(layers), "a path is not whole");
        &self.hops
    }

    /// The shard at `layer` on each of the paths.
    ///
    /// # Panics
    /// If `layer` is 0.
    pub fn shards_at(&self, layer: Layer) -> impl Iterator<Item = ShardIndex> {
        let layers = usize::from(self.geometry.layers());
        self.hops.iter().skip(usize::from(layer.0) - 1).step_by(layers).map(|hop| hop.shard)
    }

    /// The shards at layers 1 to L on each of the paths.
    pub fn shards(&self) -> impl Iterator<Item = Vec<ShardIndex>> {
        let paths = self.hops.chunks_exact(usize::from(self.geometry.layers()));
        paths.map(|hops| hops.iter().map(|hop| hop.shard).collect())
    }

    /// The onions that were built along these paths, each with the shard that it goes to first.
    pub fn entries<'a>(&self, onions: &'a [u8]) -> impl Iterator<Item = Entry<'a>> {
        let onions = onions.chunks_exact(self.geometry.onion_bytes(Layer::FIRST));
        self.shards_at(Layer::FIRST).zip(onions).map(|(first, onion)| Entry { first, onion })
    }
}

impl Drop for DrawnPaths<'_> {
    fn drop(&mut self) {
        // A hop has a key, so there is no zero to write; the first one says the least.
        if let Some(&first) = self.hops.first() {
            self.hops.fill(first);
        }
        optimization_barrier(&self.hops[..]);
    }
}
