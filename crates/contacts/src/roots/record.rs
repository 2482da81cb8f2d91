//! A contact's roots as they are kept.

use zeroize::Zeroizing;

use super::{MOST_OLD_ROOTS, OldRoot, Roots};
use crate::{CallRound, Keywheel, Side, WheelError};

const VERSION: u8 = 1;

/// Reason why kept roots cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    /// A version that this program does not know.
    #[error("this record of a contact has version {0}: a newer program wrote it")]
    Version(u8),
    /// One of the keywheels.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// Too short, too long, or with numbers that nobody writes.
    #[error("this record of a contact is damaged")]
    Damaged,
}

impl Roots {
    /// The record to keep, before anything leaves that depends on it: version, side, rounds that boxes are kept,
    /// whether a root is pending, number of old ones, the last round of each, and the keywheels behind their lengths.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let old = self.old.iter().map(|old| &old.wheel);
        let wheels = [&self.current].into_iter().chain(&self.pending).chain(old);
        let wheels: Vec<Zeroizing<Vec<u8>>> = wheels.map(Keywheel::to_bytes).collect();
        let fixed = 12 + 8 * self.old.len();
        let all = wheels.iter().map(|wheel| 2 + wheel.len()).sum::<usize>();
        // No reallocation leaves keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(fixed + all));
        bytes.extend([VERSION, self.side.byte()]);
        bytes.extend(self.kept.to_be_bytes());
        bytes.extend([u8::from(self.pending.is_some()), self.old.len() as u8]);
        self.old.iter().for_each(|old| bytes.extend(old.until.0.to_be_bytes()));
        for wheel in wheels {
            let length = u16::try_from(wheel.len()).expect("a keywheel has at most 64 keys");
            bytes.extend(length.to_be_bytes());
            bytes.extend_from_slice(&wheel);
        }
        bytes
    }

    /// The roots that a record holds.
    ///
    /// # Errors
    /// [`RootsError`] for all that [`Self::to_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RootsError> {
        let mut rest = bytes;
        let [version] = take(&mut rest)?;
        if version != VERSION {
            return Err(RootsError::Version(version));
        }
        let side = match take(&mut rest)? {
            [0] => Side::First,
            [1] => Side::Second,
            [_] => return Err(RootsError::Damaged),
        };
        let kept = u64::from_be_bytes(take(&mut rest)?);
        let [pending, old] = take(&mut rest)?;
        if pending > 1 || usize::from(old) > MOST_OLD_ROOTS {
            return Err(RootsError::Damaged);
        }
        let until: Vec<CallRound> = (0..old)
            .map(|_| Ok(CallRound(u64::from_be_bytes(take(&mut rest)?))))
            .collect::<Result<_, RootsError>>()?;
        let current = wheel(&mut rest)?;
        let pending = (pending == 1).then(|| wheel(&mut rest)).transpose()?;
        let old = until.into_iter().map(|until| Ok(OldRoot { wheel: wheel(&mut rest)?, until }));
        let old = old.collect::<Result<_, RootsError>>()?;
        if rest.is_empty() {
            Ok(Self { side, kept, current, pending, old })
        } else {
            Err(RootsError::Damaged)
        }
    }
}

/// The next N bytes.
fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RootsError> {
    let (bytes, behind) = rest.split_first_chunk().ok_or(RootsError::Damaged)?;
    *rest = behind;
    Ok(*bytes)
}

/// The next keywheel, behind its length.
fn wheel(rest: &mut &[u8]) -> Result<Keywheel, RootsError> {
    let length = usize::from(u16::from_be_bytes(take(rest)?));
    let (bytes, behind) = rest.split_at_checked(length).ok_or(RootsError::Damaged)?;
    *rest = behind;
    Ok(Keywheel::from_bytes(bytes)?)
}
