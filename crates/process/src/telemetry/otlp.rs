//! Rounds in the JSON of OTLP: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Identifiers are in
//! hexadecimal, numbers of 64 bits are texts, enumerations are numbers.

use std::time::Duration;

use antiphon_wire::Round;
use serde_json::{Value, json};

use super::{RoundSpans, Span, Teller};
use crate::metrics::Program;

/// `SPAN_KIND_INTERNAL`
const INTERNAL: u8 = 1;
/// `STATUS_CODE_OK` and `STATUS_CODE_ERROR`
const OK: u8 = 1;
const ERROR: u8 = 2;
/// The span of the round as a coordinator sees it, to which all others belong.
const OF_COORDINATOR: SpanId = [1; 8];

type SpanId = [u8; 8];

/// A request to the collector that tells of these rounds.
pub(super) fn request(teller: &Teller, rounds: &[RoundSpans]) -> Value {
    let spans: Vec<Value> = rounds.iter().flat_map(|round| spans(teller, round)).collect();
    let resource = [
        ("service.name", format!("antiphon-{}", teller.program)),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", teller.identity.to_hex()),
    ];
    let resource =
        resource.map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }));
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": "antiphon", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans,
        }],
    }] })
}

fn spans(teller: &Teller, round: &RoundSpans) -> Vec<Value> {
    let leads = teller.program == Program::Coordinator;
    let own = if leads { OF_COORDINATOR } else { span_id(teller, 0) };
    let parent = (!leads).then_some(OF_COORDINATOR);
    let ended_ns = round.ended.0.saturating_mul(1_000_000);
    let mut drawn = Drawn {
        teller,
        trace: hex::encode(trace_id(teller, round.round)),
        named: 0,
        spans: Vec::new(),
    };
    let begins_ns = ended_ns.saturating_sub(nanoseconds(round.whole.took));
    drawn.span(own, parent, begins_ns, &round.whole);
    if let Some(whole) = drawn.spans.first_mut() {
        whole["status"] = match round.failed {
            Some(why) => json!({ "code": ERROR, "message": why }),
            None => json!({ "code": OK }),
        };
    }
    drawn.spans
}

/// Spans of a round that are in OTLP's form already.
struct Drawn<'a> {
    teller: &'a Teller,
    trace: String,
    /// The number of parts that have a name of their own.
    named: u16,
    spans: Vec<Value>,
}

impl Drawn<'_> {
    fn span(&mut self, id: SpanId, parent: Option<SpanId>, begins_ns: u64, span: &Span) {
        let ends_ns = begins_ns.saturating_add(nanoseconds(span.took));
        let counted = |(name, count): &(&str, u64)| json!({ "key": name, "value": { "intValue": count.to_string() } });
        let mut drawn = json!({
            "traceId": self.trace,
            "spanId": hex::encode(id),
            "name": span.name,
            "kind": INTERNAL,
            "startTimeUnixNano": begins_ns.to_string(),
            "endTimeUnixNano": ends_ns.to_string(),
            "attributes": span.counts.iter().map(counted).collect::<Vec<_>>(),
        });
        if let Some(parent) = parent {
            drawn["parentSpanId"] = json!(hex::encode(parent));
        }
        self.spans.push(drawn);
        let mut at = begins_ns;
        for part in &span.parts {
            self.named = self.named.saturating_add(1);
            self.span(span_id(self.teller, self.named), Some(id), at, part);
            at = at.saturating_add(nanoseconds(part.took));
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The same at every process of the network: numbers of rounds are never used twice.
fn trace_id(teller: &Teller, round: Round) -> [u8; 16] {
    let mut trace = [0; 16];
    trace[..8].copy_from_slice(&teller.network.0[..8]);
    trace[8..].copy_from_slice(&round.0.to_be_bytes());
    trace
}

/// A span of this process in a round, by a number.
fn span_id(teller: &Teller, number: u16) -> SpanId {
    let mut span = [0; 8];
    span[..6].copy_from_slice(&teller.identity.0[..6]);
    span[6..].copy_from_slice(&number.to_be_bytes());
    span
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use antiphon_wire::{Digest, IdentityKey, Timestamp};
    use ed25519_dalek::SigningKey;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn teller(program: Program, seed: u8) -> Teller {
        let identity = IdentityKey::of(&SigningKey::from_bytes(&[seed; 32]));
        Teller { program, network: Digest([0xab; 32]), identity }
    }

    fn round() -> RoundSpans {
        let layer = Span::of("layer", vec![Span::new("wait", 12 * MS), Span::new("peel", 8 * MS)]);
        let parts = vec![Span::new("submit", 10 * MS), layer.with("antiphon.onions", 9)];
        let whole = Span { took: 40 * MS, ..Span::of("round", parts) };
        let whole = whole.with("antiphon.round", 7);
        RoundSpans { round: Round(7), ended: Timestamp(1_040), whole, failed: None }
    }

    fn spans_of(request: &Value) -> &Vec<Value> {
        request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap()
    }

    #[test]
    fn a_request_has_the_published_form() {
        let request = request(&teller(Program::Shard, 1), &[round()]);
        let resource = &request["resourceSpans"][0]["resource"]["attributes"];
        let service =
            json!({ "key": "service.name", "value": { "stringValue": "antiphon-shard" } });
        assert_eq!(resource[0], service);
        let identity = hex::encode(&teller(Program::Shard, 1).identity.0[..6]);
        let span =
            |number: u8, parent: &str, name: &str, begins: u32, ends: u32, attributes: Value| {
                json!({
                    "traceId": "abababababababab0000000000000007",
                    "spanId": format!("{identity}{number:04x}"),
                    "parentSpanId": parent,
                    "name": name,
                    "kind": 1,
                    "startTimeUnixNano": format!("{begins}000000"),
                    "endTimeUnixNano": format!("{ends}000000"),
                    "attributes": attributes,
                })
            };
        let count =
            |key: &str, value: &str| json!([{ "key": key, "value": { "intValue": value } }]);
        let (whole, layer) = (format!("{identity}0000"), format!("{identity}0002"));
        let mut expected = json!([
            span(0, "0101010101010101", "round", 1000, 1040, count("antiphon.round", "7")),
            span(1, &whole, "submit", 1000, 1010, json!([])),
            span(2, &whole, "layer", 1010, 1030, count("antiphon.onions", "9")),
            span(3, &layer, "wait", 1010, 1022, json!([])),
            span(4, &layer, "peel", 1022, 1030, json!([])),
        ]);
        expected[0]["status"] = json!({ "code": 1 });
        assert_eq!(Value::Array(spans_of(&request).clone()), expected);
    }

    #[test]
    fn what_processes_of_different_operators_tell_of_a_round_is_one_trace() {
        let tellers = [(Program::Coordinator, 1), (Program::Shard, 2), (Program::Shard, 3)]
            .map(|(p, s)| teller(p, s));
        let told = tellers.iter().flat_map(|teller| spans_of(&request(teller, &[round()])).clone());
        let told: Vec<Value> = told.collect();
        let ids = |key: &str| -> BTreeSet<String> {
            told.iter().filter_map(|span| Some(span[key].as_str()?.to_owned())).collect()
        };
        assert_eq!((ids("traceId").len(), ids("spanId").len()), (1, told.len()));
        // Every parent is a span of the trace, and one span has none.
        assert!(ids("parentSpanId").is_subset(&ids("spanId")));
        assert_eq!(told.iter().filter(|span| span["parentSpanId"].is_null()).count(), 1);
    }

    #[test]
    fn a_round_that_failed_says_why_in_one_word() {
        let failed = RoundSpans { failed: Some("missing_batch"), ..round() };
        let request = request(&teller(Program::Coordinator, 1), &[failed]);
        let status = &spans_of(&request)[0]["status"];
        assert_eq!(*status, json!({ "code": 2, "message": "missing_batch" }));
    }
}
