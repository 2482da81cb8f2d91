//! The metrics of a shard.

use super::catalogue;
use super::labels::{
    Cause, Dropped, Outcome, Phase, Queue, Refusal, Refused, ShardEndpoint, Urgency, Work,
};

/// Upper bounds of the buckets for round latencies, in seconds.
pub(super) const ROUND_BUCKETS: [f64; 12] =
    [0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0];
/// Upper bounds of the buckets for the phases of a round, and for the computing time in one, in seconds.
const PHASE_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

const SIGNED: &str =
    "Every shard signs how its round ended, and all shards and the coordinator read it.";
const ON_THE_WIRE: &str =
    "Whoever watches the links sees when whole batches and replies come and go.";
const LINKS: &str =
    "Whoever watches the port counts its links and attempts, and sees which are closed.";
const BETWEEN_SHARDS: &str =
    "It is about what shards tell each other, of which nothing depends on users.";
const IN_DOCUMENTS: &str = "It follows from documents and lists that everybody can read.";
const FROM_ONIONS: &str = "It follows from the numbers of onions and cells, which batch headers state, and each of them takes the same.";

catalogue! {
    /// Everything that a shard counts of its own.
    SHARD:
    ROUNDS: Counter<Outcome> = "antiphon_shard_rounds_total", "rounds",
        "Rounds that ended here, by outcome", SIGNED;
    ROUNDS_WITHHELD: Counter<Cause> = "antiphon_shard_rounds_withheld_total", "rounds",
        "Rounds in which this shard withheld its seal key, by cause", SIGNED;
    ROUND_TIME: Histogram<()> = "antiphon_shard_round_seconds", "seconds" in ROUND_BUCKETS,
        "Time from a round's opening to its end here", ON_THE_WIRE;
    BEATS: Counter<()> = "antiphon_shard_beats_total", "beats",
        "Beats whose cells passed all layers here", ON_THE_WIRE;
    CELLS_FILLED: Counter<()> = "antiphon_shard_cells_filled_total", "cells",
        "Cells that did not come in time, in whose place random ones went on", ON_THE_WIRE;
    BATCHES_LATE: Counter<()> = "antiphon_shard_cell_batches_late_total", "batches",
        "Batches of other shards' cells that did not come whole in time", ON_THE_WIRE;
    CIRCUIT_BYTES: Gauge<()> = "antiphon_shard_circuit_bytes", "bytes",
        "Memory of the tables that rounds left for their beats", FROM_ONIONS;
    SLEEPER_BYTES: Gauge<()> = "antiphon_shard_sleeper_bytes", "bytes",
        "Memory of what clients that sleep left, and of what came for them",
        "Links show which clients sleep and for how many rounds, and each round takes the same.";
    PHASE_TIME: Histogram<Phase> = "antiphon_shard_phase_seconds", "seconds" in PHASE_BUCKETS,
        "Time of a round in one phase; once a layer where it has layers", ON_THE_WIRE;
    CPU_TIME: Histogram<Work> = "antiphon_shard_cpu_seconds", "seconds" in PHASE_BUCKETS,
        "Time of threads spent on a round or a beat, by kind of work", FROM_ONIONS;
    ROUND_SHARE: Gauge<()> = "antiphon_shard_round_share", "share",
        "Computing time of the process over the last twenty rounds, of what its processors have in that time",
        "It follows from links and onions, which an onlooker counts, and all of them take the same.";
    ONIONS: Counter<()> = "antiphon_shard_onions_total", "onions",
        "Onions that came in, once a layer: computing time over this is the time that an onion takes",
        "Batch headers state it, and the length of what comes in shows it.";
    ROUND: Gauge<()> = "antiphon_shard_round", "number",
        "The highest round served", "Rounds are opened at every client.";
    READY: Gauge<()> = "antiphon_shard_ready", "0 or 1",
        "1 while the shard takes part in an epoch that is in force or announced, as /ready says", IN_DOCUMENTS;
    EPOCH: Gauge<()> = "antiphon_shard_epoch", "number",
        "The newest epoch that the shard has a document of", IN_DOCUMENTS;
    EPOCH_END: Gauge<()> = "antiphon_shard_epoch_expires_timestamp_seconds", "seconds",
        "When the keys of that epoch are erased, in seconds since 1970", IN_DOCUMENTS;
    LIST_NUMBER: Gauge<()> = "antiphon_shard_list_number", "number",
        "The newest list of the operator that the shard has taken", IN_DOCUMENTS;
    LIST_END: Gauge<()> = "antiphon_shard_list_last_epoch", "number",
        "The last epoch that the operator's list is for", IN_DOCUMENTS;
    LISTED: Gauge<()> = "antiphon_shard_listed", "0 or 1",
        "1 while the operator's newest list has the shard", IN_DOCUMENTS;
    COORDINATORS: Gauge<()> = "antiphon_shard_coordinator_links", "links",
        "Coordinators that this shard is linked to", LINKS;
    PEER_LINKS: Gauge<()> = "antiphon_shard_peer_links", "links",
        "Other shards linked to this one", LINKS;
    CLIENTS: Gauge<()> = "antiphon_shard_clients", "links",
        "Clients linked", LINKS;
    CLIENTS_DROPPED: Counter<Dropped> = "antiphon_shard_clients_dropped_total", "links",
        "Clients whose link was closed here, by why",
        "Whoever watches a link sees that it is silent, floods, is not read, or ends after its first message.";
    LINKS_HELD: Gauge<ShardEndpoint> = "antiphon_shard_endpoint_links", "links",
        "Links held, by endpoint", LINKS;
    HALF_OPEN: Gauge<ShardEndpoint> = "antiphon_shard_endpoint_half_open", "handshakes",
        "Handshakes in progress, by endpoint", LINKS;
    ACCEPTED: Counter<ShardEndpoint> = "antiphon_shard_endpoint_accepted_total", "links",
        "Links let in, by endpoint", LINKS;
    REFUSED: Counter<(ShardEndpoint, Refusal)> = "antiphon_shard_endpoint_refused_total", "links",
        "Links not let in, by endpoint and why", LINKS;
    FAILED: Counter<ShardEndpoint> = "antiphon_shard_endpoint_failed_total", "handshakes",
        "Handshakes that failed or took too long, by endpoint", LINKS;
    WORK_QUEUED: Gauge<Urgency> = "antiphon_shard_work_queued", "pieces of work",
        "Pieces of work that wait for a thread, by urgency", FROM_ONIONS;
    PEER_QUEUED: Gauge<Queue> = "antiphon_shard_peer_queued", "messages",
        "Messages and batches that wait for links to other shards", BETWEEN_SHARDS;
    MESSAGES_LOST: Counter<()> = "antiphon_shard_messages_lost_total", "messages",
        "Messages to other shards lost with a link or a full queue", BETWEEN_SHARDS;
    PEER_FAULTS: Counter<()> = "antiphon_shard_peer_faults_total", "faults",
        "Breaches of the rules by other shards, each named in the log", BETWEEN_SHARDS;
    DOCUMENTS_REFUSED: Counter<Refused> = "antiphon_shard_refusals_total", "documents",
        "Calls, proposals, documents and lists that this shard did not take", BETWEEN_SHARDS;
}
