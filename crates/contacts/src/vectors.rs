//! The formats and derivations against `vectors/contacts.json`, which another implementation wrote.

use antiphon_wire::{Digest, Timestamp};
use serde_json::Value;

use crate::agreement::AgreementSecret;
use crate::kdf::Key;
use crate::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/contacts.json")).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let byte = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    (0..hex.len() / 2).map(byte).collect()
}

fn array<const N: usize>(hex: &Value) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

#[test]
fn codes() {
    let all = vectors();
    let vector = &all["code"];
    let code = ContactCode {
        network: NetworkMark::of(&Digest(array(&vector["network"]))),
        address: BoxAddress(77),
        key: AgreementSecret::from_bytes(array(&vector["secret"])).public(),
        knock_tag: array(&vector["tag"]),
        expiry: Expiry::at(Timestamp(500_000 * 3_600_000)),
    };
    assert_eq!(code.to_bytes(), array(&vector["bytes"]));
    assert_eq!(code.to_text(), vector["text"].as_str().unwrap());
    assert_eq!(ContactCode::parse(vector["text"].as_str().unwrap()), Ok(code));
}

#[test]
fn call_roots() {
    let all = vectors();
    let vector = &all["codes"];
    let label = [1, b'x'];
    let record = |i: usize| {
        let (secret, code) = (bytes(&vector["secrets"][i]), bytes(&vector["codes"][i]));
        OwnCode::from_bytes(&[&[1], &secret[..], &code, &label].concat()).unwrap()
    };
    let (one, other) = (record(0), record(1));
    for (mine, others) in [(&one, &other), (&other, &one)] {
        let (root, _) = CallRoot::of_codes(mine, others.code()).unwrap();
        assert_eq!(root.0.0, array(&vector["root"]));
    }
    let vector = &all["invitation"];
    let round = InvitationRound(vector["round"].as_u64().unwrap());
    let item = Invitation::from_bytes(array(&vector["item"]));
    let knock = item.open(&one, round, Timestamp(0)).unwrap();
    assert_eq!(knock.mark(), array(&vector["mark"]));
    let accepted = knock.accept();
    assert_eq!(accepted.partner.0, vector["inviter"].as_u64().unwrap() as u8);
    assert_eq!(accepted.root.0.0, array(&vector["root"]));
    let secret = InvitationSecret::from_bytes(array(&vector["secret"]));
    assert_eq!(secret.root(one.code(), accepted.partner).0.0, accepted.root.0.0);
    let vector = &all["introduction"];
    let secret = Key(array(&vector["secret"]));
    let half = Introduction { side: Side::First, partner: BoxAddress(0), secret };
    assert_eq!(CallRoot::of_introduction(&half).0.0, array(&vector["root"]));
}

#[test]
fn safety_numbers() {
    let all = vectors();
    let vector = &all["safety_number"];
    let identity = |i: usize| {
        let bytes = bytes(&vector["identities"][i]);
        let part = |at: usize| bytes[at..at + 32].try_into().unwrap();
        Identity { agreement: part(0), signing: part(32) }
    };
    let session = SessionBinding(array(&vector["session"]));
    let number = SafetyNumber::new(&identity(0), &identity(1), &session);
    let digits: Vec<&str> = vector["digits"].as_str().unwrap().split(' ').collect();
    assert_eq!(number.to_string().split_whitespace().collect::<Vec<_>>(), digits);
    assert_eq!(number.qr_bytes(), array(&vector["qr"]));
}

#[test]
fn phrases() {
    let all = vectors();
    let mut last = None;
    for vector in all["phrases"].as_array().unwrap() {
        let text = vector["text"].as_str().unwrap();
        let phrase = Phrase::parse(text).unwrap();
        assert_eq!(*phrase.to_text(), text);
        assert_eq!(phrase.random_bits(), vector["bits"].as_u64().unwrap());
        last = Some(phrase);
    }
    let network = Digest(array(&all["code"]["network"]));
    let root = last.unwrap().call_root(&network);
    assert_eq!(root.0.0, array(&all["phrase_root"]));
}

#[test]
fn tokens_and_sessions() {
    let all = vectors();
    let wheel = Keywheel::new(&CallRoot(Key(array(&all["introduction"]["root"]))));
    for vector in all["tokens"].as_array().unwrap() {
        let round = CallRound(vector["round"].as_u64().unwrap());
        let keys = wheel.keys(round).unwrap();
        let side = [Side::First, Side::Second][vector["side"].as_u64().unwrap() as usize];
        let intent = Intent::ALL[vector["intent"].as_u64().unwrap() as usize];
        assert_eq!(keys.token(side, intent).to_bytes(), array(&vector["token"]));
        assert_eq!(keys.session().0, array(&vector["session"]));
    }
}

#[test]
fn boxes() {
    let all = vectors();
    let tokens = all["box"]["tokens"].as_array().unwrap().iter();
    let tokens = tokens.map(|token| Token::new(token.as_u64().unwrap()).unwrap());
    let written = CallBox::new(tokens.collect()).unwrap();
    assert_eq!(written.to_bytes(), bytes(&all["box"]["bytes"]));
}
