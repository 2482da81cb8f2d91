//! The operator's lists as the ConfigMap holds them, for the shards that read it.

use std::collections::BTreeMap;

use antiphon_process::keyfile;
use antiphon_wire::{Epoch, NetworkFile, OperatorIndex, OperatorList, Signed};
use ed25519_dalek::SigningKey;

use crate::observed::{List, Lists};

/// Key in the ConfigMap under which the list is kept that the newest one ends. No shard reads it.
const ENDED: &str = "ended.list";

/// The reason for which a ConfigMap's lists cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListsError {
    #[error(
        "`{0}` in the ConfigMap with the operator's lists is no operator's list: put it back from a backup"
    )]
    Format(String),
    #[error(
        "the ConfigMap with the operator's lists has a list of another network or of another operator: it belongs to \
         another MixNetwork of this name, of which claims and keys may be left as well"
    )]
    Other,
}

/// The key in the ConfigMap of the list that an operator's shards read.
pub(crate) fn file_name(operator: &str) -> String {
    format!("{operator}.list")
}

/// The operator that signs, and the network that it signs for.
#[derive(Debug)]
pub(crate) struct Signer<'a> {
    pub(crate) network: &'a NetworkFile,
    pub(crate) operator: OperatorIndex,
    pub(crate) key: &'a SigningKey,
}

impl Signer<'_> {
    /// The lists in a ConfigMap; `None` if it has none.
    pub(crate) fn read(
        &self,
        name: &str,
        data: &BTreeMap<String, String>,
    ) -> Result<Option<Lists>, ListsError> {
        let Some(newest) = data.get(&file_name(name)) else { return Ok(None) };
        let newest = self.list(&file_name(name), newest)?;
        let ended = data.get(ENDED).map(|text| self.list(ENDED, text)).transpose()?;
        Ok(Some(Lists { newest, ended }))
    }

    fn list(&self, key: &str, text: &str) -> Result<List, ListsError> {
        let signed = keyfile::operator_list_in(text.as_bytes())
            .ok_or_else(|| ListsError::Format(key.to_owned()))?;
        let public = antiphon_wire::IdentityKey::of(self.key);
        let list = signed.verify(&public).map_err(|_| ListsError::Other)?;
        if list.network != self.network.id() || list.operator != self.operator {
            return Err(ListsError::Other);
        }
        Ok(List {
            number: list.number,
            first_epoch: list.first_epoch.0,
            last_epoch: list.last_epoch.0,
            shards: list.shards.iter().copied().collect(),
        })
    }

    /// The ConfigMap's data with a new list. `before` is what it holds.
    pub(crate) fn data(
        &self,
        name: &str,
        list: &List,
        ends: bool,
        before: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut data = BTreeMap::from([(file_name(name), self.sign(list))]);
        // An end after an end: what it ends is the list before both.
        let ended = before.get(ENDED).or_else(|| before.get(&file_name(name)));
        if let Some(ended) = ended.filter(|_| ends) {
            data.insert(ENDED.to_owned(), ended.clone());
        }
        data
    }

    fn sign(&self, list: &List) -> String {
        let words = vec![
            format!("list number {}", list.number),
            format!("epochs {} to {}", list.first_epoch, list.last_epoch),
            match list.shards.len() {
                0 => "no shards: it ends the list before it, and another one follows".to_owned(),
                shards => format!("{shards} shards"),
            },
        ];
        let list = OperatorList {
            network: self.network.id(),
            operator: self.operator,
            number: list.number,
            first_epoch: Epoch(list.first_epoch),
            last_epoch: Epoch(list.last_epoch),
            shards: list.shards.iter().copied().collect(),
        };
        keyfile::operator_list_file(&Signed::new(list, self.key), &words)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};

    use super::*;

    fn network() -> NetworkFile {
        let key = IdentityKey::of(&SigningKey::from_bytes(&[1; 32]));
        let operator = Operator { name: "alpha".to_owned(), key, weight: 1 };
        NetworkFile::new(vec![operator], Policy { trusts_heavy_operators: true, ..Policy::DEFAULT })
            .unwrap()
    }

    #[test]
    fn an_end_keeps_the_list_that_it_ends_even_after_another_end() {
        let (network, key) = (network(), SigningKey::from_bytes(&[1; 32]));
        let signer = Signer { network: &network, operator: OperatorIndex(0), key: &key };
        let shards = [IdentityKey::of(&SigningKey::from_bytes(&[7; 32]))].into();
        let first = List { number: 1, first_epoch: 1, last_epoch: 9, shards };
        let end = |number| List { number, first_epoch: 5, last_epoch: 9, shards: [].into() };
        let data = signer.data("alpha", &first, false, &BTreeMap::new());
        assert_eq!(
            signer.read("alpha", &data),
            Ok(Some(Lists { newest: first.clone(), ended: None }))
        );
        let data = signer.data("alpha", &end(2), true, &data);
        let data = signer.data("alpha", &end(3), true, &data);
        let lists = Lists { newest: end(3), ended: Some(first.clone()) };
        assert_eq!(signer.read("alpha", &data), Ok(Some(lists)));
        let next = List { number: 4, ..first };
        let data = signer.data("alpha", &next, false, &data);
        assert_eq!(signer.read("alpha", &data), Ok(Some(Lists { newest: next, ended: None })));
    }

    #[test]
    fn lists_of_another_operator_are_not_gone_on_from() {
        let (network, key) = (network(), SigningKey::from_bytes(&[1; 32]));
        let other = SigningKey::from_bytes(&[2; 32]);
        let signer = |key| Signer { network: &network, operator: OperatorIndex(0), key };
        let list = List { number: 1, first_epoch: 1, last_epoch: 9, shards: [].into() };
        let data = signer(&other).data("alpha", &list, false, &BTreeMap::new());
        assert_eq!(signer(&key).read("alpha", &data), Err(ListsError::Other));
        let data = BTreeMap::from([("alpha.list".to_owned(), "zz".to_owned())]);
        assert_eq!(
            signer(&key).read("alpha", &data),
            Err(ListsError::Format("alpha.list".to_owned()))
        );
    }
}
