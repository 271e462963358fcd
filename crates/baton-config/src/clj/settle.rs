//! From what a file yields to the JSON that its apps are read from: the entry, then the profile.

use super::dsl::{clobber, merge, proto};
use super::error::{CljErrorKind, Eval, failed};
use super::eval::Interp;
use super::json;
use super::value::Value;
use serde_json::Value as Json;

/// Which of the choices of the command line have met something so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    /// A file was a library.
    pub(super) library: bool,
    /// A file had the profile.
    pub(super) mode: bool,
    /// The profiles that the files have.
    pub(super) known: Vec<String>,
}

impl Interp {
    /// The JSON of what a file yields; and without the chosen profile, where it has that.
    pub(super) fn settle(&mut self, yielded: Value, met: &mut Met) -> Eval<(Json, Option<Json>)> {
        let chosen = self.chosen_entry(yielded, met)?;
        let whole = match (&chosen, proto::kind(&chosen)) {
            (_, Some(_)) => proto::fragment(self, "ecosystem", &chosen)?,
            (Value::Map(_), None) if proto::is_fragment(&chosen) => proto::fragment(self, "ecosystem", &chosen)?,
            (Value::Map(_) | Value::Vector(_) | Value::List(_), None) => chosen,
            (other, None) => return Err(failed(format!("the file gives {}, and no apps", other.kind()))),
        };
        let mode = self.options.mode.clone().unwrap_or_else(|| "default".into());
        met.known.extend(clobber::modes(&whole));
        let bare = merge::without(&whole, "profiles");
        match clobber::apply_mode(&whole, &mode)? {
            Some(applied) => {
                met.mode = true;
                let bare = (mode != "default").then(|| data(&bare)).transpose()?;
                Ok((data(&applied)?, bare))
            }
            None => Ok((data(&bare)?, None)),
        }
    }

    /// The entry of a library, called where it is a function; anything else as it is.
    fn chosen_entry(&mut self, yielded: Value, met: &mut Met) -> Eval {
        let Some(Value::Map(entries)) = proto::entries(&yielded) else { return self.called(yielded) };
        met.library = true;
        let wanted = self.options.entry.as_deref().unwrap_or("default");
        let found = entries.iter().find(|(key, _)| key.name() == Some(wanted)).map(|(_, value)| value.clone());
        match found {
            Some(value) => self.called(value),
            None => {
                let known: Vec<&str> = entries.keys().filter_map(Value::name).collect();
                Err(CljErrorKind::Choice(format!("there is no entry `{wanted}`: the file has {}", known.join(", ")))
                    .into())
            }
        }
    }

    fn called(&mut self, value: Value) -> Eval {
        match &value {
            Value::Function(_) => self.apply(&value, Vec::new()),
            _ => Ok(value),
        }
    }
}

fn data(whole: &Value) -> Eval<Json> {
    let data = merge::strip(whole);
    if data.depth() > json::MAX_DEPTH {
        return Err(failed(format!("the apps nest more than {} deep", json::MAX_DEPTH)));
    }
    Ok(json::from_value(&data).unwrap_or(Json::Null))
}

/// Refuses choices that nothing met.
pub(super) fn unmet(entry: Option<&str>, mode: Option<&str>, met: &Met) -> Option<CljErrorKind> {
    if let Some(entry) = entry.filter(|_| !met.library) {
        return Some(CljErrorKind::Choice(format!("there is no entry `{entry}`: the file is no library")));
    }
    mode.filter(|_| !met.mode).map(|mode| clobber::no_mode(mode, &met.known))
}
