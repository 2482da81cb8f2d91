//! Beats over the routes that a round left, as mathematics: an ideal cipher, slots, tables, swaps and fills.
//!
//! This is the model that their theorem is about (the book's page on circuits), so that it can be attacked by
//! itself. An adversary plays against a network in one of two [`World`]s: the real one, and one in which honest
//! shards and clients send uniform cells and look at no table, but for circuits that no figure counts. Its
//! [`View`]s have to be the same, byte for byte, once every cell of an honest sender is replaced by the slot that
//! it was first seen in.

mod act;
mod cipher;
mod ends;
mod flaw;
mod passage;
mod play;
mod tables;
mod view;

pub use act::{Act, Player};
pub use cipher::{CELL_BYTES, Cell};
pub use flaw::Flaw;
pub use passage::{Adversary, Batch, Beats, World};
pub use play::{Played, every_play, play, played, refusing, round, seen, without_late};
pub use tables::{Circuit, Maker, Population, Slot, Tables};
pub use view::{Direction, Event, Place, View};
