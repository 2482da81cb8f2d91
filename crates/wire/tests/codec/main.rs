//! What everyone relies on when reading and signing: one encoding for each value, no input that
//! does harm, and signatures that hold for one kind of statement only.

mod allocation;
mod network_file;
mod outside_bytes;
mod round_trip;
mod signatures;
mod strategies;
