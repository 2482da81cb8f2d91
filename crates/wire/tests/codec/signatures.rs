//! A signature on one kind of statement is never one on another, and its bytes never change.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use antiphon_wire::{
    Addresses, BatchHeader, BeatParameters, Blob, BoxStatement, Contribution, Digest, Direction,
    Encode as _, Epoch, EpochDocument, FilterSalt, FilterStatement, Finding, HeaderList,
    IdentityKey, Layer, OperatorIndex, OperatorList, PROTOCOL_VERSION, Parameters, Reason, Round,
    SUITE_1, SealAct, SealStatement, ShardEntry, ShardIndex, Signable, Signed, SignedHeader,
    Timestamp, Verdict,
};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use crate::strategies::*;

const CONTEXTS: [&str; 7] = [
    HeaderList::CONTEXT,
    FilterStatement::CONTEXT,
    Verdict::CONTEXT,
    SealStatement::CONTEXT,
    BoxStatement::CONTEXT,
    OperatorList::CONTEXT,
    EpochDocument::CONTEXT,
];

#[test]
fn every_kind_signs_under_a_context_of_its_own() {
    let distinct: BTreeSet<_> = CONTEXTS.iter().collect();
    assert_eq!(distinct.len(), CONTEXTS.len());
    for context in CONTEXTS {
        let versions = ["antiphon v1 ", "antiphon v2 "];
        assert!(versions.iter().any(|version| context.starts_with(version)), "{context}");
        // A zero byte ends the context, so that none is the beginning of another.
        assert!(!context.contains('\0'), "{context}");
    }
    let proof = keys().possession_context(&Digest::default(), OperatorIndex(0));
    let proof = proof.split(|byte| *byte == 0).next().unwrap();
    assert!(CONTEXTS.iter().all(|context| context.as_bytes() != proof));
}

/// The files of a folder and of those in it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let entries = entries.map(|entry| entry.expect("it can be read").path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Keeps the list above complete: a context added to a source file has to be added there too.
#[test]
fn the_contexts_in_the_sources_are_those_listed() {
    let mut found = BTreeSet::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| line.contains("const CONTEXT: &'static str =")) {
            found.insert(line.split('"').nth(1).unwrap().to_owned());
        }
    }
    assert_eq!(found, CONTEXTS.map(str::to_owned).into());
}

fn keys() -> Contribution {
    Contribution {
        epoch: Epoch(4),
        first_round: Round(5),
        identity: IdentityKey([3; 32]),
        onion_key: [0; 32],
        kem_key: None,
        seal_keys: Vec::new(),
        proof: [0; 64],
    }
}

/// To the keys themselves it is bound by its challenge.
#[test]
fn a_key_proof_is_bound_to_everything_it_is_about() {
    let (network, operator, base) = (Digest([1; 32]), OperatorIndex(2), keys());
    let all = [
        base.possession_context(&network, operator),
        base.possession_context(&Digest([9; 32]), operator),
        base.possession_context(&network, OperatorIndex(9)),
        Contribution { identity: IdentityKey([9; 32]), ..base.clone() }
            .possession_context(&network, operator),
        Contribution { epoch: Epoch(9), ..base.clone() }.possession_context(&network, operator),
        Contribution { first_round: Round(9), ..base }.possession_context(&network, operator),
    ];
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_statement_or_signature_does_not_verify(
        statement in signed(seal_statement()),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        use antiphon_wire::{Decode, Encode};
        let me = IdentityKey::of(&SigningKey::from_bytes(&[7; 32]));
        prop_assert!(statement.verify(&me).is_ok());
        let mut bytes = statement.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(changed) = Signed::<SealStatement>::from_bytes(&bytes) {
            prop_assert!(changed.verify(&me).is_err());
        }
    }
}

/// The hash of what is signed.
fn fingerprint(statement: &impl Signable) -> String {
    let digest = Digest::of(&statement.signed_bytes());
    hex::encode(digest.0)
}

fn header() -> BatchHeader {
    BatchHeader {
        version: PROTOCOL_VERSION,
        epoch: Epoch(2),
        round: Round(3),
        layer: Layer(4),
        direction: Direction::Reply,
        sender: ShardIndex(5),
        receiver: ShardIndex(6),
        count: 7,
        hash: Digest([8; 32]),
    }
}

fn statement(act: SealAct) -> SealStatement {
    SealStatement {
        network: Digest([1; 32]),
        epoch: Epoch(2),
        round: Round(3),
        shard: ShardIndex(4),
        act,
    }
}

fn list() -> OperatorList {
    OperatorList {
        network: Digest([1; 32]),
        operator: OperatorIndex(2),
        number: 3,
        first_epoch: Epoch(4),
        last_epoch: Epoch(5),
        shards: vec![IdentityKey([6; 32]), IdentityKey([7; 32])],
    }
}

fn document() -> EpochDocument {
    EpochDocument {
        version: PROTOCOL_VERSION,
        network: Digest([1; 32]),
        epoch: Epoch(2),
        first_round: Round(3),
        last_round: Round(4),
        starts_at: Timestamp(5),
        expires_at: Timestamp(6),
        previous: Digest([7; 32]),
        parameters: Parameters {
            suite: SUITE_1,
            service: 0,
            layers: 15,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            interval_ms: 5000,
            submit_ms: 1000,
            layer_ms: 2000,
            verify_ms: 3000,
            reply_ms: 4000,
            beats: BeatParameters { beats: 150, beat_ms: 4000, layer_ms: 250, cell_bytes: 256 },
        },
        operators: vec![Signed::new(list(), &SigningKey::from_bytes(&[7; 32]))],
        shards: vec![ShardEntry {
            operator: OperatorIndex(0),
            identity: IdentityKey([1; 32]),
            peer_addresses: SocketAddr::from(([192, 0, 2, 1], 7000)).into(),
            client_addresses: Addresses::new(vec![
                SocketAddr::from(([192, 0, 2, 1], 7001)),
                SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 7001)),
            ])
            .expect("they differ"),
            onion_key: [2; 32],
            kem_key: None,
            noise_volume: 304,
            noise_sigma: 19302,
        }],
        joint_seal_keys: vec![[3; 32], [4; 32]],
    }
}

/// A header's signed bytes, written out once by hand from the description of the format.
#[test]
fn a_batch_header_is_signed_as_described() {
    let mut expected = Vec::new();
    for field in [&[0, 4][..], &[0, 0, 0, 0, 0, 0, 0, 2], &[0, 0, 0, 0, 0, 0, 0, 3], &[4], &[1]] {
        expected.extend_from_slice(field);
    }
    for field in [&[0, 5][..], &[0, 6], &[0, 0, 0, 7], &[8; 32]] {
        expected.extend_from_slice(field);
    }
    assert_eq!(header().to_bytes(), expected);
    // The list of this header and of one for another receiver.
    let other = BatchHeader { receiver: ShardIndex(9), ..header() };
    let leaves = [header(), other].map(|header| Digest::of(&header.to_bytes()).0);
    let root = Digest::of(&leaves.concat());
    let signed = SignedHeader::sign_all(vec![header(), other], &SigningKey::from_bytes(&[7; 32]));
    for signed in &signed {
        let list = *signed.list().claimed();
        assert_eq!(list, HeaderList { root });
        assert_eq!(list.signed_bytes(), [b"antiphon v1 batch headers\0", &root.0[..]].concat());
    }
    // The header, the side and the sibling, and the signature.
    let bytes = signed[1].to_bytes();
    assert_eq!(bytes[..60], other.to_bytes());
    assert_eq!(bytes[60..66], [0, 1, 0, 0, 0, 1]);
    assert_eq!(bytes[66..98], leaves[0]);
    assert_eq!(bytes.len(), 98 + 64);
}

/// Anything that changes one of these breaks running networks: it needs a new protocol version.
#[test]
fn signed_bytes_stay_what_they_are() {
    let filter = FilterStatement {
        epoch: Epoch(2),
        round: Round(3),
        shard: ShardIndex(4),
        salt: FilterSalt([9; 16]),
        onions: 5,
        bits: Blob(vec![6; 8]),
    };
    let finding = Finding::Complaint { at: ShardIndex(5), missing: 6 };
    let verdict = Verdict { epoch: Epoch(2), round: Round(3), shard: ShardIndex(4), finding };
    let reason =
        Reason::MissingOnions { complainant: ShardIndex(5), at: ShardIndex(6), missing: 7 };
    let signed = SignedHeader::new(header(), &SigningKey::from_bytes(&[7; 32]));
    let found = [
        fingerprint(signed.list().claimed()),
        fingerprint(&filter),
        fingerprint(&verdict),
        fingerprint(&statement(SealAct::Released {
            secret: antiphon_wire::SealSecret([5; 32]),
            announcement: Digest([6; 32]),
        })),
        fingerprint(&statement(SealAct::Withheld { reason })),
        fingerprint(&list()),
        fingerprint(&document()),
        fingerprint(&BoxStatement {
            network: Digest([1; 32]),
            epoch: Epoch(2),
            round: Round(3),
            shard: ShardIndex(4),
            number: 5,
            content: Blob(vec![6; 8]),
        }),
    ];
    assert_eq!(found, VECTORS);
    let bytes = signed.to_bytes();
    assert_eq!(hex::encode(&bytes[bytes.len() - 64..]), HEADER_SIGNATURE);
}

const VECTORS: [&str; 8] = [
    "c5afa8d3f5af30cdb53d059072263db8f51c074f97ae4c73b8ccd5dc6926b90d",
    "bba16505e0823e5aa81c2c2c1eec4fd5c5f59b29fedd950e4379929e1b8fa8af",
    "964cbe7c4ba304c94d6ae6778db0b47719a8032ac27519549fd7b619b7590d5c",
    "0dba4f75567115e299756ae90499f5d1e64e2e4b6cdf2be27bc0d5459c0982c2",
    "6c2c23ac68ab26004c77114795663e7f7e147272eb146884c6048a6621790bd3",
    "22202f79115f73f38284b66c40e7b2c42dc2124fc7d651222325a0ae0ebc8398",
    "2fc32734e19d974d64ada4d9835a31a992badf99ce4fe80d593079dc9c3d7dc4",
    "fe5aafa579fac05bb889bac60cae26df6f9aaa4e67b4e2602c3639eb107e7cc9",
];
const HEADER_SIGNATURE: &str = "3af3fdc827aa4d626a6c216a5a290422127c72694fbe70339a555df14fe0e8f6a13749861afaba6fe60534b6138038a69ca08002c8fa8f8d9e92c97418d8ff04";
