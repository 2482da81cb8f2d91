//! What happens in a round: what honest networks do, and every way to spoil one.

mod batches;
mod beats;
mod clients;
mod drop;
mod filters;
mod gateways;
mod honest;
mod links;
mod mailboxes;
mod newcomers;
mod onions;
mod overlap;
mod replies;
mod scale;
mod seals;
mod waiting;
