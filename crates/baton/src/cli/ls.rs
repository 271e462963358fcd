//! `list`: the process table, and the table of units.

use super::common::Common;
use super::externals;
use super::failure::Failure;
use super::jlist;
use super::session::{CalledAs, Session, measured};
use crate::client::Client;
use baton_core::proto::{Change, List, Listing};
use baton_core::world::{UnitView, units};
use baton_os::clock;
use baton_pm2::describe::iso;
use baton_pm2::table::{self, Sort, SortBy};
use clap::Parser;

/// Show the process table, or one row for each unit.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Show every app as lines of `key : value`.
    #[arg(short, long)]
    mini_list: bool,
    /// Show it as JSON, as `jlist` does.
    #[arg(long, conflicts_with_all = ["mini_list", "watch"])]
    json: bool,
    /// One row for each unit. The exit code is 1 unless every app of theirs is online or has ended by itself with
    /// success.
    #[arg(long, conflicts_with_all = ["mini_list", "sort"])]
    units: bool,
    /// Show it again at every change, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Order of the rows: name, namespace, pid, id, cpu, memory, uptime, status or restarts, and `:asc` or `:desc`.
    #[arg(long, value_name = "FIELD[:asc|desc]", value_parser = sort)]
    sort: Option<Sort>,
    /// With --units: only these units.
    // Without it they are words that PM2 passes over.
    #[arg(value_name = "unit")]
    names: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn sort(text: &str) -> Result<Sort, String> {
    Sort::parse(text).ok_or_else(|| "write a column of the table, such as memory:desc".into())
}

/// Runs the verb.
pub(crate) fn run(args: Args, session: &Session) -> Result<(), Failure> {
    if args.units && !args.watch {
        return health(&args, session);
    }
    if args.json {
        session.data(jlist::json(session)?.as_bytes());
        session.data(b"\n");
        return Ok(());
    }
    let mut client = session.client()?;
    if !args.watch {
        return show(&args, &mut client, session);
    }
    baton_os::interrupt::is_success().map_err(Failure::system("Ctrl-C"))?;
    let updates = Client::connect_or_start(&session.home)?.subscribe()?;
    for update in updates {
        if matches!(update?.change, Change::Ending) {
            return Ok(());
        }
        if session.on_terminal() {
            session.data(b"\x1b[2J\x1b[H");
        }
        show(&args, &mut client, session)?;
        session.line(&format!("Last refresh:  {}", iso(clock::now().wall)));
    }
    Ok(())
}

fn show(args: &Args, client: &mut Client, session: &Session) -> Result<(), Failure> {
    let listing = measured(client, List::default())?;
    if args.units {
        let chosen = chosen(&args.names, &listing)?;
        session.line(table::unit_list(&chosen, session.colour).trim_end());
    } else {
        // As under PM2, the short form is in the order of numbers.
        let by = if args.mini_list { SortBy::Id } else { SortBy::Name };
        let options = session.table_options(args.sort.unwrap_or(Sort { by, descending: false }));
        let render = if args.mini_list { table::mini_list } else { table::list };
        let shown = render(&listing.instances, &options);
        session.line(shown.strip_suffix('\n').unwrap_or(&shown));
        if session.called == CalledAs::Baton {
            for line in externals::lines(&listing.externals, session) {
                session.line(&line);
            }
        }
    }
    for notice in &listing.notices {
        session.warn(notice);
    }
    Ok(())
}

/// Shows the units, and tells by success whether all of them are well.
fn health(args: &Args, session: &Session) -> Result<(), Failure> {
    let mut client = if args.json { session.quiet_client()? } else { session.client()? };
    let listing = measured(&mut client, List::default())?;
    let chosen = chosen(&args.names, &listing)?;
    if args.json {
        let json = serde_json::to_string(&chosen).map_err(|error| Failure::system("the units")(error.into()))?;
        session.data(format!("{json}\n").as_bytes());
    } else {
        session.line(table::unit_list(&chosen, session.colour).trim_end());
        for notice in &listing.notices {
            session.warn(notice);
        }
    }
    if chosen.iter().all(|unit| unit.healthy) { Ok(()) } else { Err(Failure::Told) }
}

/// The units of these names, or all.
///
/// # Errors
/// When there is none of a name.
fn chosen(names: &[String], listing: &Listing) -> Result<Vec<UnitView>, Failure> {
    let mut all = units(&listing.instances);
    if let Some(name) = names.iter().find(|name| all.iter().all(|unit| unit.name != **name)) {
        return Err(Failure::Usage(format!("there is no unit {name}")));
    }
    all.retain(|unit| names.is_empty() || names.contains(&unit.name));
    Ok(all)
}
