//! The form that coordinators wrote before documents had files of their own: everything in one file,
//! documents in hexadecimal among the marks. It is read once, by the first start after an upgrade.

use std::sync::Arc;

use antiphon_coordinator_core::State;
use antiphon_wire::{Decode as _, SignedDocument};
use serde::de::Error as _;
use serde_json::{Error, Map, Value};

/// The state, if the file has that form; `None` if it has today's.
///
/// # Errors
/// If it has neither.
pub(super) fn read(bytes: &[u8]) -> Result<Option<State>, Error> {
    let mut fields: Map<String, Value> = serde_json::from_slice(bytes)?;
    if fields.contains_key("marks") {
        return Ok(None);
    }
    let (current, next) = (document(&mut fields, "current")?, document(&mut fields, "next")?);
    let marks = serde_json::from_value(Value::Object(fields))?;
    Ok(Some(State::new(marks, current, next)))
}

fn document(
    fields: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<Arc<SignedDocument>>, Error> {
    let field = fields.remove(name).ok_or_else(|| Error::missing_field(name))?;
    let Some(text) = serde_json::from_value::<Option<String>>(field)? else { return Ok(None) };
    let bytes = hex::decode(text).map_err(Error::custom)?;
    SignedDocument::from_bytes(&bytes).map(Arc::new).map(Some).map_err(Error::custom)
}
