//! How epochs follow each other: documents, members, crashes, clocks, and networks drawn at random.

mod blame;
mod chaos;
mod clients;
mod coordinator;
mod crashes;
mod delays;
mod election;
mod keys;
mod lists;
mod members;
mod numbers;
mod proposals;
mod rotation;
mod suites;
mod swarm;
mod thousand;
