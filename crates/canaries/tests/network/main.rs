//! Small networks whose shards garble, lie, lose batches and crash, over rounds of beats with the real cipher.

mod acts;
mod court;
mod formats;
mod model;
mod naming;
