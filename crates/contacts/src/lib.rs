#![doc = include_str!("../README.md")]

mod acquaintance;
mod agreement;
mod call_root;
mod code;
mod introduction;
mod invitation;
mod kdf;
mod keywheel;
mod knocks;
mod phrase;
mod qr;
mod refresh;
mod roots;
mod safety_number;
#[cfg(test)]
mod vectors;

pub use antiphon_wire::{
    BoxError, CallBox, INVITATION_BYTES, InvitationBox, MOST_BOXES, MOST_INVITATIONS, MOST_TOKENS,
    TOKEN_BITS, Token,
};

pub use acquaintance::{Acquaintance, Change, Explanation};
pub use agreement::AgreementKey;
pub use call_root::{CallRoot, SameCodeError, Side};
pub use code::{
    BoxAddress, CODE_BYTES, CODE_CHARACTERS, CodeBytesError, CodeError, CodeRefusal, ContactCode,
    Expiry, KNOCK_TAG_BYTES, LabelError, MOST_CODES, MakeError, NetworkMark, OwnCode, OwnCodes,
    RecordError, Slip,
};
pub use introduction::{INTRODUCTION_BYTES, Introduction, IntroductionError};
pub use invitation::{INVITATION_SECRET_BYTES, Invitation, InvitationRound, InvitationSecret};
pub use keywheel::{CallKeys, CallRound, Intent, Keywheel, SessionSecret, WheelError};
pub use knocks::{Accepted, Knock, KnockError, Knocks, MOST_KNOCKS};
pub use phrase::{PHRASE_BITS, PHRASE_WORDS, Phrase, PhraseError, Suggestion, UnknownWord};
pub use qr::{Qr, QrError};
pub use refresh::{
    CIPHERTEXT_BYTES, CONFIRMATION_BYTES, Mixed, OFFER_BYTES, Offered, Refresh, RefreshError,
};
pub use roots::{Heard, MOST_OLD_ROOTS, Roots, RootsError, Which};
pub use safety_number::{
    Comparison, DIGITS, Identity, QR_BYTES, SafetyNumber, ScanError, SessionBinding,
};

/// Time for which gateways keep boxes, and clients what they need to read them: 14 days.
pub const KEPT_MS: u64 = 14 * 24 * 3_600_000;
