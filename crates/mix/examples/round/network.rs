//! Shards in one thread, with this program as their coordinator, links and clients.

use std::collections::VecDeque;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use antiphon_mix::{
    BatchKey, ClientId, EntropySource, Input, Limits, Output, Shard, ShardConfig, SignerState,
};
use antiphon_routing::{Draft, Offer, VerifiedEpoch, assemble};
use antiphon_wire::{
    Announcement, BeatParameters, Blob, Digest, Epoch, FromClient, IdentityKey, Layer, NetworkFile,
    Operator, OperatorIndex, OperatorList, PROTOCOL_VERSION, Parameters, PeerMessage, Policy,
    Round, SERVICE_CONVERSATION, SUITE_1, Signed, SignedDocument, Timestamp, ToClient,
    ToCoordinator, ToShard,
};
use bytes::Bytes;
use ed25519_dalek::SigningKey;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::costs::Costs;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
const EPOCH: Epoch = Epoch(1);
/// Bytes of a link's frame.
const FRAME_BYTES: usize = 64 << 10;
const SEED: u64 = 1;
/// A deadline that never passes, since the clock stands still, in milliseconds.
const LONG: u32 = 10_000;

pub(crate) struct Network {
    shards: Vec<Shard>,
    identities: Vec<IdentityKey>,
    epoch: Arc<VerifiedEpoch>,
    rng: ChaCha20Rng,
    inputs: VecDeque<(usize, Input)>,
    clients: usize,
    answered: usize,
    /// What the first shard has heard, `None` for the end of its own work, until the end of the setup, and while `records` is set.
    pub(crate) first_hears: Vec<Option<Input>>,
    /// While set, the first shard has its work done after everything else: it is the slowest.
    pub(crate) records: bool,
    late: VecDeque<(usize, Input)>,
}

/// A copy of what comes from outside.
pub(crate) fn copy(input: &Input) -> Option<Input> {
    Some(match input {
        Input::WorkDone(_) => return None,
        Input::CoordinatorLinked(coordinator) => Input::CoordinatorLinked(*coordinator),
        Input::CoordinatorLost(coordinator) => Input::CoordinatorLost(*coordinator),
        Input::Coordinator { from, message } => {
            Input::Coordinator { from: *from, message: message.clone() }
        }
        Input::Peer { from, message } => Input::Peer { from: *from, message: message.clone() },
        Input::PeerChunk { from, batch, bytes } => {
            let bytes = Bytes::copy_from_slice(bytes);
            Input::PeerChunk { from: *from, batch: *batch, bytes }
        }
        Input::PeerCells { from, batch, bytes } => {
            let bytes = Bytes::copy_from_slice(bytes);
            Input::PeerCells { from: *from, batch: *batch, bytes }
        }
        Input::ClientJoined(client) => Input::ClientJoined(*client),
        Input::Client { from, message } => Input::Client { from: *from, message: message.clone() },
        Input::ClientLeft(client) => Input::ClientLeft(*client),
        Input::Leave => Input::Leave,
        Input::Stay => Input::Stay,
        Input::List(list) => Input::List(list.clone()),
        Input::Addresses { peers, clients } => {
            Input::Addresses { peers: peers.clone(), clients: clients.clone() }
        }
        Input::Tick => Input::Tick,
    })
}

fn key(kind: u8, position: usize) -> SigningKey {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(position as u64).to_be_bytes());
    SigningKey::from_bytes(&seed)
}

impl Network {
    /// Shards of as many operators, with an epoch of `rounds` rounds.
    pub(crate) fn new(
        clients: usize,
        shards: usize,
        rounds: usize,
        policy: Policy,
    ) -> Result<Self, Box<dyn Error>> {
        let file = network_file(shards, policy)?;
        let mut rng = ChaCha20Rng::seed_from_u64(SEED);
        let machines = (0..shards).map(|i| shard(i, &file, &mut rng)).collect::<Vec<_>>();
        let identities: Vec<_> = machines.iter().map(Shard::identity).collect();
        let signed = |document| SignedDocument { document, signatures: Vec::new() };
        let mut network =
            Starting { shards: machines, inputs: VecDeque::new(), first_hears: Vec::new() };

        let (first_round, last_round) = (Round(1), Round(rounds as u64));
        let mut offers = Vec::new();
        for i in 0..shards {
            let said = network.tell(i, Input::CoordinatorLinked(coordinator()));
            let registration = said.into_iter().find_map(|said| match said {
                ToCoordinator::Register { registration, .. } => Some(registration),
                _ => None,
            });
            let call = ToShard::Call { epoch: EPOCH, first_round, last_round };
            let said = network.tell(i, of_coordinator(call));
            let contribution = said.into_iter().find_map(|said| match said {
                ToCoordinator::Contribute { contribution } => Some(contribution),
                _ => None,
            });
            let (Some(registration), Some(contribution)) = (registration, contribution) else {
                return Err("a shard does not register".into());
            };
            offers.push(Offer { registration, contribution });
        }
        let parameters = Parameters {
            suite: SUITE_1,
            service: SERVICE_CONVERSATION,
            layers: 0,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            interval_ms: 5000,
            submit_ms: LONG,
            layer_ms: LONG,
            verify_ms: LONG,
            reply_ms: LONG,
            beats: BeatParameters::CLASSIC,
        };
        let draft = Draft {
            epoch: EPOCH,
            first_round,
            last_round,
            starts_at: NOW,
            previous: Digest::default(),
            parameters,
        };
        let document = assemble(draft, &offers, &file)?;
        let contributions: Vec<_> = document
            .shards
            .iter()
            .filter_map(|shard| {
                let of = |offer: &&Offer| offer.contribution.identity == shard.identity;
                Some(Arc::new(offers.iter().find(of)?.contribution.clone()))
            })
            .collect();
        let mut document = signed(document);
        for entry in document.document.shards.clone() {
            let position = identities.iter().position(|identity| *identity == entry.identity);
            let proposed = document.document.clone();
            let hashes = contributions.iter().map(|keys| keys.digest()).collect();
            let spread = contributions.len() as u16;
            let propose = ToShard::Propose { document: proposed, contributions: hashes, spread };
            let handed = contributions.iter().cloned();
            let handed = handed.map(|contribution| ToShard::Contribution { contribution });
            for message in std::iter::once(propose).chain(handed) {
                for said in network.tell(position.unwrap_or(0), of_coordinator(message)) {
                    if let ToCoordinator::Endorse { signature, .. } = said {
                        document.signatures.push(signature);
                    }
                }
            }
        }
        let epoch = Arc::new(VerifiedEpoch::verify(document.clone(), &file)?.with_tables());
        let mut network = Self {
            shards: network.shards,
            identities,
            epoch,
            rng,
            inputs: VecDeque::new(),
            clients,
            answered: 0,
            first_hears: network.first_hears,
            records: true,
            late: VecDeque::new(),
        };
        for i in 0..shards {
            let publish = ToShard::Publish { document: document.clone() };
            network.inputs.push_back((i, of_coordinator(publish)));
        }
        for client in 0..clients {
            let joined = Input::ClientJoined(ClientId(client as u64));
            network.inputs.push_back((client % shards, joined));
            let message = FromClient::Hello { version: PROTOCOL_VERSION };
            let hello = Input::Client { from: ClientId(client as u64), message };
            network.inputs.push_back((client % shards, hello));
        }
        network.work_off(&mut Costs::default());
        network.records = false;
        Ok(network)
    }

    /// Bytes of the buffers of all shards.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.shards.iter().map(Shard::buffer_bytes).sum()
    }

    /// Onions in one layer of all shards.
    pub(crate) fn onions(&self) -> usize {
        let noise: u32 = self.epoch.shards().iter().map(|shard| shard.noise_volume).sum();
        2 * self.clients + noise as usize
    }

    pub(crate) fn layers(&self) -> usize {
        usize::from(self.epoch.geometry().layers())
    }

    /// Bytes of an onion at layer 1.
    pub(crate) fn onion_bytes(&self) -> usize {
        self.epoch.geometry().onion_bytes(Layer::FIRST)
    }

    /// Two entries for each client, all depositing alone.
    pub(crate) fn build_onions(&mut self, round: usize) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
        let keys = self.epoch.round_keys(Round(round as u64)).ok_or("no such round")??;
        let geometry = self.epoch.geometry();
        let mut clients = Vec::new();
        for _ in 0..self.clients {
            let mut deposits = vec![0; 2 * geometry.deposit_bytes()];
            self.rng.fill_bytes(&mut deposits);
            let (entries, _) = keys.entries(&deposits, &mut self.rng)?;
            clients.push(entries);
        }
        Ok(clients)
    }

    /// Runs a round with the clients' entries. Returns how many clients were answered.
    pub(crate) fn run(&mut self, round: usize, entries: Vec<Vec<u8>>, costs: &mut Costs) -> usize {
        let (epoch, round) = (EPOCH, Round(round as u64));
        let shards = self.shards.len();
        for i in 0..shards {
            let announcement = Announcement::classic(epoch, round);
            self.inputs.push_back((i, of_coordinator(ToShard::Open { announcement })));
        }
        self.answered = 0;
        for (client, onions) in entries.into_iter().enumerate() {
            let from = ClientId(client as u64);
            let ticket = Digest::of(&onions);
            let message = FromClient::Submit { epoch, round, ticket, onions: Blob(onions) };
            self.inputs.push_back((client % shards, Input::Client { from, message }));
        }
        self.work_off(costs);
        self.answered
    }

    fn work_off(&mut self, costs: &mut Costs) {
        while let Some((i, input)) = self.inputs.pop_front().or_else(|| self.late.pop_front()) {
            if i == 0 && self.records {
                self.first_hears.push(copy(&input));
            }
            let part = match &input {
                Input::PeerChunk { .. } => "machine: batches",
                Input::Peer { .. } => "machine: other messages",
                Input::WorkDone(_) => "machine: results",
                _ => "machine: clients, rounds",
            };
            let shard = &mut self.shards[i];
            costs.count(part, || shard.handle(NOW, input));
            while let Some(output) = self.shards[i].poll() {
                self.carry_out(i, output, costs);
            }
        }
    }

    fn carry_out(&mut self, i: usize, output: Output, costs: &mut Costs) {
        let from = self.identities[i];
        let position = |to: &IdentityKey| self.identities.iter().position(|known| known == to);
        match output {
            Output::Work(work) => {
                let done = costs.count(work.name(), || work.run());
                let late = i == 0 && self.records;
                let inputs = if late { &mut self.late } else { &mut self.inputs };
                inputs.push_back((i, Input::WorkDone(done)));
            }
            Output::Peer { to, message } => {
                let Some(to) = position(&to) else { return };
                self.inputs.push_back((to, Input::Peer { from, message }));
            }
            Output::Batch { to, header, bytes, item_bytes } => {
                let Some(to) = position(&to) else { return };
                let batch = BatchKey::of(header.claimed());
                let message = PeerMessage::Batch { header };
                self.inputs.push_back((to, Input::Peer { from, message }));
                let mut rest = bytes;
                while !rest.is_empty() {
                    let frame = (FRAME_BYTES / item_bytes).max(1) * item_bytes;
                    let bytes = rest.split_to(frame.min(rest.len()));
                    self.inputs.push_back((to, Input::PeerChunk { from, batch, bytes }));
                }
            }
            Output::Client { message, .. } => {
                self.answered += usize::from(matches!(*message, ToClient::Replies { .. }));
            }
            _ => {}
        }
    }
}

fn network_file(shards: usize, policy: Policy) -> Result<Arc<NetworkFile>, Box<dyn Error>> {
    let operators = (0..shards).map(|i| Operator {
        name: format!("operator {i}"),
        key: IdentityKey::of(&key(1, i)),
        weight: 1,
    });
    Ok(Arc::new(NetworkFile::new(operators.collect(), policy)?))
}

/// The first shard of a network of `shards`, alone: told the same, it does the same.
pub(crate) fn first_shard(shards: usize, policy: Policy) -> Result<Shard, Box<dyn Error>> {
    let file = network_file(shards, policy)?;
    Ok(shard(0, &file, &mut ChaCha20Rng::seed_from_u64(SEED)))
}

/// Shards before there is an epoch.
struct Starting {
    shards: Vec<Shard>,
    inputs: VecDeque<Input>,
    first_hears: Vec<Option<Input>>,
}

impl Starting {
    /// Tells shard `i` something. Returns what it says to its coordinator.
    fn tell(&mut self, i: usize, input: Input) -> Vec<ToCoordinator> {
        let mut said = Vec::new();
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            if i == 0 {
                self.first_hears.push(copy(&input));
            }
            self.shards[i].handle(NOW, input);
            while let Some(output) = self.shards[i].poll() {
                match output {
                    Output::Work(work) => self.inputs.push_back(Input::WorkDone(work.run())),
                    Output::Coordinator { message, .. } => said.push(message),
                    _ => {}
                }
            }
        }
        said
    }
}

fn coordinator() -> IdentityKey {
    IdentityKey::of(&key(3, 0))
}

fn of_coordinator(message: ToShard) -> Input {
    Input::Coordinator { from: coordinator(), message }
}

fn shard(i: usize, file: &Arc<NetworkFile>, rng: &mut ChaCha20Rng) -> Shard {
    let list = OperatorList {
        network: file.id(),
        operator: OperatorIndex(i as u16),
        number: 1,
        first_epoch: Epoch(0),
        last_epoch: Epoch(u64::MAX),
        shards: vec![IdentityKey::of(&key(2, i))],
    };
    let address = |port| SocketAddr::from((Ipv4Addr::new(10, 0, (i >> 8) as u8, i as u8), port));
    let config = ShardConfig {
        network: Arc::clone(file),
        identity: key(2, i),
        list: Signed::new(list, &key(1, i)),
        peer_addresses: address(1).into(),
        client_addresses: address(2).into(),
        coordinators: vec![coordinator()],
        limits: Limits::default(),
    };
    let entropy = EntropySource::new(ChaCha20Rng::from_rng(rng));
    Shard::new(config, SignerState::default(), entropy)
}
