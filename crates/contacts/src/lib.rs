#![doc = include_str!("../README.md")]

mod acquaintance;
mod agreement;
mod code;
mod kdf;
mod qr;
mod safety_number;

pub use acquaintance::{Acquaintance, Change, Explanation};
pub use agreement::AgreementKey;
pub use code::{
    BoxAddress, CODE_BYTES, CODE_CHARACTERS, CodeBytesError, CodeError, CodeRefusal, ContactCode,
    Expiry, KNOCK_TAG_BYTES, LabelError, MOST_CODES, MakeError, NetworkMark, OwnCode, OwnCodes,
    RecordError, Slip,
};
pub use qr::{Qr, QrError};
pub use safety_number::{
    Comparison, DIGITS, Identity, QR_BYTES, SafetyNumber, ScanError, SessionBinding,
};

/// Time for which gateways keep boxes, and clients what they need to read them: 14 days.
pub const KEPT_MS: u64 = 14 * 24 * 3_600_000;
