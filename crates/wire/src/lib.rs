#![doc = include_str!("../README.md")]

mod addresses;
mod batch_verification;
mod beat;
mod boxes;
mod client;
mod codec;
mod control;
mod entry;
mod epoch;
mod equation;
mod geometry;
mod ids;
mod kem_key;
mod network;
mod round;
mod services;
mod signed;
mod signed_header;
mod suite;

pub use addresses::{Addresses, AddressesError, MOST_ADDRESSES};
pub use batch_verification::verify_together;
pub use beat::{Announcement, BeatParameters, CellBatch, MOST_BEATS_IN_FLIGHT};
pub use boxes::{
    BOX_CONTEXT, BoxContent, BoxError, BoxStatement, CallBox, INVITATION_BYTES, InvitationBox,
    MOST_BOXES, MOST_INVITATIONS, MOST_TOKENS, TOKEN_BITS, TOKEN_BYTES, Token, box_dead_drop,
    box_of_address,
};
pub use client::{FromClient, MOST_ROUNDS_LEFT, Ticket, ToClient};
pub use codec::{Blob, Decode, DecodeError, Encode, Reader};
pub use control::{
    HeldEpoch, MOST_ROUNDS_IN_FLIGHT, Registration, RoundCounts, RoundOutcome, Standing,
    ToCoordinator, ToShard,
};
pub use entry::Entry;
pub use epoch::{
    Contribution, EpochDocument, OperatorList, PROTOCOL_VERSION, Parameters, SERVICE_CONVERSATION,
    SUITE_1, ShardEntry, SignedDocument,
};
pub use geometry::{
    DEAD_DROP_BYTES, EPHEMERAL_BYTES, Geometry, GeometryError, NEXT_HOP_BYTES, TAG_BYTES,
};
pub use ids::{Epoch, Layer, OperatorIndex, Round, ShardIndex, Term, Timestamp};
pub use kem_key::{KEM_KEY_BYTES, KemKey};
pub use network::{KeyTextError, NetworkFile, NetworkFileError, Operator, Policy};
pub use round::{
    BatchHeader, Direction, FilterSalt, FilterStatement, Finding, PeerMessage, Reason, SealAct,
    SealSecret, SealStatement, Verdict,
};
pub use services::{RoundKind, Services};
pub use signed::{BadSignature, Digest, IdentityKey, Signable, Signature, Signed};
pub use signed_header::{HeaderList, SignedHeader};
pub use suite::{Suite, UnknownSuite};
