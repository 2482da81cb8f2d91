//! What the cipher suites cost. Run with `--ignored --nocapture`, best with `--release`.

use std::fs;
use std::io::{BufRead as _, Write as _};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection, SupportedCipherSuite};

use super::*;

/// Hands over all that one side has to say to the other.
fn pass(from: &mut Connection, to: &mut Connection, wire: &mut Vec<u8>) {
    wire.clear();
    while from.wants_write() {
        from.write_tls(wire).unwrap();
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets().unwrap();
        let len = to.reader().fill_buf().map_or(0, <[u8]>::len);
        to.reader().consume(len);
    }
}

fn pair(suite: SupportedCipherSuite) -> (Connection, Connection) {
    let provider = CryptoProvider { cipher_suites: vec![suite], ..provider() };
    let server = Identity::from_seed(&[1; 32]);
    let shown = Arc::new(OnceLock::new());
    let client = client_config(provider, None, server.public(), shown).unwrap();
    let name = ServerName::try_from("antiphon").unwrap();
    let server = server_config(&server, None).unwrap();
    (
        ClientConnection::new(Arc::new(client), name).unwrap().into(),
        ServerConnection::new(Arc::new(server)).unwrap().into(),
    )
}

/// Processor time of this thread, in nanoseconds.
fn cpu() -> u64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn suites_compared() {
    const BATCH: usize = 256 << 10;
    let suites = [
        ("AES-128-GCM", cipher_suite::TLS13_AES_128_GCM_SHA256),
        ("AES-256-GCM", cipher_suite::TLS13_AES_256_GCM_SHA384),
        ("ChaCha20-Poly1305", cipher_suite::TLS13_CHACHA20_POLY1305_SHA256),
    ];
    let batch = vec![7; BATCH];
    let mut best = [f64::INFINITY; 3];
    // In turns, so that what else the machine does meets all of them.
    for _ in 0..20 {
        for ((_, suite), best) in suites.iter().zip(&mut best) {
            let (mut client, mut server) = pair(*suite);
            let mut wire = Vec::new();
            while client.is_handshaking() || server.is_handshaking() {
                pass(&mut client, &mut server, &mut wire);
                pass(&mut server, &mut client, &mut wire);
            }
            client.set_buffer_limit(None);
            let before = cpu();
            for _ in 0..128 {
                client.writer().write_all(&batch).unwrap();
                pass(&mut client, &mut server, &mut wire);
            }
            *best = best.min((cpu() - before) as f64 / (128 * BATCH) as f64);
        }
    }
    for ((name, _), best) in suites.iter().zip(best) {
        println!("{name}: {best:.3} ns/byte, both ends");
    }
}
