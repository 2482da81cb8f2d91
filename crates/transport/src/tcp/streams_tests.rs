use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use bytes::BytesMut;
use proptest::prelude::*;

use super::outgoing::TURN_BYTES;
use super::*;

const OURS: Capacity = Capacity { window: 100, max_bulks: 2 };
const THEIRS: Capacity = Capacity { window: 10, max_bulks: 2 };

impl Streams {
    fn buffered(&self) -> usize {
        self.incoming.values().flat_map(|stream| &stream.arrived).map(BytesMut::len).sum()
    }
}

fn record() -> impl Strategy<Value = Record> {
    let stream = || 0..5_u32;
    prop_oneof![
        8 => (stream(), 1..60_u32).prop_map(|(stream, len)| Record::Data { stream, len }),
        4 => stream().prop_map(|stream| Record::Open { stream }),
        1 => stream().prop_map(|stream| Record::Finish { stream }),
        1 => stream().prop_map(|stream| Record::Reset { stream, code: 6 }),
        1 => stream().prop_map(|stream| Record::Stop { stream, code: 6 }),
        1 => (stream(), any::<u32>()).prop_map(|(stream, bytes)| Record::Credit { stream, bytes }),
        1 => stream().prop_map(|stream| Record::Received { stream }),
        1 => stream().prop_map(|stream| Record::Released { stream }),
        1 => Just(Record::Ping),
    ]
}

/// What the link's owner does in between.
#[derive(Clone, Debug)]
enum Step {
    Take(Record),
    Read(u32),
    Release(u32),
    Open,
    Write(u32, usize),
    Next,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => record().prop_map(Step::Take),
        2 => (0..5_u32).prop_map(Step::Read),
        1 => (1..5_u32).prop_map(Step::Release),
        1 => Just(Step::Open),
        1 => ((0..5_u32), 0..40_usize).prop_map(|(stream, len)| Step::Write(stream, len)),
        4 => Just(Step::Next),
    ]
}

proptest! {
    #[test]
    fn whatever_a_peer_says_no_more_than_the_windows_is_held(
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut streams = Streams::new(OURS, THEIRS);
        let cx = Context::from_waker(Waker::noop());
        let mut pieces = VecDeque::new();
        for step in steps {
            match step {
                Step::Take(Record::Data { stream, len }) => {
                    if streams.expect(stream, len).is_ok() {
                        streams.arrived(stream, BytesMut::zeroed(bytes_of(len)));
                    }
                }
                Step::Take(record) => drop(streams.take(record)),
                Step::Read(stream) => {
                    let _ = streams.poll_read(stream, &mut pieces, &cx);
                    pieces.clear();
                }
                Step::Release(stream) => streams.release(stream, CloseReason::Done),
                Step::Open => {
                    let _ = streams.poll_open(&cx);
                }
                Step::Write(stream, len) => {
                    let mut pieces = VecDeque::from([Bytes::from(vec![0; len])]);
                    let _ = streams.poll_write(stream, &mut pieces, &cx);
                }
                Step::Next => drop(streams.poll_next(&cx)),
            }
            prop_assert!(streams.buffered() <= 3 * bytes_of(OURS.window));
            prop_assert!(streams.incoming.len() <= 3);
        }
    }
}

#[test]
fn bulks_take_turns_and_control_goes_first() {
    let wide = Capacity { window: u32::MAX, max_bulks: 2 };
    let mut streams = Streams::new(wide, wide);
    let cx = Context::from_waker(Waker::noop());
    let batch = || VecDeque::from(vec![Bytes::from(vec![0; TURN_BYTES]); 2]);
    for expected in [1, 2] {
        let Poll::Ready(Ok(stream)) = streams.poll_open(&cx) else { panic!("no room") };
        assert_eq!(stream, expected);
        assert!(streams.poll_write(stream, &mut batch(), &cx).is_ready());
    }
    let mut order = Vec::new();
    while let Poll::Ready(Some(next)) = streams.poll_next(&cx) {
        if let Next::Data { stream, .. } = next {
            order.push(stream);
            if order.len() == 2 {
                let mut frame = VecDeque::from([Bytes::from_static(b"first")]);
                assert!(streams.poll_write(CONTROL, &mut frame, &cx).is_ready());
            }
        }
    }
    assert_eq!(order, [1, 2, CONTROL, 1, 2]);
}

#[test]
fn small_pieces_are_put_together() {
    let mut streams = Streams::new(OURS, THEIRS);
    for i in 0..100 {
        streams.expect(CONTROL, 1).unwrap();
        streams.arrived(CONTROL, BytesMut::from(&[i][..]));
    }
    let mut pieces = VecDeque::new();
    let cx = Context::from_waker(Waker::noop());
    assert!(streams.poll_read(CONTROL, &mut pieces, &cx).is_ready());
    assert_eq!(pieces, [Bytes::from_iter(0..100_u8)]);
}

#[derive(Default)]
struct Alarm(AtomicUsize);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A bulk of the other side's that is opened, finished and read.
fn bulk_from_peer(streams: &mut Streams, stream: u32) {
    streams.take(Record::Open { stream }).unwrap();
    streams.take(Record::Finish { stream }).unwrap();
    streams.release(stream, CloseReason::Done);
}

#[test]
fn acknowledgements_wait_for_each_other_but_not_for_ever() {
    let ours = Capacity { max_bulks: 8, ..OURS };
    for question in [None, Some(Record::Ping)] {
        let mut streams = Streams::new(ours, THEIRS);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let woken = || alarm.0.load(Ordering::Relaxed) > 0;
        assert!(streams.poll_several(1000, &Context::from_waker(&waker)).is_pending());
        bulk_from_peer(&mut streams, 1);
        assert!(!woken(), "one bulk is not worth a packet");
        match question {
            // The other side can have eight on their way: it hears of these before it has to wait.
            None => bulk_from_peer(&mut streams, 2),
            Some(question) => streams.take(question).unwrap(),
        }
        assert!(woken());
        let Poll::Ready(said) = streams.poll_several(1000, &Context::from_waker(&waker)) else {
            panic!("nothing to say");
        };
        assert_eq!(said[0].head(), Record::Received { stream: 1 }.encode());
        assert_eq!(said[1].head(), Record::Released { stream: 1 }.encode());
    }
}

#[test]
fn who_waits_for_an_acknowledgement_asks_for_it_once_all_is_sent() {
    let cx = Context::from_waker(Waker::noop());
    for waits_early in [true, false] {
        let mut streams = Streams::new(OURS, THEIRS);
        let Poll::Ready(Ok(stream)) = streams.poll_open(&cx) else { panic!("no room") };
        streams.finish(stream);
        let mut said = Vec::new();
        let mut say = |streams: &mut Streams| {
            while let Poll::Ready(several) = streams.poll_several(1, &cx) {
                said.extend(several.iter().map(Next::head));
            }
        };
        if !waits_early {
            say(&mut streams);
        }
        assert!(!streams.is_settled(stream));
        for _ in 0..2 {
            assert!(streams.poll_stopped(stream, &cx).is_pending());
        }
        say(&mut streams);
        let expected = [Record::Open { stream }, Record::Finish { stream }, Record::Ping];
        assert_eq!(said, expected.map(Record::encode));
        streams.take(Record::Received { stream }).unwrap();
        assert!(streams.is_settled(stream));
        assert!(matches!(streams.poll_stopped(stream, &cx), Poll::Ready(Ok(None))));
    }
}
