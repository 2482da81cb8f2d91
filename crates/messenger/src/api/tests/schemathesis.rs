//! Requests that schemathesis draws from the description, where it is installed (`pip install schemathesis`; another place of it
//! than the `PATH` goes into `ANTIPHON_SCHEMATHESIS`).

use std::env;
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;

use super::Daemon;

/// Examples for each operation: what is found by more is found at random times, by whoever changes the API.
const EXAMPLES: &str = "25";
/// All checks but that whatever the description allows is accepted: it cannot say which texts are contact codes, nor which
/// names are taken.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      missing_required_header,unsupported_method,use_after_free,ensure_resource_availability,ignored_auth";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_against_the_description() {
    let program = env::var("ANTIPHON_SCHEMATHESIS").unwrap_or_else(|_| "schemathesis".to_owned());
    let there = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("skipped: there is no `{program}` here (pip install schemathesis)");
        return;
    }
    let daemon = Daemon::start().await;
    daemon.contact().await;
    let url = format!("http://{}", daemon.server.address());
    let folder = daemon.folder.path();
    let mut run = Command::new(program);
    run.current_dir(folder)
        .arg("run")
        .arg(format!("{url}/v1/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {}", daemon.token.text())])
        .args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--seed", "1", "--no-color"])
        // A stream has no end.
        .args(["--exclude-path", "/v1/events/stream", "--request-timeout", "20"])
        .args(["--generation-database", "none"]);
    let output = spawn_blocking(move || run.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
