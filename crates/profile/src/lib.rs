#![doc = include_str!("../README.md")]

#[cfg(test)]
mod failing;
mod formats;
mod place;
mod roots;
mod seal;
mod store_error;
mod unlock;
mod vault;

pub use formats::{KeyCost, KeySource};
pub use place::{Folder, Place};
pub use store_error::StoreError;
pub use unlock::Unlock;
