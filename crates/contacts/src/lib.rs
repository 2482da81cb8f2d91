#![doc = include_str!("../README.md")]

mod acquaintance;
mod agreement;
mod call_root;
mod code;
mod introduction;
mod kdf;
mod phrase;
mod qr;
mod safety_number;

pub use acquaintance::{Acquaintance, Change, Explanation};
pub use agreement::AgreementKey;
pub use call_root::{CallRoot, SameCodeError, Side};
pub use code::{
    BoxAddress, CODE_BYTES, CODE_CHARACTERS, CodeBytesError, CodeError, CodeRefusal, ContactCode,
    Expiry, KNOCK_TAG_BYTES, LabelError, MOST_CODES, MakeError, NetworkMark, OwnCode, OwnCodes,
    RecordError, Slip,
};
pub use introduction::{INTRODUCTION_BYTES, Introduction, IntroductionError};
pub use phrase::{PHRASE_BITS, PHRASE_WORDS, Phrase, PhraseError, Suggestion, UnknownWord};
pub use qr::{Qr, QrError};
pub use safety_number::{
    Comparison, DIGITS, Identity, QR_BYTES, SafetyNumber, ScanError, SessionBinding,
};

/// Time for which gateways keep boxes, and clients what they need to read them: 14 days.
pub const KEPT_MS: u64 = 14 * 24 * 3_600_000;
