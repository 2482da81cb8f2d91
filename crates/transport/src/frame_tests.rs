use proptest::prelude::*;

use super::*;

/// Feeds `stream` cut into pieces of the given sizes; the frames, or the error.
fn decode_in_pieces(
    stream: &[u8],
    cuts: &[usize],
    max: usize,
) -> Result<(Vec<Bytes>, bool), FrameTooLarge> {
    let mut decoder = FrameDecoder::new(max);
    let mut frames = Vec::new();
    let mut rest = stream;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let size = cuts.next().map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
        let (mut piece, later) = rest.split_at(size);
        while let Some(frame) = decoder.decode(&mut piece)? {
            frames.push(frame);
        }
        rest = later;
    }
    Ok((frames, decoder.is_between_frames()))
}

proptest! {
    #[test]
    fn frames_survive_any_cutting(
        sizes in proptest::collection::vec(prop_oneof![0..64_usize, 4000..9000_usize], 0..12),
        cuts in proptest::collection::vec(1..5000_usize, 1..8),
    ) {
        let frames: Vec<Bytes> =
            sizes.iter().enumerate().map(|(i, n)| Bytes::from(vec![i as u8; *n])).collect();
        let stream = encode_frames(&frames, 9000).unwrap().concat();
        prop_assert_eq!(decode_in_pieces(&stream, &cuts, 9000), Ok((frames, true)));
    }

    #[test]
    fn garbage_never_panics_and_never_exceeds_the_limit(
        stream in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..2000),
        cuts in proptest::collection::vec(1..300_usize, 1..8),
        max in 0..600_usize,
    ) {
        match decode_in_pieces(&stream, &cuts, max) {
            Ok((frames, _)) => prop_assert!(frames.iter().all(|frame| frame.len() <= max)),
            Err(error) => prop_assert!(error.len > max),
        }
    }

    #[test]
    fn memory_follows_what_arrived(len in 1..=4_000_000_u32, sent in 0..100_000_usize) {
        let mut decoder = FrameDecoder::new(4_000_000);
        let sent = sent.min(len as usize - 1);
        let mut stream = BytesMut::new();
        stream.put_u32(len);
        stream.put_bytes(7, sent);
        for mut piece in stream.chunks(1200) {
            prop_assert_eq!(decoder.decode(&mut piece), Ok(None));
        }
        prop_assert!(decoder.body.capacity() <= 2 * sent + 2 * FIRST_ALLOCATION);
    }
}

#[test]
fn a_frame_too_long_is_refused_at_its_header() {
    let mut decoder = FrameDecoder::new(10);
    let input = [0, 0, 0, 11, 1, 2, 3];
    assert_eq!(decoder.decode(&mut &input[..]), Err(FrameTooLarge { len: 11, max: 10 }));
    assert_eq!(decoder.body.capacity(), 0);
    assert!(encode_frames(&[Bytes::from_static(&[0; 11])], 10).is_err());
}

#[test]
fn many_small_frames_become_few_pieces() {
    let frames = vec![Bytes::from_static(&[1; 100]); 1000];
    assert!(encode_frames(&frames, 100).unwrap().len() <= 4);
}
