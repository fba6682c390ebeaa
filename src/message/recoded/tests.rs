use super::*;
use crate::bulk;
use crate::message::content_type::Encoding;
use crate::message::transfer::{Decoder, Way};
use proptest::prelude::*;

/// What `change` makes of `bytes` when they come in pieces that end at `cuts`.
fn changed(mut change: impl Change, bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    for cut in cuts {
        let (piece, after) = rest.split_at(cut % (rest.len() + 1));
        if !piece.is_empty() {
            change.change(piece, false, &mut out).unwrap();
        }
        rest = after;
    }
    change.change(rest, false, &mut out).unwrap();
    change.change(&[], true, &mut out).unwrap();
    out
}

fn bytes_of(bulk: &dyn Bulk) -> Vec<u8> {
    bulk::head(bulk, usize::MAX).unwrap()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "\r\n",
        "\n",
        "\r",
        "=",
        "=\r\n",
        "=3D",
        "-",
        "--\n",
        " ",
        "\t",
        "\u{b}",
        "Zm9v",
        "Zm8=",
        "ab",
        "A",
        "[A-Za-z0-9+/]{50,80}",
        "binary",
        "bin",
        "ary",
        "_",
        "\u{e4}"
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat().into_bytes())
}

proptest! {
    #[test]
    fn a_body_decodes_alike_in_one_piece_and_in_many(body in text(), cuts in proptest::collection::vec(0_usize..90, 0..12)) {
        for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
            let whole = transfer::decode(encoding, &body);
            let mut decoder = Decoder::new(Way::As(encoding));
            let mut out = Vec::new();
            let mut rest = &body[..];
            for cut in &cuts {
                let (piece, after) = rest.split_at(cut % (rest.len() + 1));
                decoder.push(piece, &mut out);
                rest = after;
            }
            decoder.push(rest, &mut out);
            let end = decoder.finish(&mut out);
            match (&whole, end) {
                (Ok(whole), Ok(end)) => {
                    out.truncate(usize::try_from(end.len).unwrap());
                    prop_assert_eq!(&out, &*whole.bytes);
                    prop_assert_eq!(end.trailing_text, whole.trailing_text);
                }
                (whole, end) => prop_assert_eq!(whole.is_err(), end.is_err()),
            }
            let large = Decoded::of(Arc::new(body.clone()), Way::As(encoding)).unwrap();
            prop_assert_eq!(large.is_ok(), whole.is_ok());
            if let (Ok(large), Ok(whole)) = (large, whole) {
                prop_assert_eq!(bytes_of(&*large.bytes), &*whole.bytes);
                prop_assert_eq!(large.bytes.len(), whole.bytes.len() as u64);
                prop_assert_eq!(large.ascii, body.is_ascii());
            }
        }
        let among = Decoded::of(Arc::new(body.clone()), Way::AmongOthers).unwrap().unwrap();
        prop_assert_eq!(bytes_of(&*among.bytes), transfer::base64_among_others(&body));
    }

    #[test]
    fn line_ends_change_alike_in_one_piece_and_in_many(body in text(), cuts in proptest::collection::vec(0_usize..90, 0..12)) {
        let lines = Lines::of(&body).unwrap();
        let crlf = transfer::to_crlf(&body);
        prop_assert_eq!(&changed(ToCrlf::default(), &body, &cuts), &*crlf);
        let large = Relined::new(Arc::new(body.clone()), LineEnding::CrLf, lines.bare_lf);
        prop_assert_eq!((large.len(), bytes_of(&large)), (crlf.len() as u64, crlf.to_vec()));
        prop_assert_eq!(lines.says_binary, memmem::find(&body, b"binary").is_some());
        let lf = transfer::to_lf_if_text(&body);
        prop_assert_eq!(lines.all_crlf(), lf.is_some());
        if let Some(lf) = lf {
            prop_assert_eq!(&changed(ToLf::default(), &body, &cuts), &lf);
            let large = Relined::new(Arc::new(body), LineEnding::Lf, lines.crlf);
            prop_assert_eq!((large.len(), bytes_of(&large)), (lf.len() as u64, lf));
        }
    }

    #[test]
    fn base64_is_written_alike_in_one_piece_and_in_many(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        cuts in proptest::collection::vec(0_usize..90, 0..12),
        from in 0_u64..500,
    ) {
        let ending = LineEnding::CrLf;
        let lines = transfer::base64_lines(&bytes, ending);
        let change = Encoding64 { ending, held: Vec::new() };
        prop_assert_eq!(&changed(change, &bytes, &cuts), &lines);
        let large = Base64Lines::new(Arc::new(bytes), ending);
        prop_assert_eq!(large.len(), lines.len() as u64);
        let mut rest = Vec::new();
        large.open_at(from).unwrap().read_to_end(&mut rest).unwrap();
        let from = usize::try_from(from).unwrap().min(lines.len());
        prop_assert_eq!(&rest, &lines[from..]);
    }
}

#[test]
fn what_is_longer_than_a_piece_is_read_to_its_end() {
    let bytes: Vec<u8> = (0_u8..251).cycle().take(3 * bulk::PIECE + 5).collect();
    let large: Arc<dyn Bulk> = Arc::new(bytes.clone());
    let lines: Arc<dyn Bulk> = Arc::new(Base64Lines::new(large, LineEnding::Lf));
    let reading = Decoded::of(lines, Way::As(Encoding::Base64))
        .unwrap()
        .unwrap();
    assert_eq!(bytes_of(&*reading.bytes), bytes);
    let chain = bulk::Chain(vec![Arc::new(b"ab".to_vec()), Arc::clone(&reading.bytes)]);
    let stretch = bulk::Stretch::new(Arc::new(chain), 1..4);
    assert_eq!(bytes_of(&stretch), [b'b', bytes[0], bytes[1]]);
}
