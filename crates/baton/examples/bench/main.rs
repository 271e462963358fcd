//! Compares baton with PM2 from npm: both in the same go on the same machine, in turn, each with a home of its own.
//!
//! `cargo run --release --example bench -- --help` lists the scenarios. The result is a table in Markdown (or JSON) with
//! medians, extremes, the ratio of the medians and the target that was set for it. Where PM2 can't be had, baton's
//! figures are printed alone.
//!
//! A new scenario is a file in `scenario/` and a variant of [`options::Name`].

mod app;
mod bench;
mod client;
mod contender;
mod failure;
mod files;
mod household;
mod manager;
mod options;
mod proc;
mod rendezvous;
mod report;
mod row;
mod scenario;

use bench::Bench;
use clap::Parser;
use failure::Failure;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Both managers run this program as the app under measurement.
    if let Some(code) = app::main() {
        return code;
    }
    match compare(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every scenario could be measured. A missed target is a result, not a failure.
fn compare(options: &Options) -> Result<bool, Failure> {
    let household = household::Household::found()?;
    let bench = Bench::new(options)?;
    let mut rows = Vec::new();
    let mut complete = true;
    for name in options.chosen() {
        eprintln!("{}: {}", name.word(), name.about());
        match scenario::run(name, &bench) {
            Ok(measured) => rows.extend(measured),
            Err(failure) => {
                eprintln!("error: {}: {failure}", name.word());
                complete = false;
            }
        }
    }
    drop(household);
    if options.json {
        println!("{}", report::json(&bench, &rows));
    } else {
        print!("{}", report::markdown(&bench, &rows));
    }
    Ok(complete)
}
