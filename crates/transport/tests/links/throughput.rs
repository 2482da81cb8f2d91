//! How fast a bulk goes. Run with `--ignored --nocapture`.

use antiphon_transport::{Incoming, Limits};
use bytes::Bytes;

use crate::pair;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bulk_over_loopback() {
    for (count, bytes) in [(8192_usize, 64 << 10), (512 << 10, 1000_usize)] {
        let (ours, theirs, _running) = pair(Limits::peers(), Limits::peers()).await;
        let (sender, _receiver) = theirs.split();
        let (_sender, mut receiver) = ours.split();
        let start = tokio::time::Instant::now();
        let sending = tokio::spawn(async move {
            sender.send_bulk(vec![Bytes::from(vec![5; bytes]); count]).await.unwrap();
            sender
        });
        let Ok(Some(Incoming::Bulk(mut bulk))) = receiver.recv().await else { panic!("no bulk") };
        let mut total = 0;
        while let Some(frame) = bulk.next().await.unwrap() {
            total += frame.len();
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("frames of {bytes}: {:.0} MB/s", total as f64 / seconds / 1e6);
        sending.await.unwrap();
    }
}
