use super::*;
use proptest::prelude::*;

fn limits() -> Limits {
    Limits {
        message_bytes: 1,
        ..Limits::default()
    }
}

fn condensed(bytes: &[u8], root: Root) -> Condensed {
    Condensed::of(Arc::new(bytes.to_vec()), root, &limits())
        .unwrap()
        .unwrap()
}

/// Lines that structure is made of, and long text.
fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"\r\n".to_vec()),
        Just(b"--b\r\n".to_vec()),
        Just(b"--b--\r\n".to_vec()),
        Just(b"--c\n".to_vec()),
        Just(b"--c--\n".to_vec()),
        Just(b"--bc\n".to_vec()),
        Just(b"--\n".to_vec()),
        Just(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec()),
        Just(b"Content-Type: multipart/digest; boundary=\"c\"\n\n".to_vec()),
        Just(b"Content-Type: message/rfc822\r\n\r\n".to_vec()),
        Just(b"Content-Type: text/plain\r\n\r\n".to_vec()),
        Just(b"Subject: x\n".to_vec()),
        (1_usize..12_000).prop_map(|len| [&b"text"[..], &vec![b'x'; len], b"\n"].concat()),
        (1_usize..300).prop_map(|lines| b"A line of text, and of no more.\r\n".repeat(lines)),
        (1_usize..9_000).prop_map(|len| b"-".repeat(len)),
        (1_usize..9_000).prop_map(|len| b"\n".repeat(len)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_has_the_parts_of_the_whole(lines in proptest::collection::vec(line(), 1..30), message in any::<bool>()) {
        let bytes = lines.concat();
        let root = if message { Root::Message } else { Root::Entity };
        let mut budget = Budget::new(&limits());
        let whole = match root {
            Root::Message => parts::parse(&bytes, &mut budget),
            Root::Entity => parts::parse_entity(&bytes, &mut budget),
        };
        let known = Condensed::of(Arc::new(bytes.clone()), root, &limits()).unwrap();
        // A digest's part without a header is a message, whose boundary nobody has named: refused.
        prop_assume!(known.is_ok());
        let known = known.unwrap();
        let tree = known.tree(root, &mut Budget::new(&limits()));
        prop_assert_eq!(tree.parts.len(), whole.parts.len());
        for (part, of_whole) in tree.parts.iter().zip(&whole.parts) {
            let range = |range: &Range<usize>| range.start as u64..range.end as u64;
            prop_assert_eq!(known.places(&part.entity), range(&of_whole.entity));
            prop_assert_eq!(known.places(&part.body), range(&of_whole.body));
            prop_assert_eq!(&part.content_type, &of_whole.content_type);
            prop_assert_eq!(&part.section, &of_whole.section);
            prop_assert_eq!(part.note, of_whole.note);
        }
        // What was not left out is what stands there.
        for at in (0..known.bytes.len()).step_by(97) {
            let gap = known.gaps.iter().any(|gap| gap.at == at);
            let place = usize::try_from(known.place(at)).unwrap();
            prop_assert!(gap || known.bytes[at] == bytes[place]);
        }
        prop_assert!(known.bytes.len() <= bytes.len());
    }
}

#[test]
fn a_long_body_is_left_out_and_read_where_it_lies() {
    let body = b"0123456789abcdef".repeat(100_000);
    let head = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n";
    let bytes = [&head[..], &body, b"\n--b--\n"].concat();
    let known = condensed(&bytes, Root::Message);
    assert!(known.bytes.len() < 600_000 && !known.is_whole());
    let tree = known.tree(Root::Message, &mut Budget::new(&limits()));
    let part = &tree.parts[1];
    assert_eq!(tree.real_len(&part.body), body.len() as u64);
    let read = crate::bulk::head(&*tree.stretch(&part.body).unwrap(), usize::MAX).unwrap();
    assert_eq!(read, body);
    assert!(bytes.starts_with(known.head(usize::MAX)));
}

#[test]
fn no_boundary_comes_about_where_bytes_were_left_out() {
    for cut in 2_040..2_060 {
        // Where it is cut, `--b` stands behind what is left out, and `\n` before it.
        let text = [&vec![b'x'; cut][..], b"\n", &vec![b'y'; 20_000], b"--b\nz"].concat();
        for text in [
            text.clone(),
            [&text[..=cut], b"--", &text[cut + 1..]].concat(),
        ] {
            let bytes = [
                b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n",
                &text[..],
                b"\n--b--\n",
            ]
            .concat();
            let known = condensed(&bytes, Root::Message);
            let tree = known.tree(Root::Message, &mut Budget::new(&limits()));
            assert_eq!(tree.parts.len(), 2, "{cut}");
        }
    }
}

#[test]
fn what_is_all_structure_is_refused() {
    let dashes = b"--\n".repeat(10 << 20);
    let found = Condensed::of(Arc::new(dashes), Root::Message, &limits()).unwrap();
    assert_eq!(found.unwrap_err(), LimitExceeded("limit-message"));
}
