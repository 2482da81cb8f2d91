//! What adversaries learn: from clients' links, from what attacks cost, and beside the bounds.

mod ledger;
mod real;
mod sleep;
mod statistics;
mod traffic;
