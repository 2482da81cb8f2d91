//! `${NAME}` in the texts of a configuration: what a container is told by its environment alone, such as the
//! address it was given. A text that is one variable and nothing else gives a number, or true or false, where one is asked for.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text asks for what the environment does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing {
    /// The key whose value it is, with those of the tables around it.
    pub(super) key: String,
    pub(super) problem: String,
}

/// A document with the values of variables in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filled {
    text: String,
    /// Texts that are one variable and nothing else: where they stand, and the value.
    whole: Vec<(Range<usize>, String)>,
}

impl Filled {
    /// Reads it as a `Raw`.
    ///
    /// # Errors
    /// If it is not the TOML of a `Raw`.
    pub(super) fn read<Raw: DeserializeOwned>(mut self) -> Result<Raw, toml::de::Error> {
        loop {
            let error = match toml::from_str(&self.text) {
                Ok(raw) => return Ok(raw),
                Err(error) => error,
            };
            // Only whoever reads it knows which kind of value a key asks for.
            let at = self.whole.iter().position(|(span, _)| error.span().as_ref() == Some(span));
            let Some((span, value)) = at.map(|at| self.whole.remove(at)) else { return Err(error) };
            let Some(bare) = bare(&value) else { return Err(error) };
            let shorter = span.len() - bare.len();
            self.text.replace_range(span.clone(), &bare);
            for (later, _) in self.whole.iter_mut().filter(|(other, _)| other.start > span.start) {
                *later = later.start - shorter..later.end - shorter;
            }
        }
    }
}

/// A number, true or false, as TOML writes them; `None` for any other text. No longer than the text in quotation marks.
fn bare(value: &str) -> Option<String> {
    let number = value.parse::<i64>().map(|number| number.to_string());
    let share =
        || value.parse::<f64>().ok().filter(|_| value.starts_with(|c: char| c.is_ascii_digit()));
    let truth = || value.parse::<bool>().ok().map(|truth| truth.to_string());
    // Digits as they are written: a float has others.
    number.ok().or_else(|| share().and(Some(value.to_owned()))).or_else(truth)
}

/// `document` with the values of variables, as `value_of` tells them, in the place of `${NAME}` in its texts;
/// `$${` stands for `${` itself. Lines stay where they are, and what is no TOML stays as it is.
pub(super) fn fill_in(
    document: &str,
    value_of: impl Fn(&str) -> Option<String>,
) -> Result<Filled, Missing> {
    let mut texts = Vec::new();
    match DeTable::parse(document) {
        Ok(table) => collect("", table.get_ref(), &mut texts),
        // Whoever reads it next says what is wrong.
        Err(_) => return Ok(Filled { text: document.to_owned(), whole: Vec::new() }),
    }
    texts.sort_by_key(|text| text.span.start);
    let mut filled = Filled { text: String::with_capacity(document.len()), whole: Vec::new() };
    let mut copied = 0;
    for Text { key, span, text } in texts {
        let value =
            expand(&text, &value_of).map_err(|problem| Missing { key: key.clone(), problem })?;
        filled.text += &document[copied..span.start];
        let start = filled.text.len();
        filled.text += &quoted(&value);
        if is_one_variable(&text) {
            filled.whole.push((start..filled.text.len(), value));
        }
        copied = span.end;
    }
    filled.text += &document[copied..];
    Ok(filled)
}

fn is_one_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(is_name)
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
            "ROUNDS" => "120",
            "SHARE" => "0.25",
            "ON" => "true",
            "SOME" => "1 # 2",
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
        assert_eq!(fill_in(document, environment).unwrap().text, expected);
    }

    #[test]
    fn a_value_can_add_nothing_but_text() {
        let table: toml::Table = fill_in("a = '${ODD}'\n", environment).unwrap().read().unwrap();
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
        assert_eq!(fill_in("a = ${POD_IP}", environment).unwrap().text, "a = ${POD_IP}");
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Settings {
        text: String,
        rounds: u32,
        share: f64,
        on: Option<bool>,
        many: Vec<u16>,
    }

    fn settings(document: &str) -> Result<Settings, String> {
        fill_in(document, environment).unwrap().read().map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_is_a_number_where_one_is_asked_for_and_a_text_where_a_text_is() {
        let document = "on = '${ON}'\ntext = '${ROUNDS}'\nrounds = \"${ROUNDS}\" # of an epoch\nshare = '${SHARE}'\nmany = ['${ROUNDS}', 3, \"${ROUNDS}\"]\n";
        let expected = Settings {
            text: "120".to_owned(),
            rounds: 120,
            share: 0.25,
            on: Some(true),
            many: vec![120, 3, 120],
        };
        assert_eq!(settings(document).unwrap(), expected);
    }

    #[test]
    fn what_is_no_number_alone_is_refused_where_one_is_asked_for() {
        let rest = "text = 'x'\nshare = 1.0\nmany = []";
        for (value, words) in [
            ("'${POD_IP}'", "expected u32"),
            ("'${SHARE}'", "expected u32"),
            ("'${SOME}'", "expected u32"),
            ("'${ROUNDS}0'", "expected u32"),
            ("'120'", "expected u32"),
        ] {
            let error = settings(&format!("rounds = {value}\n{rest}")).unwrap_err();
            assert!(error.contains(words) && error.contains("line 1"), "{value}: {error}");
        }
    }
}
