//! `docs/process-files.md` is made from the table of keys; this test fails when it is out of date.
//! `BATON_WRITE_DOCS=1 cargo test -p baton-core --test reference` writes it anew.

use baton_core::spec::{ChangeClass, FIELDS, Field, Kind, LATER};
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "\
# Keys of a process file

<!-- Made from the table in crates/baton-core/src/spec/app.rs: change it there. -->

A file holds a list of apps, one app, or a map with `apps`. Each key may be spelled in snake case, camel case or kebab case;
the other names are those that PM2 and its users know. Unknown keys are warned of, with the nearest known one.

*change* says what a new value needs: *live* is applied to the running process, *restart* needs a new one, *scale* adds or
removes instances.

";

const LATER_HEAD: &str = "
## Read, checked and kept, but not acted on by this version

These start no feature yet: a file that uses them gets one warning, its apps start, and `describe` shows them.

";

const CHECKED_HEAD: &str = "
## What must be there before an app starts

`check` looks at these; `required_env` stops `start` too.

";

/// The keys among those that definitions only keep which `check` and `start` act on.
const CHECKED: &[&str] = &["required_env", "on_missing", "artifacts"];

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".into(),
        Kind::Path => "path".into(),
        Kind::Bool => "true or false".into(),
        Kind::Integer(low, high) if high == i64::MAX => format!("whole number from {low}"),
        Kind::Integer(low, high) => format!("whole number, {low} to {high}"),
        Kind::Instances => "number, `max`".into(),
        Kind::Size => "bytes, `200M`".into(),
        Kind::Duration => "ms, `10s`, `5m`".into(),
        Kind::Words => "list, or text split as by a shell".into(),
        Kind::Texts => "text or list".into(),
        Kind::Integers => "number or list".into(),
        Kind::Environment => "map".into(),
        Kind::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Kind::Switch => "true, false, text or list".into(),
        Kind::Dependencies => "name, list or map".into(),
        Kind::Readiness => "word or map".into(),
        Kind::Health => "map".into(),
        Kind::Hooks => "command, address, map or list".into(),
        Kind::Schedule => "text or map".into(),
        Kind::Heartbeat => "true, false or map".into(),
        Kind::Listen => "port, `host:port`, path, list or map".into(),
        Kind::Rlimits => "map".into(),
        Kind::Cpus => "processors, `\"50%\"`".into(),
        Kind::Signal => "signal's name or number".into(),
        Kind::Map => "map".into(),
        Kind::Any => "any".into(),
    }
}

fn class(class: ChangeClass) -> &'static str {
    match class {
        ChangeClass::Live => "live",
        ChangeClass::Restart => "restart",
        ChangeClass::Scale => "scale",
        ChangeClass::Context => "",
    }
}

fn rows<'f>(page: &mut String, fields: impl IntoIterator<Item = &'f Field>) {
    page.push_str("| key | other names | value | change | meaning |\n|---|---|---|---|---|\n");
    // Context is filled in by the loader; it is no key of a file.
    for field in fields.into_iter().filter(|field| field.class != ChangeClass::Context && field.name != "declared") {
        let others: Vec<String> = field.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let meaning = field.doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let (name, others) = (field.name, others.join(" "));
        writeln!(page, "| `{name}` | {others} | {} | {} | {meaning} |", kind(field.kind), class(field.class))
            .expect("a string takes everything");
    }
}

#[test]
fn the_page_of_keys_is_up_to_date() {
    let mut page = HEAD.to_owned();
    rows(&mut page, FIELDS);
    page.push_str("\n`env_<name>` is a map of variables that `--env <name>` puts above `env`.\n");
    let is_checked = |field: &&Field| CHECKED.contains(&field.name);
    page.push_str(CHECKED_HEAD);
    rows(&mut page, LATER.iter().filter(is_checked));
    page.push_str(LATER_HEAD);
    rows(&mut page, LATER.iter().filter(|field| !is_checked(field)));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/process-files.md");
    if std::env::var_os("BATON_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "out of date: BATON_WRITE_DOCS=1 cargo test -p baton-core --test reference");
}
