//! Names of files that somebody else chose.

/// The longest name made, in bytes, so that a number and an ending fit into what systems take.
const MAX_BYTES: usize = 200;
/// The longest ending that is kept when a name is cut, with its dot, in bytes.
const MAX_ENDING_BYTES: usize = 32;
/// Name of a file without a usable one.
const NAMELESS: &str = "file";

/// A name without folders, control and direction characters, or a dot at its head.
pub(super) fn plain(given: &str) -> String {
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = harmless(base.trim().trim_start_matches('.'));
    let name = shortened(name.trim_end_matches([' ', '.']));
    if name.is_empty() { NAMELESS.to_owned() } else { name }
}

/// The text with `_` for everything that terminals obey or that hides what a text is.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if is_odd(letter) { '_' } else { letter }).collect()
}

/// At most [`MAX_BYTES`] of the name, without a part of what comes before its ending.
fn shortened(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, ending) = match name.rfind('.') {
        Some(dot) if name.len() - dot <= MAX_ENDING_BYTES => name.split_at(dot),
        _ => (name, ""),
    };
    let stem = &stem[..stem.floor_char_boundary(MAX_BYTES - ending.len())];
    format!("{}{ending}", stem.trim_end_matches([' ', '.']))
}

/// The name with a number before its ending; 0 leaves it as it is.
pub(super) fn numbered(name: &str, number: u32) -> String {
    match (number, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (_, Some((stem, ending))) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
        _ => format!("{name}-{number}"),
    }
}

/// Characters that file systems refuse, that terminals obey, or that hide what a name is.
fn is_odd(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(letter, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_keep_what_is_harmless() {
        for (given, wanted) in [
            ("photo.jpg", "photo.jpg"),
            ("Grüße an alle.txt", "Grüße an alle.txt"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.txt", "a.txt"),
            (".bashrc", "bashrc"),
            ("..", "file"),
            ("", "file"),
            ("folder/", "file"),
            ("a\nb\u{1b}[2J\u{202e}c", "a_b_[2J_c"),
        ] {
            assert_eq!(plain(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_keeps_its_ending() {
        let name = plain(&format!("{}.pdf", "r".repeat(236)));
        assert_eq!(name, format!("{}.pdf", "r".repeat(196)));
        assert_eq!(plain(&"ü".repeat(150)).len(), 200);
        assert_eq!(plain(&format!("a.{}", "x".repeat(300))).len(), 200);
    }

    #[test]
    fn numbers_go_before_the_ending() {
        assert_eq!(numbered("a.tar.gz", 0), "a.tar.gz");
        assert_eq!(numbered("a.tar.gz", 2), "a.tar-2.gz");
        assert_eq!(numbered("readme", 3), "readme-3");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_folder(given: String, number: u32) {
            let name = numbered(&plain(&given), number);
            prop_assert_eq!(Path::new(&name).file_name(), Some(name.as_ref()));
            prop_assert!(name.len() <= MAX_BYTES + 11 && !name.starts_with('.'));
        }
    }
}
