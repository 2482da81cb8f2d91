//! All that decides whether a seal opens, between the last batch and the seal keys.
//!
//! A shard signs one statement about its seal key in a round. It owns a [`SealKeeper`] until then, and
//! signing uses the keeper up:
//!
//! 1. Filters: when every batch for the seal layer is in, the shard builds a filter of its sealed onions
//!    under a fresh salt, and waits for the filter of every shard ([`Filtering`], [`Filters`]).
//! 2. Verdicts: it looks for the onions it knows in them ([`Judging`]), says what it found, and waits for
//!    the verdict of every shard ([`Verdicts`]).
//! 3. Keys: if all are satisfied over the same filters, a [`VerdictBoard`] says so with a proof. The
//!    keeper releases its key for that proof and for nothing else ([`Verdicts::release`]).
//! 4. Otherwise, in any phase before, the keeper withholds ([`Phase::withhold`]): something is missing at
//!    its deadline or wrong, or another shard has withheld.
//!
//! The seal opens with the secrets of all shards ([`SealBoard::secrets`]), once this shard has released
//! its own ([`Keys`], [`Asked`]).

use std::collections::BTreeSet;

use antiphon_onion::{PeelKey, ReplyKey};
use antiphon_verify::{
    AllSatisfied, FilterError, FilterKey, FilterPrecision, SealBoard, SealFilter, SealKeeper,
    Standing, VerdictBoard, filter_digest,
};
use antiphon_wire::{
    Announcement, BatchHeader, Blob, Digest, Direction, FilterSalt, FilterStatement, Finding,
    PeerMessage, Reason, RoundOutcome, SealAct, SealStatement, ShardIndex, Signed, Timestamp,
    Verdict,
};
use bytes::Bytes;
use rand::Rng as _;

use crate::layer::origin::Origin;
use crate::layer::routes::{Batch, Routes};
use crate::noise::Checked;
use crate::round::arriving::Arriving;
use crate::round::cx::{Cx, Shared};
use crate::round::deadlines::Deadlines;
use crate::round::phase::{Aborting, Deposits, Opening, Phase};
use crate::work::{FilterJob, Filtered, JudgeJob, Judged, Step, UnsignedHeader};

/// The seal layer and layer L, for which shards that are ahead send already.
#[derive(Debug)]
pub(in crate::round) struct SealLayers {
    pub(super) sealed: Arriving,
    pub(super) last: Arriving,
}

/// A seal key before its statement, and what other shards have said about theirs so far.
#[derive(Debug)]
pub(in crate::round) struct Undecided {
    keeper: SealKeeper,
    /// Filters received so far, by shard, each with its statement's digest.
    filters: Vec<Option<(Digest, SealFilter)>>,
    early: EarlyVerdicts,
}

/// Verdicts that came before this shard had judged, at most one from each. They are not verified yet.
#[derive(Debug, Default)]
struct EarlyVerdicts(Vec<Signed<Verdict>>);

/// Onions that this shard knows, to look for in the filters.
#[derive(Debug)]
pub(in crate::round) struct Own {
    /// The checked half of its noise.
    checked: Checked,
    /// Its batch for each shard of the seal layer.
    sent: Vec<Bytes>,
}

/// This shard's filter is being built.
#[derive(Debug)]
pub(in crate::round) struct Filtering {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
    undecided: Undecided,
    own: Own,
}

/// The filters come in.
#[derive(Debug)]
pub(in crate::round) struct Filters {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
    undecided: Undecided,
    own: Own,
}

/// All filters are in, and are being tested.
#[derive(Debug)]
pub(in crate::round) struct Judging {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
    keeper: SealKeeper,
    early: EarlyVerdicts,
}

/// This shard has said what it found. The verdicts come in.
#[derive(Debug)]
pub(in crate::round) struct Verdicts {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
    keeper: SealKeeper,
    board: VerdictBoard,
}

/// This shard has released its key. The others' keys come in.
#[derive(Debug)]
pub(in crate::round) struct Keys {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
}

/// The others have been asked for the keys that had not come: one that was released to somebody must
/// not be kept from this shard.
#[derive(Debug)]
pub(in crate::round) struct Asked {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
    at: Timestamp,
}

impl Undecided {
    pub(in crate::round) fn new(keeper: SealKeeper, shards: usize) -> Self {
        let filters = (0..shards).map(|_| None).collect();
        Self { keeper, filters, early: EarlyVerdicts::default() }
    }

    /// Takes in another shard's filter, the first from it. `Err` is the reason to withhold.
    fn take_filter(
        &mut self,
        cx: &mut Cx<'_>,
        from: ShardIndex,
        signed: &Signed<FilterStatement>,
    ) -> Result<(), Reason> {
        let claimed = signed.claimed();
        let expected = claimed.shard == from
            && claimed.epoch == cx.context.epoch.epoch()
            && claimed.round == cx.round;
        // A shard has one filter in a round: the first that comes counts.
        if !expected || self.filters[from.position()].is_some() {
            return Ok(());
        }
        let statement = match signed.verify(&cx.context.identities[from.position()]) {
            Ok(statement) => statement,
            Err(error) => {
                cx.fault(from, &error);
                return Ok(());
            }
        };
        let key = cx.filter_key(from, statement.salt);
        let most = cx.limits.onions_per_batch.saturating_mul(cx.context.shards() as u32);
        let filter = SealFilter::parse(&key, statement.onions, most, &statement.bits.0);
        // A size that does not fit proves something against its shard; a filter that is too full does not.
        let filter = filter.map_err(|error| match error {
            FilterError::Size { .. } => Reason::BadFilter { shard: from },
            FilterError::TooManyOnions { .. } | FilterError::TooFull { .. } => {
                Reason::FullFilter { shard: from }
            }
        })?;
        self.filters[from.position()] = Some((filter_digest(statement), filter));
        Ok(())
    }

    fn first_missing_filter(&self) -> Option<ShardIndex> {
        let position = self.filters.iter().position(Option::is_none)?;
        Some(ShardIndex(position as u16))
    }
}

impl EarlyVerdicts {
    fn keep(&mut self, verdict: &Signed<Verdict>) {
        let shard = verdict.claimed().shard;
        if self.0.iter().all(|early| early.claimed().shard != shard) {
            self.0.push(verdict.clone());
        }
    }
}

impl Own {
    pub(super) fn new(checked: Checked, shards: usize) -> Self {
        Self { checked, sent: vec![Bytes::new(); shards] }
    }

    /// Keeps what is sent for the seal layer.
    pub(super) fn keep_sent(&mut self, batches: &[Batch]) {
        for batch in batches {
            self.sent[batch.to.position()] = batch.bytes.clone();
        }
    }
}

impl Filtering {
    /// Every batch for the seal layer is in.
    pub(super) fn begin(
        cx: &mut Cx<'_>,
        deadlines: Deadlines,
        mut layers: SealLayers,
        undecided: Undecided,
        own: Own,
    ) -> Phase {
        // Not before every onion is in: known earlier, it lets others choose onions by the bits that
        // they set.
        let mut salt = FilterSalt([0; 16]);
        cx.rng.fill_bytes(&mut salt.0);
        let key = cx.filter_key(cx.context.me, salt);
        let blocks = layers.sealed.lend_sealed();
        let onion_bytes = cx.geometry().onion_bytes(layers.sealed.layer());
        cx.work(Step::Filter(Box::new(FilterJob { salt, key, blocks, onion_bytes })));
        // Meanwhile, and while the others' filters come.
        let portions = cx.check_headers(Step::Headers);
        cx.shared.traffic.headers.wait_for(portions);
        Phase::Filtering(Self { deadlines, layers, undecided, own })
    }

    /// This shard's filter is built: all others get it.
    pub(super) fn on_built(self, cx: &mut Cx<'_>, built: Filtered) -> Phase {
        let Self { deadlines, mut layers, mut undecided, own } = self;
        let Filtered { blocks, salt, filter } = built;
        layers.sealed.take_back_sealed(blocks);
        let statement = FilterStatement {
            epoch: cx.context.epoch.epoch(),
            round: cx.round,
            shard: cx.context.me,
            salt,
            onions: filter.onions(),
            bits: Blob(filter.as_bytes().to_vec()),
        };
        undecided.filters[cx.context.me.position()] = Some((filter_digest(&statement), filter));
        let filter = Signed::new(statement, &cx.context.identity);
        cx.tell_all(&PeerMessage::Filter { filter });
        Phase::Filters(Filters { deadlines, layers, undecided, own })
    }
}

impl Filters {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        if let Some(shard) = self.undecided.first_missing_filter() {
            let late = cx.now >= self.deadlines.filters();
            let phase = Phase::Filters(self);
            return if late { phase.withhold(cx, Reason::MissingFilter { shard }) } else { phase };
        }
        if cx.shared.traffic.unsent > 0 || cx.shared.traffic.headers.is_checking() {
            // Whether the filters hold what is still to be sent has to be tested as well. And nobody is
            // satisfied with batches that no one could be blamed for.
            return Phase::Filters(self);
        }
        let Self { deadlines, layers, undecided, own } = self;
        let Undecided { keeper, filters, early } = undecided;
        let filters: Vec<_> = filters.into_iter().flatten().collect();
        let filter_bytes: usize = filters.iter().map(|(_, filter)| filter.as_bytes().len()).sum();
        cx.shared.counts.filters_checked = filters.len() as u32;
        cx.shared.counts.filter_bytes = filter_bytes as u32;
        let Own { checked, sent } = own;
        let onion_bytes = cx.geometry().onion_bytes(layers.sealed.layer());
        cx.work(Step::Judge(Box::new(JudgeJob { filters, checked, sent, onion_bytes })));
        Phase::Judging(Judging { deadlines, layers, keeper, early })
    }

    /// `None` while the end of gathering or of verifying headers comes first.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        let waits = shared.traffic.unsent == 0 && !shared.traffic.headers.is_checking();
        waits.then(|| self.deadlines.filters())
    }
}

impl Judging {
    /// The filters are tested: all others get the verdict.
    pub(super) fn on_judged(self, cx: &mut Cx<'_>, judged: Judged) -> Phase {
        let Self { deadlines, layers, keeper, early } = self;
        let Judged { filters, missing } = judged;
        let board = VerdictBoard::new(deadlines.announcement(), filters, cx.context.shards());
        let finding = match missing {
            Some((at, missing)) => Finding::Complaint { at, missing },
            None => board.satisfied(),
        };
        let (epoch, round, shard) = (cx.context.epoch.epoch(), cx.round, cx.context.me);
        let verdict = Verdict { epoch, round, shard, finding };
        let verdict = Signed::new(verdict, &cx.context.identity);
        cx.tell_all(&PeerMessage::Verdict { verdict: verdict.clone() });
        let mut phase = Phase::Verdicts(Verdicts { deadlines, layers, keeper, board });
        if let Finding::Complaint { at, missing } = finding {
            let reason = Reason::MissingOnions { complainant: shard, at, missing };
            return phase.withhold(cx, reason);
        }
        // Others may have decided while this shard's job ran.
        for verdict in early.0.iter().chain([&verdict]) {
            phase = phase.count_verdict(cx, verdict);
        }
        phase
    }
}

impl Verdicts {
    /// Counts a verdict. The last one, if all are satisfied over the same filters, is the proof without
    /// which the seal key cannot be released.
    fn count(mut self, cx: &mut Cx<'_>, verdict: &Signed<Verdict>) -> Phase {
        match self.board.record(verdict, &cx.context.identities) {
            Ok(Standing::AllSatisfied(proof)) => self.release(cx, proof),
            Ok(Standing::Refused(reason)) => Phase::Verdicts(self).withhold(cx, reason),
            Ok(Standing::Waiting) => Phase::Verdicts(self),
            Err(error) => {
                cx.fault(verdict.claimed().shard, &error);
                Phase::Verdicts(self)
            }
        }
    }

    /// Releases this shard's seal key: the one place where that is done.
    fn release(self, cx: &mut Cx<'_>, proof: AllSatisfied) -> Phase {
        let Self { deadlines, layers, keeper, .. } = self;
        match keeper.release(proof, &cx.context.identity) {
            Ok(statement) => cx.publish(statement),
            Err(error) => unreachable!("the board and the keeper are of one round: {error}"),
        }
        Phase::Keys(Keys { deadlines, layers })
    }

    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let missing = self.board.first_missing().filter(|_| cx.now >= self.deadlines.verdicts());
        let phase = Phase::Verdicts(self);
        match missing {
            Some(shard) => phase.withhold(cx, Reason::MissingVerdict { shard }),
            None => phase,
        }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadlines.verdicts()
    }
}

impl Keys {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let Self { deadlines, layers } = self;
        if let Some(key) = cx.seal_key() {
            return layers.open(cx, deadlines, key);
        }
        // Whoever signed that it withheld may have released to others, so they are asked then, too.
        let board = &cx.shared.statements.board;
        let all_in = board.first_withheld().is_some() && board.is_complete();
        if !all_in && cx.now < deadlines.ask_for_keys() {
            return Phase::Keys(Self { deadlines, layers });
        }
        let (epoch, round) = (cx.context.epoch.epoch(), cx.round);
        cx.tell_all(&PeerMessage::AskStatements { epoch, round });
        Phase::Asked(Asked { deadlines, layers, at: cx.now })
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadlines.ask_for_keys()
    }
}

impl Asked {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let late = cx.now >= self.deadline(cx.shared);
        let Self { deadlines, layers, at } = self;
        if let Some(key) = cx.seal_key() {
            return layers.open(cx, deadlines, key);
        }
        if !late {
            return Phase::Asked(Self { deadlines, layers, at });
        }
        let board = &cx.shared.statements.board;
        let Some(missing) = board.first_unreleased() else {
            unreachable!("the seal opens with all keys")
        };
        let outcome = RoundOutcome::NotOpened { missing };
        if board.first_withheld().is_some() {
            return Aborting::begin(cx, deadlines, outcome);
        }
        // Others may have opened: this shard counts as empty, and goes on for their sake.
        layers.skip(cx, deadlines, outcome)
    }

    /// A round in which some shard has withheld is given up sooner: it opens only if that shard has
    /// released to somebody as well.
    pub(super) fn deadline(&self, shared: &Shared) -> Timestamp {
        let keys = self.deadlines.keys();
        if shared.statements.board.first_withheld().is_some() {
            keys.min(self.deadlines.answered(self.at))
        } else {
            keys
        }
    }
}

impl SealLayers {
    /// Has the sealed onions peeled.
    fn open(mut self, cx: &mut Cx<'_>, deadlines: Deadlines, key: PeelKey) -> Phase {
        cx.shared.tracer.keys_in();
        cx.peel(self.sealed.unseal(key));
        Phase::Opening(Opening { deadlines, layers: self })
    }

    /// Goes on without having opened: the onions at this shard get random replies.
    fn skip(self, cx: &mut Cx<'_>, deadlines: Deadlines, outcome: RoundOutcome) -> Phase {
        let Self { sealed, last } = self;
        let origin = Origin::Layer(sealed.layer());
        let closed = sealed.close();
        let keys = vec![ReplyKey::default(); closed.slots()];
        let routes = Routes::none(cx.context.shards());
        cx.expect_replies(origin, routes, keys, closed.into_starts());
        let nothing = cx.context.epoch.shard_indices().map(Batch::empty).collect();
        let mut phase = Phase::Deposits(Deposits { deadlines, last, outcome });
        phase.send_onions(cx, origin, nothing);
        phase
    }
}

/// Withholding, and what other shards say.
impl Phase {
    /// Withholds this shard's seal key and gives the round up, unless the key has been released. Not
    /// before the round is open: its coordinator would wait in vain for a report of a round that ended
    /// early.
    pub(super) fn withhold(self, cx: &mut Cx<'_>, reason: Reason) -> Self {
        let (keeper, deadlines) = match self {
            Self::Submitting(phase) => (phase.undecided.keeper, phase.deadlines),
            Self::Leaving(phase) => (phase.undecided.keeper, phase.deadlines),
            Self::Mixing(phase) => (phase.undecided.keeper, phase.deadlines),
            Self::Filtering(phase) => (phase.undecided.keeper, phase.deadlines),
            Self::Filters(phase) => (phase.undecided.keeper, phase.deadlines),
            Self::Judging(phase) => (phase.keeper, phase.deadlines),
            Self::Verdicts(phase) => (phase.keeper, phase.deadlines),
            Self::Early(_)
            | Self::Keys(_)
            | Self::Asked(_)
            | Self::Opening(_)
            | Self::Unsealed(_)
            | Self::Deposits(_)
            | Self::Exchanging(_)
            | Self::Replying(_)
            | Self::Aborting(_)
            | Self::Ended(_) => return self,
        };
        let statement = keeper.withhold(reason, &cx.context.identity);
        cx.publish(statement);
        Aborting::begin(cx, deadlines, RoundOutcome::Withheld { reason })
    }

    /// Withholds this shard's seal key if another shard has.
    pub(super) fn heed(self, cx: &mut Cx<'_>) -> Self {
        match cx.shared.statements.board.first_withheld() {
            Some((shard, _)) => self.withhold(cx, Reason::Follows { shard }),
            None => self,
        }
    }

    /// Another shard's filter. Once all are in and are tested, it changes nothing.
    pub(super) fn on_filter(
        mut self,
        cx: &mut Cx<'_>,
        from: ShardIndex,
        signed: &Signed<FilterStatement>,
    ) -> Self {
        let undecided = match &mut self {
            Self::Early(phase) => &mut phase.undecided,
            Self::Submitting(phase) => &mut phase.undecided,
            Self::Leaving(phase) => &mut phase.undecided,
            Self::Mixing(phase) => &mut phase.undecided,
            Self::Filtering(phase) => &mut phase.undecided,
            Self::Filters(phase) => &mut phase.undecided,
            // Once this shard has its verdict, or none to give, filters change nothing.
            _ => return self,
        };
        match undecided.take_filter(cx, from, signed) {
            Ok(()) => self,
            Err(reason) => self.withhold(cx, reason),
        }
    }

    /// Another shard's verdict. Verdicts that come before this shard has judged wait.
    pub(super) fn on_verdict(
        mut self,
        cx: &mut Cx<'_>,
        from: ShardIndex,
        verdict: &Signed<Verdict>,
    ) -> Self {
        if verdict.claimed().shard != from {
            return self;
        }
        match &mut self {
            Self::Early(phase) => phase.undecided.early.keep(verdict),
            Self::Submitting(phase) => phase.undecided.early.keep(verdict),
            Self::Leaving(phase) => phase.undecided.early.keep(verdict),
            Self::Mixing(phase) => phase.undecided.early.keep(verdict),
            Self::Filtering(phase) => phase.undecided.early.keep(verdict),
            Self::Filters(phase) => phase.undecided.early.keep(verdict),
            Self::Judging(phase) => phase.early.keep(verdict),
            _ => {}
        }
        self.count_verdict(cx, verdict)
    }

    /// Counts a verdict, if verdicts still count.
    fn count_verdict(self, cx: &mut Cx<'_>, verdict: &Signed<Verdict>) -> Self {
        match self {
            Self::Verdicts(phase) => phase.count(cx, verdict),
            other => other,
        }
    }

    /// Statements about seal keys: the sender's own, or others' that it passes on.
    pub(super) fn on_statements(
        self,
        cx: &mut Cx<'_>,
        from: ShardIndex,
        statements: &[Signed<SealStatement>],
    ) -> Self {
        for statement in statements.iter().take(2 * cx.context.shards()) {
            let recorded = cx.shared.statements.board.record(statement, &cx.context.identities);
            if let Err(error) = recorded {
                cx.fault(from, &error);
            }
        }
        self.heed(cx)
    }

    /// Headers of batches up to the seal layer have been verified. A batch whose header its sender has
    /// not signed counts as missing: nobody could be blamed for what it held.
    pub(super) fn on_checked(self, cx: &mut Cx<'_>, unsigned: &[UnsignedHeader]) -> Self {
        cx.shared.traffic.headers.checked();
        let seal = cx.geometry().seal_layer();
        let headers = unsigned.iter().map(|unsigned| &unsigned.header);
        let missing = headers
            .filter(|header| header.direction == Direction::Forward && header.layer <= seal)
            .min_by_key(|header| (header.layer, header.sender));
        match missing {
            Some(&BatchHeader { layer, sender, .. }) => {
                self.withhold(cx, Reason::MissingBatch { layer, sender })
            }
            None => self,
        }
    }

    /// Keeps what has been sent for the seal layer, to look for it in the filters.
    pub(super) fn keep_sent(&mut self, batches: &[Batch]) {
        match self {
            Self::Mixing(phase) => phase.own.keep_sent(batches),
            Self::Filtering(phase) => phase.own.keep_sent(batches),
            Self::Filters(phase) => phase.own.keep_sent(batches),
            _ => unreachable!("filters are not tested before all onions are sent"),
        }
    }
}

/// Statements about seal keys that this shard has seen. They outlast the round: a shard that is
/// behind may ask.
#[derive(Debug)]
pub(in crate::round) struct Statements {
    board: SealBoard,
    /// Peers whose question for statements has been answered: once is enough.
    answered: BTreeSet<ShardIndex>,
}

impl Statements {
    pub(in crate::round) fn new(board: SealBoard) -> Self {
        Self { board, answered: BTreeSet::new() }
    }

    /// The round is open here, announced so.
    pub(super) fn open(&mut self, announcement: &Announcement) {
        self.board.open(announcement);
    }

    /// Returns true if every shard has said something.
    pub(super) fn are_complete(&self) -> bool {
        self.board.is_complete()
    }

    /// Returns true if some shard has withheld, so that the round cannot be opened.
    pub(in crate::round) fn is_withheld(&self) -> bool {
        self.board.first_withheld().is_some()
    }

    pub(super) fn all(&self) -> &[Signed<SealStatement>] {
        self.board.statements()
    }

    /// The releases among them.
    pub(super) fn released(&self) -> Vec<Signed<SealStatement>> {
        let releases = |signed: &&Signed<SealStatement>| {
            matches!(signed.claimed().act, SealAct::Released { .. })
        };
        self.board.statements().iter().filter(releases).cloned().collect()
    }

    pub(super) fn erase_secrets(&mut self) {
        self.board.erase_secrets();
    }
}

impl Cx<'_> {
    /// The key of the seal layer, once every shard has released its own.
    fn seal_key(&self) -> Option<PeelKey> {
        let secrets = self.shared.statements.board.secrets()?;
        match PeelKey::sealed(&self.context.onion, secrets) {
            Ok(key) => Some(key.with_kem(self.context.kem.clone())),
            // Each shard has proved that it knows its secret, and nobody else knows this one's.
            Err(error) => unreachable!("random secrets do not cancel each other: {error}"),
        }
    }

    /// Records this shard's own statement, and tells all others.
    fn publish(&mut self, statement: Signed<SealStatement>) {
        let recorded = self.shared.statements.board.record(&statement, &self.context.identities);
        debug_assert_eq!(recorded, Ok(true), "a shard states once, and what is true");
        self.tell_all(&PeerMessage::Statements { statements: vec![statement] });
    }

    /// Another shard asks what statements this one has.
    pub(super) fn answer_with_statements(&mut self, peer: ShardIndex) {
        let Statements { board, answered } = &mut self.shared.statements;
        if answered.insert(peer) {
            let statements = board.statements().to_vec();
            self.tell(peer, PeerMessage::Statements { statements });
        }
    }

    /// The key of `owner`'s filter.
    fn filter_key(&self, owner: ShardIndex, salt: FilterSalt) -> FilterKey {
        let Some(precision) = FilterPrecision::new(self.context.epoch.parameters().filter_bits)
        else {
            unreachable!("a verified document's filters have a precision");
        };
        FilterKey::new(self.context.epoch.epoch(), self.round, owner, salt, precision)
    }
}
