//! Finding copies among byte strings that anyone may have chosen.

/// Positions, rising, of those of the `count` items that are copies of an earlier one.
///
/// By sorting, because that takes n log n steps whatever the items are; a table might not. Nearly
/// all that is sorted are numbers.
pub(crate) fn copies<'a>(count: usize, item: impl Fn(usize) -> &'a [u8]) -> Vec<usize> {
    let mut order: Vec<(u64, u32)> = (0..count).map(|i| (prefix(item(i)), i as u32)).collect();
    order.sort_unstable();
    let mut copies = Vec::new();
    for alike in order.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
        let mut alike: Vec<(&[u8], u32)> =
            alike.iter().map(|&(_, i)| (item(i as usize), i)).collect();
        alike.sort_unstable();
        let equal = alike.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        copies.extend(equal.map(|pair| pair[1].1 as usize));
    }
    copies.sort_unstable();
    copies
}

fn prefix(item: &[u8]) -> u64 {
    item.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Removes the elements of `list` at `positions`, which rise.
pub(crate) fn remove_all<T>(list: &mut Vec<T>, positions: &[usize]) {
    if positions.is_empty() {
        return;
    }
    let (mut i, mut next) = (0, positions.iter().peekable());
    list.retain(|_| {
        let removed = next.next_if_eq(&&i).is_some();
        i += 1;
        !removed
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies_of(items: &[&[u8]]) -> Vec<usize> {
        copies(items.len(), |i| items[i])
    }

    #[test]
    fn all_but_the_first_of_equal_items_are_found() {
        assert_eq!(copies_of(&[]), [0; 0]);
        assert_eq!(copies_of(&[b"a", b"b", b"a", b"", b"", b"a"]), [2, 4, 5]);
    }

    #[test]
    fn items_that_begin_alike_are_no_copies() {
        let items: [&[u8]; 5] = [b"12345678a", b"12345678b", b"12345678", b"12345678b", b"1"];
        assert_eq!(copies_of(&items), [3]);
    }

    #[test]
    fn what_is_removed_is_what_was_named() {
        let mut list = vec!['a', 'b', 'c', 'd'];
        remove_all(&mut list, &[0, 2]);
        assert_eq!(list, ['b', 'd']);
        remove_all(&mut list, &[]);
        assert_eq!(list, ['b', 'd']);
    }
}
