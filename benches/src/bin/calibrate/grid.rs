//! What is run.

/// A run: shards, clients, and whether overheads are fitted to it or it only judges.
pub(super) type Point = (u16, u32, Use);

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The overheads are fitted to it.
    Fits,
    /// It only judges them.
    Judges,
}

/// All runs. The judges have a place within and at three ends of the grid.
pub(super) const GRID: [Point; 12] = [
    (3, 1000, Use::Fits),
    (3, 5000, Use::Fits),
    (3, 20_000, Use::Judges),
    (5, 1000, Use::Fits),
    (5, 5000, Use::Judges),
    (5, 10_000, Use::Fits),
    (5, 20_000, Use::Fits),
    (10, 1000, Use::Fits),
    (10, 10_000, Use::Judges),
    (10, 20_000, Use::Fits),
    (20, 1000, Use::Fits),
    (20, 20_000, Use::Judges),
];

/// Whether a run only judges.
pub(super) fn judges(shards: u16, clients: u32) -> bool {
    GRID.contains(&(shards, clients, Use::Judges))
}
