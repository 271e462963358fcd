//! `clobber.macro`: apps that register themselves.

use super::{merge, pm2, proto};
use crate::clj::core::{ANY, Native, pairs, row};
use crate::clj::error::{CljErrorKind, Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::print;
use crate::clj::value::Value;
use std::rc::Rc;

pub(crate) const TABLE: &[Native] = &[
    row("defapp", 1, ANY, |interp, arguments| {
        let Some(name) = arguments[0].name() else { return Err(wants("defapp", "a name", &arguments[0])) };
        let options = match &arguments[1..] {
            [] | [Value::Nil] => Value::record([]),
            [map @ Value::Map(_)] => map.clone(),
            [one] => return Err(wants("defapp", "a map", one)),
            several => pairs("defapp", several)?,
        };
        let app = merge::with(options, "name", Value::text(name));
        let apps = interp.run.open_profile.as_mut().unwrap_or(&mut interp.run.apps);
        apps.push(app.clone());
        Ok(app)
    }),
    row("ecosystem", 0, ANY, |interp, arguments| {
        let value = match &arguments[..] {
            [] => registered(interp)?,
            [Value::Keyword(option), mode] if **option == *"profile" => in_profile(interp, mode)?,
            parts => pm2::compose(interp, "ecosystem", parts)?,
        };
        interp.run.ecosystem = Some(value.clone());
        Ok(value)
    }),
    // The text that the original prints is what its build reads; here the value itself is taken.
    row("ecosystem-output", 0, 1, |interp, arguments| {
        let value = match arguments.first() {
            None => registered(interp)?,
            Some(mode) => in_profile(interp, mode)?,
        };
        interp.run.ecosystem = Some(value);
        Ok(Value::Nil)
    }),
    row("env-var", 1, 2, |interp, arguments| {
        let Some(name) = arguments[0].name() else { return Err(wants("env-var", "a name", &arguments[0])) };
        if let Some(value) = interp.options.env.get(name) {
            return Ok(Value::text(value.as_str()));
        }
        Ok(match arguments.get(1) {
            Some(word @ Value::Keyword(_)) => Value::text(word.name().unwrap_or_default()),
            Some(fallback) => fallback.clone(),
            None => Value::Nil,
        })
    }),
];

/// Everything registered so far, by all files of this run.
pub(crate) fn registered(interp: &mut Interp) -> Eval {
    let apps = Value::vector(interp.run.apps.clone());
    interp.charge(interp.run.apps.len())?;
    let mut all = Value::record([("apps", apps)]);
    for (mode, fragment) in &interp.run.profiles {
        let profile = Value::record([("profiles", Value::record([(mode, fragment.clone())]))]);
        all = merge::ecosystem(&all, &profile, merge::Removal::Kept);
    }
    Ok(all)
}

fn in_profile(interp: &mut Interp, mode: &Value) -> Eval {
    let Some(mode) = mode.name() else { return Err(wants("ecosystem", "the name of a profile", mode)) };
    let all = registered(interp)?;
    apply_mode(&all, mode)?.ok_or_else(|| no_mode(mode, &modes(&all)).into())
}

/// The ecosystem with a profile over it and without its profiles; `None` where it has no such profile.
pub(crate) fn apply_mode(all: &Value, mode: &str) -> Eval<Option<Value>> {
    let base = merge::without(all, "profiles");
    if mode == "default" {
        return Ok(Some(base));
    }
    let profile = merge::named(all, "profiles").and_then(|profiles| merge::named(profiles, mode));
    match profile {
        None => Ok(None),
        Some(profile @ (Value::Map(_) | Value::Nil)) => {
            Ok(Some(merge::ecosystem(&base, profile, merge::Removal::Done)))
        }
        Some(other) => Err(failed(format!("the profile `{mode}` is {}, and no map", print::short(other)))),
    }
}

/// The names of the profiles of an ecosystem.
pub(crate) fn modes(all: &Value) -> Vec<String> {
    match merge::named(all, "profiles") {
        Some(Value::Map(profiles)) => profiles.keys().filter_map(Value::name).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The error for a profile that is none of the known ones.
pub(crate) fn no_mode(mode: &str, known: &[String]) -> CljErrorKind {
    let known = if known.is_empty() { "there are none".into() } else { format!("there are {}", known.join(", ")) };
    CljErrorKind::Choice(format!("there is no profile `{mode}`: {known}"))
}

/// Keeps what a `defprofile` defined: apps of its body, and fragments that the body gave.
pub(crate) fn close_profile(interp: &mut Interp, name: &Rc<str>, apps: Vec<Value>, values: Vec<Value>) -> Eval {
    let mut fragment = proto::apps_of(apps);
    for value in values {
        // What `defapp` gave stands in the list already.
        if proto::is_fragment(&value) || proto::kind(&value).is_some() {
            let part = proto::fragment(interp, "defprofile", &value)?;
            fragment = merge::ecosystem(&fragment, &part, merge::Removal::Kept);
        }
    }
    interp.run.profiles.push((name.clone(), fragment));
    Ok(Value::Nil)
}
