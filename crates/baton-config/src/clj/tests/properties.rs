//! What holds for every text and every value.

use super::super::eval::Interp;
use super::super::print::readable;
use super::super::reader::Reader;
use super::super::value::Value as Clj;
use super::*;
use proptest::prelude::*;

/// Reads to the end, or to the first error.
fn read_all(text: &str) -> usize {
    let mut reader = Reader::new(text, 0);
    let mut count = 0;
    while let Ok(Some(_)) = reader.next() {
        count += 1;
    }
    count
}

fn name() -> impl Strategy<Value = String> {
    "[a-z*!?<>=+-][a-z0-9*!?_.-]{0,6}"
        .prop_filter("words with a meaning of their own", |name| !["nil", "true", "false"].contains(&&**name))
        .prop_filter("numbers", |name| !name.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit()))
}

fn any_value() -> impl Strategy<Value = Clj> {
    let leaf = prop_oneof![
        Just(Clj::Nil),
        any::<bool>().prop_map(Clj::Bool),
        any::<i64>().prop_map(|number| Clj::Int(number.max(-i64::MAX))),
        any::<f64>().prop_map(Clj::float),
        ".{0,12}".prop_map(|text| Clj::text(&*text)),
        name().prop_map(|name| Clj::keyword(&name)),
        (name(), name()).prop_map(|(space, name)| Clj::keyword(&format!("{space}/{name}"))),
        name().prop_map(|name| Clj::Symbol((&*name).into())),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Clj::list),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Clj::vector),
            prop::collection::vec(inner.clone(), 0..6).prop_map(|all| Clj::set(all.into_iter().collect())),
            prop::collection::vec((inner.clone(), inner), 0..6).prop_map(|all| Clj::map(all.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_reader_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn the_reader_never_panics_on_what_looks_like_clojure(text in r#"[(){}\[\]#?'@^"\\:/ %&a1.,;~`_=<>\n-]{0,60}"#) {
        read_all(&text);
    }

    #[test]
    fn a_program_of_anything_ends(text in r#"(\((def|let|fn|map|if|loop|recur|str|->|for|case|ns|app|[a-z]) |[(){}\[\]#'a1:" %]|\[x 1\] ){0,30}"#) {
        let few = CljOptions { limits: Limits { steps: 10_000, ..Limits::default() }, ..options() };
        // Whatever it is, it is a result or an error.
        let _ = result_with(&text, &few);
    }

    #[test]
    fn what_is_printed_reads_back(value in any_value()) {
        let text = readable(&value);
        let form = Reader::new(&text, 0).next().unwrap_or_else(|error| panic!("{text}: {error:?}")).expect("a form");
        let back = Interp::new(options()).datum(&form).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        prop_assert_eq!(&back, &value, "{}", text);
        // Order is kept, so that the text is the same as well.
        prop_assert_eq!(readable(&back), text);
    }
}

#[test]
fn a_whole_number_beyond_the_integers_is_rounded_once() {
    let text = "11760576508720777000";
    let form = Reader::new(text, 0).next().expect("reads").expect("a form");
    let back = Interp::new(options()).datum(&form).expect("a value");
    assert_eq!(back, Clj::float(11_760_576_508_720_777_000.0));
}
