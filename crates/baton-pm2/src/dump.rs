//! The file `dump.pm2`, which `save` writes and `resurrect` reads: ours and a real PM2's.
//!
//! It is a list of records, one a process, indented by two. What PM2's record can't say of an app stands in a member
//! `baton`, which PM2 carries along without looking at it; see [`crate::prepare`].

use crate::prepare::{self, RecordError};
use crate::record::{self, Host};
use baton_core::proto::Saved;
use baton_core::spec::Instances;
use baton_core::world::InstanceView;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use thiserror::Error;

/// Members of a record that PM2 leaves out of its dump.
const LEFT_OUT: &[&str] = &["instances", "pm_id", "prev_restart_delay", "job"];

/// Why a text is no dump.
#[derive(Debug, Error)]
pub enum DumpError {
    /// It is no list of records.
    #[error("it is no list of processes: {0}")]
    Json(#[from] serde_json::Error),
    /// A record lacks something.
    #[error("process {index} of the list: {error}")]
    Record {
        /// Its place in the list, from 1.
        index: usize,
        /// What it lacks.
        error: RecordError,
    },
}

/// The text of a dump. The views must be whole.
pub fn write(views: &[InstanceView], host: Host<'_>) -> String {
    let mut sorted: Vec<_> = views.iter().collect();
    sorted.sort_by_key(|view| view.id);
    let records: Vec<Value> = sorted.into_iter().map(|view| Value::Object(saved_record(view, host))).collect();
    let text = serde_json::to_string_pretty(&records);
    text.expect("a map with text keys is JSON")
}

/// The record of one process as a dump keeps it.
fn saved_record(view: &InstanceView, host: Host<'_>) -> Map<String, Value> {
    let mut record = record::pm2_env(view, host);
    record.retain(|key, _| !LEFT_OUT.contains(&key.as_str()));
    if let Some(spec) = view.spec.as_deref() {
        let mut remainder = prepare::remainder(spec, &record);
        // PM2 has no word for a job between two runs, and would run what it takes for online.
        if let Some(job) = &view.job {
            remainder["armed"] = job.armed.into();
        }
        if let Some(owner) = &view.owner {
            remainder["owner"] = owner.as_str().into();
        }
        record.insert("baton".into(), remainder);
    }
    record
}

/// The processes of a dump. Modules of PM2 are left out.
///
/// # Errors
/// When the text is no list of records that name an app and its program.
pub fn read(text: &str) -> Result<Vec<Saved>, DumpError> {
    let records: Vec<Map<String, Value>> = serde_json::from_str(text)?;
    from_records(&records)
}

/// The processes of a list of records, as [`crate::client::Pm2Client::records`] and dumps give them.
///
/// # Errors
/// When one does not name an app and its program.
pub fn from_records(records: &[Map<String, Value>]) -> Result<Vec<Saved>, DumpError> {
    let is_module = |record: &Map<String, Value>| record.get("pmx_module").is_some_and(|yes| *yes == true);
    let mut slots = Vec::new();
    for (index, record) in records.iter().enumerate().filter(|(_, record)| !is_module(record)) {
        let slot = prepare::saved_from_record(record).map_err(|error| DumpError::Record { index: index + 1, error })?;
        slots.push((slot, record.contains_key("baton")));
    }
    // PM2 keeps one record for each process and not how many were asked for.
    let mut counts: BTreeMap<String, i32> = BTreeMap::new();
    for (slot, _) in &slots {
        *counts.entry(slot.spec.name.clone()).or_default() += 1;
    }
    let slots = slots.into_iter().map(|(mut slot, ours)| {
        if !ours {
            slot.spec.instances = Instances(counts.get(&slot.spec.name).copied().unwrap_or(1));
        }
        slot
    });
    Ok(slots.collect())
}
