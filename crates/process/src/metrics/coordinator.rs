//! The metrics of a coordinator.

use super::catalogue;
use super::labels::{
    Cause, Conduct, CoordinatorEndpoint, Ending, Extreme, Fate, Lost, Origin, Refusal,
    Registration, Standing, Weight,
};
use super::shard::ROUND_BUCKETS;

const SIGNED: &str = "Every shard signs how its round ended, and tells all others.";
const SIGNED_ABOUT_CELLS: &str = "Every shard is told what all others sign about cells. Canaries carry nobody's messages, and their number is public.";
const LINKS: &str =
    "Whoever watches the port counts its links and attempts, and sees which are closed.";
const IN_DOCUMENTS: &str = "It follows from documents that everybody can read.";
const OF_SHARDS: &str =
    "Shards and their operators are no secret, and nothing of it depends on users.";

catalogue! {
    /// Everything that a coordinator counts of its own.
    COORDINATOR:
    ROUNDS_OPENED: Counter<()> = "antiphon_coordinator_rounds_opened_total", "rounds",
        "Rounds opened", "Rounds are opened at every client.";
    ROUNDS: Counter<Ending> = "antiphon_coordinator_rounds_total", "rounds",
        "Rounds that ended, by outcome over all shards", SIGNED;
    ROUNDS_ABORTED: Counter<Cause> = "antiphon_coordinator_rounds_aborted_total", "rounds",
        "Rounds that were aborted, by the first cause that a shard gave", SIGNED;
    ROUND_TIME: Histogram<()> = "antiphon_coordinator_round_seconds", "seconds" in ROUND_BUCKETS,
        "Time from a round's opening to the last shard's report", "Shards' reports are on links that can be watched.";
    ROUND_SHARE: Gauge<()> = "antiphon_coordinator_round_share", "share",
        "Time after which all but one of the last twenty rounds were over, of the time that rounds may take without holding up \
         others: the interval, times the rounds that may be open at once", "Shards' reports are on links that can be watched.";
    ROUND: Gauge<()> = "antiphon_coordinator_round", "number",
        "The highest round that was opened or skipped", "Rounds are opened at every client.";
    ROUNDS_OPEN: Gauge<()> = "antiphon_coordinator_rounds_open", "rounds",
        "Rounds that are open", "Rounds are opened at every client.";
    CONDUCT: Gauge<Conduct> = "antiphon_coordinator_conduct", "0 or 1",
        "1 for whether rounds open at this coordinator, or what they wait for", "Rounds are opened at every client.";
    ONIONS: Counter<Origin> = "antiphon_coordinator_onions_total", "onions",
        "Onions of rounds that ended, as gateways report them: clients' and noise",
        "Each client hands in the same number in every round, and what leaves a gateway beyond that is noise: both are on \
         the wire. How noise is split is not told.";
    FILTERS: Counter<()> = "antiphon_coordinator_filters_checked_total", "filters",
        "Filters that shards tested for their onions: verification", "Each shard tests every other one's, in every round.";
    FILTER_BYTES: Counter<()> = "antiphon_coordinator_filter_bytes_total", "bytes",
        "Bytes of these filters", "Their size follows from the number of onions, which batch headers state.";
    EPOCHS: Counter<Fate> = "antiphon_coordinator_epochs_total", "epochs",
        "Epochs called, published, failed before and broken after that", IN_DOCUMENTS;
    EPOCH: Gauge<()> = "antiphon_coordinator_epoch", "number",
        "The newest published epoch", IN_DOCUMENTS;
    EPOCH_END: Gauge<()> = "antiphon_coordinator_epoch_expires_timestamp_seconds", "seconds",
        "When the keys of that epoch are erased, in seconds since 1970", IN_DOCUMENTS;
    EPOCH_LAST_ROUND: Gauge<()> = "antiphon_coordinator_epoch_last_round", "number",
        "The last round of that epoch", IN_DOCUMENTS;
    EPOCH_LAYERS: Gauge<()> = "antiphon_coordinator_epoch_layers", "layers",
        "L of that epoch: more while operators are absent", IN_DOCUMENTS;
    EPOCH_SHARDS: Gauge<()> = "antiphon_coordinator_epoch_shards", "shards",
        "Shards of that epoch", IN_DOCUMENTS;
    ROUND_INTERVAL: Gauge<()> = "antiphon_coordinator_round_interval_seconds", "seconds",
        "Nominal time between its rounds", IN_DOCUMENTS;
    BEAT_INTERVAL: Gauge<()> = "antiphon_coordinator_beat_interval_seconds", "seconds",
        "Time between the beats that follow its rounds; 0 where none do", IN_DOCUMENTS;
    SHARDS: Gauge<()> = "antiphon_coordinator_shards", "shards",
        "Shards that are linked and registered", OF_SHARDS;
    SHARDS_BY_STANDING: Gauge<Standing> = "antiphon_coordinator_shards_by_standing", "shards",
        "Registered shards, by how they stand", OF_SHARDS;
    QUORUM_WEIGHT: Gauge<Weight> = "antiphon_coordinator_quorum_weight", "weight",
        "Weight of the operators present, of what an epoch takes, and of all", OF_SHARDS;
    QUORUM_MARGIN: Gauge<()> = "antiphon_coordinator_quorum_margin", "weight",
        "Weight present beyond what an epoch takes; below 0, no epoch can be planned", OF_SHARDS;
    SUSPENSIONS: Counter<()> = "antiphon_coordinator_suspensions_total", "suspensions",
        "Suspensions of shards", OF_SHARDS;
    CANARIES_BROKEN: Counter<()> = "antiphon_coordinator_canaries_broken_total", "canaries",
        "Canaries that their makers opened, since cells of theirs came back broken", SIGNED_ABOUT_CELLS;
    CANARY_CELLS: Counter<Lost> = "antiphon_coordinator_canary_cells_total", "cells",
        "Cells of these canaries that did not come home, by what became of them", SIGNED_ABOUT_CELLS;
    NAMED: Counter<()> = "antiphon_coordinator_shards_named_total", "shards",
        "Shards that were named for garbling cells", SIGNED_ABOUT_CELLS;
    CLOCK_BEHIND: Gauge<()> = "antiphon_coordinator_clock_behind_seconds", "seconds",
        "How far this coordinator's clock is behind those of most shards; 0 within two seconds", OF_SHARDS;
    CLOCK_AHEAD: Gauge<Extreme> = "antiphon_coordinator_shard_clock_ahead_seconds", "seconds",
        "How far the earliest and the latest clock of a shard are ahead of the coordinator's", OF_SHARDS;
    LEADS: Gauge<()> = "antiphon_coordinator_leads", "0 or 1",
        "1 at the coordinator that leads, 0 at those that stand by", OF_SHARDS;
    TERM: Gauge<()> = "antiphon_coordinator_term", "number",
        "The term in which it leads; at those that stand by, the highest that shards speak of; 0 if it is alone", OF_SHARDS;
    REGISTRATIONS_REFUSED: Counter<Registration> = "antiphon_coordinator_registrations_refused_total", "links",
        "Registrations not accepted, by why", OF_SHARDS;
    LINKS_HELD: Gauge<CoordinatorEndpoint> = "antiphon_coordinator_endpoint_links", "links",
        "Links held, by endpoint", LINKS;
    HALF_OPEN: Gauge<CoordinatorEndpoint> = "antiphon_coordinator_endpoint_half_open", "handshakes",
        "Handshakes in progress, by endpoint", LINKS;
    ACCEPTED: Counter<CoordinatorEndpoint> = "antiphon_coordinator_endpoint_accepted_total", "links",
        "Links let in, by endpoint", LINKS;
    REFUSED: Counter<(CoordinatorEndpoint, Refusal)> = "antiphon_coordinator_endpoint_refused_total", "links",
        "Links not let in, by endpoint and why", LINKS;
    FAILED: Counter<CoordinatorEndpoint> = "antiphon_coordinator_endpoint_failed_total", "handshakes",
        "Handshakes that failed or took too long, by endpoint", LINKS;
}
