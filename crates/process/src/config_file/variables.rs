//! `${NAME}` in the texts of a configuration: what a container is told by its environment alone, such as the
//! address it was given.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text asks for what the environment does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The key whose value it is, with those of the tables around it.
    pub(super) key: String,
    pub(super) problem: String,
}

/// `document` with the values of variables, as `value_of` tells them, in the place of `${NAME}` in its texts;
/// `$${` stands for `${` itself. Lines stay where they are, and what is no TOML stays as it is.
pub(super) fn fill_in(
    document: &str,
    value_of: impl Fn(&str) -> Option<String>,
) -> Result<String, Missing> {
    let mut texts = Vec::new();
    match DeTable::parse(document) {
        Ok(table) => collect("", table.get_ref(), &mut texts),
        // Whoever reads it next says what is wrong.
        Err(_) => return Ok(document.to_owned()),
    }
    texts.sort_by_key(|text| text.span.start);
    let mut filled = String::with_capacity(document.len());
    let mut copied = 0;
    for Text { key, span, text } in texts {
        let value =
            expand(&text, &value_of).map_err(|problem| Missing { key: key.clone(), problem })?;
        filled += &document[copied..span.start];
        filled += &quoted(&value);
        copied = span.end;
    }
    filled += &document[copied..];
    Ok(filled)
}

/// A text with a variable in it, and where it stands with its quotation marks.
struct Text {
    key: String,
    span: Range<usize>,
    text: String,
}

fn collect(around: &str, table: &DeTable<'_>, texts: &mut Vec<Text>) {
    for (key, value) in table {
        let dot = if around.is_empty() { "" } else { "." };
        collect_value(&format!("{around}{dot}{}", key.get_ref()), value, texts);
    }
}

fn collect_value(key: &str, value: &Spanned<DeValue<'_>>, texts: &mut Vec<Text>) {
    match value.get_ref() {
        DeValue::String(text) if text.contains("${") => {
            texts.push(Text { key: key.to_owned(), span: value.span(), text: text.to_string() });
        }
        DeValue::Array(values) => values.iter().for_each(|each| collect_value(key, each, texts)),
        DeValue::Table(table) => collect(key, table, texts),
        _ => {}
    }
}

fn expand(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            expanded += literal;
            expanded += "${";
            rest = after;
            continue;
        }
        let (name, behind) = after
            .split_once('}')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| format!("`${{{after}` is no variable: write ${{NAME}}, or $${{ for the characters themselves"))?;
        let value = value_of(name).ok_or_else(|| {
            format!("it asks for ${{{name}}}, and the environment has no variable {name}: set it")
        })?;
        if value.is_empty() || value.contains(char::is_control) {
            return Err(format!(
                "it asks for ${{{name}}}, and the variable {name} is empty or no plain text"
            ));
        }
        expanded += before;
        expanded += &value;
        rest = behind;
    }
    expanded += rest;
    Ok(expanded)
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|each| each.is_ascii_alphanumeric() || each == '_')
}

/// The text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted += &format!("\\u{:04X}", u32::from(control)),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "POD_IP" => "192.0.2.7",
            "ODD" => "a\"b\\c ${POD_IP}",
            "EMPTY" => "",
            "LINES" => "a\nb",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn texts_take_values_and_all_else_stays_as_it_is() {
        let document = "# ${POD_IP}\nhere = \"${POD_IP}:7100\" # ${NO}\n[a.b]\nmany = ['x', '${POD_IP}',\n  \"\"\"${POD_IP}\n\"\"\"]\n\
                        cost = \"$5 $${POD_IP} $\"\n\"${KEY}\" = 3\n";
        let expected = "# ${POD_IP}\nhere = \"192.0.2.7:7100\" # ${NO}\n[a.b]\nmany = ['x', \"192.0.2.7\",\n  \"192.0.2.7\\u000A\"]\n\
                        cost = \"$5 ${POD_IP} $\"\n\"${KEY}\" = 3\n";
        assert_eq!(fill_in(document, environment).unwrap(), expected);
    }

    #[test]
    fn a_value_can_add_nothing_but_text() {
        let filled = fill_in("a = '${ODD}'\n", environment).unwrap();
        let table: toml::Table = toml::from_str(&filled).unwrap();
        assert_eq!(table["a"].as_str(), Some("a\"b\\c ${POD_IP}"));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn what_is_missing_is_named_with_the_key_that_asks_for_it() {
        for (document, key, words) in [
            ("[a]\nb = [['${NO_IP}']]", "a.b", "no variable NO_IP"),
            ("a = '${EMPTY}'", "a", "EMPTY is empty"),
            ("a = '${LINES}'", "a", "LINES is empty or no plain text"),
            ("a = 'x${POD_IP'", "a", "`${POD_IP` is no variable"),
            ("a = '${}'", "a", "is no variable"),
            ("a = '${7}'", "a", "is no variable"),
        ] {
            let missing = fill_in(document, environment).unwrap_err();
            assert_eq!(missing.key, key, "{document}");
            assert!(missing.problem.contains(words), "{document}: {}", missing.problem);
        }
    }

    #[test]
    fn what_is_no_toml_is_left_to_those_who_read_it() {
        assert_eq!(fill_in("a = ${POD_IP}", environment).unwrap(), "a = ${POD_IP}");
    }
}
