//! The description of all that can be asked for, in OpenAPI 3.1, whose schemas are those of JSON Schema 2020-12.

use axum::http::StatusCode;
use axum::response::Response;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer;
use super::problem::Problem;
use super::views::{
    Acceptance, Allowance, CodeView, CodesView, ContactView, ContactsView, EventsView, MessageView,
    MessagesView, NewCode, NewContact, NewPhrase, NewText, PathView, PhraseView, RequestsView,
    Sleep, StatusView, SubmittedView, Verification,
};

/// One thing that can be asked for.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Numbers in the query, with what they are.
    query: &'static [(&'static str, &'static str)],
    /// Headers, with what they are.
    headers: &'static [(&'static str, &'static str)],
    /// Content of the request by its type.
    body: Vec<(&'static str, Value)>,
    answer: (u16, &'static str, Option<(&'static str, Value)>),
    /// Statuses of refusals beside those that every request may meet.
    refusals: &'static [u16],
}

const JSON: &str = "application/json";
const AFTER: (&str, &str) = ("after", "Id of the last event that is known; 0 for all");

/// The description as an answer.
pub(super) async fn document() -> Response {
    answer::json(StatusCode::OK, &openapi())
}

/// The description of all operations, as the document that is served.
pub(super) fn openapi() -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let operations = operations(&mut schemas);
    let problem = schemas.subschema_for::<Problem>().to_value();
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = described(&operation, &problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Antiphon",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Contacts, messages and events of one user, through the daemon that `antiphon serve` runs.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn described(operation: &Operation, problem: &Value) -> Value {
    let Operation { path, summary, query, headers, body, answer, refusals, .. } = operation;
    let in_path = path.split(['{', '}']).skip(1).step_by(2).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let in_query = query.iter().map(|(name, what)| {
        let schema = json!({ "type": "integer", "minimum": 0 });
        json!({ "name": name, "in": "query", "description": what, "schema": schema })
    });
    let in_headers = headers.iter().map(|(name, what)| {
        json!({ "name": name, "in": "header", "description": what, "schema": { "type": "string" } })
    });
    let parameters: Vec<_> = in_path.chain(in_query).chain(in_headers).collect();
    let (status, words, content) = answer;
    let mut responses = Map::new();
    let mut response = json!({ "description": words });
    if let Some((kind, schema)) = content {
        response["content"] = json!({ *kind: { "schema": schema } });
    }
    responses.insert(status.to_string(), response);
    for status in [401, 403].iter().chain(*refusals) {
        let words = StatusCode::from_u16(*status).ok().and_then(|status| status.canonical_reason());
        let refusal = json!({
            "description": words.unwrap_or("Refused"),
            "content": { JSON: { "schema": problem } },
        });
        responses.insert(status.to_string(), refusal);
    }
    let mut described = json!({ "summary": summary, "responses": responses });
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if !body.is_empty() {
        let content =
            body.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": schema })));
        let content: Map<String, Value> = content.collect();
        described["requestBody"] = json!({ "required": true, "content": content });
    }
    described
}

/// All operations. Long, as it is a table.
fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
        schemas.subschema_for::<T>().to_value()
    }
    let get = |path, summary, content| Operation {
        method: "get",
        path,
        summary,
        query: &[],
        headers: &[],
        body: Vec::new(),
        answer: (200, "What was asked for", Some((JSON, content))),
        refusals: &[500],
    };
    let post = |path, summary, body, content| Operation {
        method: "post",
        body,
        refusals: &[400, 404, 409, 413, 415, 500, 507],
        ..get(path, summary, content)
    };
    let made = |content| (201, "Made and kept", Some((JSON, content)));
    let nothing = Vec::new;
    vec![
        get("/v1/openapi.json", "This description", json!({ "type": "object" })),
        get("/v1/status", "How things stand", of::<StatusView>(schemas)),
        Operation {
            query: &[("rounds", "Rounds to wait for: 1 to 64, 3 unless said")],
            refusals: &[400],
            ..get(
                "/v1/self-test",
                "Wait for the next rounds, and say what came back of this client's own onions: nothing is sent for it",
                of::<PathView>(schemas),
            )
        },
        post(
            "/v1/allowance",
            "Allow rounds beyond what the guarantee covers: a decision for a person",
            vec![(JSON, of::<Allowance>(schemas))],
            of::<StatusView>(schemas),
        ),
        post(
            "/v1/sleep",
            "Leave rounds to the gateway for a while, which everybody sees: because a person says so",
            vec![(JSON, of::<Sleep>(schemas))],
            of::<StatusView>(schemas),
        ),
        post(
            "/v1/wake",
            "Link again before the time, and fetch what has come: because a person says so",
            nothing(),
            of::<StatusView>(schemas),
        ),
        get("/v1/codes", "The codes that were made", of::<CodesView>(schemas)),
        Operation {
            answer: made(of::<CodeView>(schemas)),
            ..post(
                "/v1/codes",
                "Make a code, to be given to one person",
                vec![(JSON, of::<NewCode>(schemas))],
                Value::Null,
            )
        },
        Operation {
            method: "delete",
            answer: (204, "Taken back", None),
            ..post(
                "/v1/codes/{label}",
                "Take a code back that no contact is known by",
                nothing(),
                Value::Null,
            )
        },
        get("/v1/contacts", "The contacts", of::<ContactsView>(schemas)),
        Operation {
            answer: made(of::<ContactView>(schemas)),
            ..post(
                "/v1/contacts",
                "Make a contact of the code that a person gave, or invite the person by it",
                vec![(JSON, of::<NewContact>(schemas))],
                Value::Null,
            )
        },
        Operation {
            answer: made(of::<PhraseView>(schemas)),
            ..post(
                "/v1/phrases",
                "Make a contact by a phrase: of the five words that a person told, or with new ones for a person",
                vec![(JSON, of::<NewPhrase>(schemas))],
                Value::Null,
            )
        },
        get("/v1/requests", "Those who have a code, and ask to talk", of::<RequestsView>(schemas)),
        Operation {
            answer: made(of::<ContactView>(schemas)),
            ..post(
                "/v1/requests/{request}/accept",
                "Make a contact of a request, and call it",
                vec![(JSON, of::<Acceptance>(schemas))],
                Value::Null,
            )
        },
        Operation {
            answer: (204, "Refused: nobody learns of it", None),
            ..post("/v1/requests/{request}/decline", "Refuse a request", nothing(), Value::Null)
        },
        Operation {
            answer: (204, "Refused, and nobody can ask by this code again", None),
            ..post(
                "/v1/requests/{request}/block",
                "Refuse a request, and take the code back by which it came",
                nothing(),
                Value::Null,
            )
        },
        Operation {
            refusals: &[404, 500],
            ..get("/v1/contacts/{contact}", "A contact", of::<ContactView>(schemas))
        },
        post(
            "/v1/contacts/{contact}/verify",
            "Note that the safety number was compared with the contact",
            vec![(JSON, of::<Verification>(schemas))],
            of::<ContactView>(schemas),
        ),
        post(
            "/v1/contacts/{contact}/block",
            "Want nothing of a contact any more",
            nothing(),
            of::<ContactView>(schemas),
        ),
        post(
            "/v1/contacts/{contact}/unblock",
            "Want a blocked contact again",
            nothing(),
            of::<ContactView>(schemas),
        ),
        Operation {
            query: &[("skip", "Messages to leave out"), ("most", "Messages at most: 1 to 100")],
            refusals: &[400, 404, 500],
            ..get(
                "/v1/contacts/{contact}/messages",
                "Messages from and to a contact",
                of::<MessagesView>(schemas),
            )
        },
        Operation {
            headers: &[(
                "Idempotency-Key",
                "Under the same key, the same message is one message, for 90 days",
            )],
            answer: (202, "It is on disk", Some((JSON, of::<SubmittedView>(schemas)))),
            refusals: &[400, 404, 409, 413, 415, 429, 500, 507],
            ..post(
                "/v1/contacts/{contact}/messages",
                "Send a message",
                vec![
                    (JSON, of::<NewText>(schemas)),
                    ("application/octet-stream", json!({ "type": "string", "format": "binary" })),
                ],
                Value::Null,
            )
        },
        Operation {
            refusals: &[404, 500],
            ..get("/v1/messages/{message}", "A message", of::<MessageView>(schemas))
        },
        post(
            "/v1/messages/{message}/recall",
            "Take a message back of which nothing has left",
            nothing(),
            of::<MessageView>(schemas),
        ),
        Operation {
            query: &[AFTER, ("most", "Events at most: 1 to 256")],
            refusals: &[400, 410, 500],
            ..get("/v1/events", "Events after the one that is known", of::<EventsView>(schemas))
        },
        Operation {
            query: &[AFTER],
            headers: &[("Last-Event-ID", "Id of the last event that is known, before `after`")],
            answer: (
                200,
                "Server-sent events, each with its id; `dropped` says that some are kept no longer",
                Some(("text/event-stream", json!({ "type": "string" }))),
            ),
            refusals: &[400],
            ..get("/v1/events/stream", "Events as they come", Value::Null)
        },
    ]
}
