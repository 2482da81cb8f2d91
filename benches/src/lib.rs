#![doc = include_str!("../README.md")]

pub mod close;
pub mod network;
