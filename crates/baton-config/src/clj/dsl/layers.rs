//! `pm2-clj.dsl`: what is built from the functions of `pm2`: overrides of chosen apps, services, tiers, named mixins.

use super::merge::{self, Removal};
use super::pm2::{mixin, options, prefix};
use super::proto::{self, ProtoKind};
use crate::clj::core::{ANY, Native, items, row};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::value::{Entries, Value};

pub(crate) const TABLE: &[Native] = &[
    row("cluster", 0, 1, |_, mut arguments| {
        let instances = arguments.pop().unwrap_or_else(|| Value::text("max"));
        Ok(mixin(Value::record([("exec_mode", Value::text("cluster")), ("instances", instances)])))
    }),
    row("env-tiers", 1, ANY, |_, arguments| {
        let Some(name) = arguments[0].name() else {
            return Err(wants("env-tiers", "the name of a variable", &arguments[0]));
        };
        let tiers = modes("env-tiers", &arguments[1..])?;
        let tier = |value: &Value| {
            let variable: Entries = [(Value::keyword(name), value.clone())].into();
            Value::record([("env", Value::map(variable))])
        };
        Ok(Value::map(tiers.iter().map(|(mode, value)| (mode.clone(), tier(value))).collect()))
    }),
    row("fork", 0, 1, |_, mut arguments| {
        let instances = arguments.pop().unwrap_or(Value::Int(1));
        Ok(mixin(Value::record([("exec_mode", Value::text("fork")), ("instances", instances)])))
    }),
    row("group", 3, 4, |interp, mut arguments| {
        let (services, base) = (arguments.pop().unwrap_or(Value::Nil), arguments.pop().unwrap_or(Value::Nil));
        let scope = proto::scope(&prefix("group", &arguments)?);
        family(interp, "group", &base, &services, Some(&scope))
    }),
    row("log-format", 1, 1, |_, mut arguments| Ok(mixin(Value::record([("log_date_format", arguments.remove(0))])))),
    row("matrix", 1, ANY, |interp, arguments| {
        let fragment = proto::fragment(interp, "matrix", &arguments[0])?;
        matrix(interp, &fragment, &arguments[1..])
    }),
    row("matrix*", 2, 2, |interp, arguments| {
        let fragment = proto::fragment(interp, "matrix*", &arguments[0])?;
        let Value::Map(tiers) = &arguments[1] else { return Err(wants("matrix*", "tiers", &arguments[1])) };
        let pairs: Vec<Value> = tiers.iter().flat_map(|(mode, patch)| [mode.clone(), patch.clone()]).collect();
        matrix(interp, &fragment, &pairs)
    }),
    row("merge-logs", 0, 1, |_, mut arguments| {
        Ok(mixin(Value::record([("merge_logs", arguments.pop().unwrap_or(Value::Bool(true)))])))
    }),
    row("merge-tiers", 0, ANY, |_, arguments| {
        let mut all = Entries::new();
        for tiers in &arguments {
            let Value::Map(tiers) = tiers else { return Err(wants("merge-tiers", "tiers", tiers)) };
            for (mode, patch) in tiers.iter() {
                add(&mut all, mode, proto::patch("merge-tiers", patch)?);
            }
        }
        Ok(Value::map(all))
    }),
    row("node-args", 0, ANY, |_, arguments| {
        let words = match &arguments[..] {
            [list @ (Value::Vector(_) | Value::List(_))] => items("node-args", list)?.into_owned(),
            words => words.to_vec(),
        };
        Ok(mixin(Value::record([("node_args", Value::vector(words))])))
    }),
    row("on", 3, 3, |interp, arguments| {
        let wanted = names("on", &arguments[0])?;
        overrides(interp, "on", &arguments[1], &arguments[2], |_, app| {
            Ok(merge::name_of(app).is_some_and(|name| wanted.contains(&name)))
        })
    }),
    row("only", 2, 2, |interp, arguments| {
        let wanted = names("only", &arguments[0])?;
        let fragment = proto::fragment(interp, "only", &arguments[1])?;
        let mut apps = proto::apps_in(&fragment);
        apps.retain(|app| merge::name_of(app).is_some_and(|name| wanted.contains(&name)));
        Ok(merge::with(fragment, "apps", Value::vector(apps)))
    }),
    row("port", 1, 1, |_, mut arguments| {
        Ok(mixin(Value::record([("env", Value::record([("PORT", arguments.remove(0))]))])))
    }),
    row("services", 2, 2, |interp, arguments| family(interp, "services", &arguments[0], &arguments[1], None)),
    row("tiers", 0, ANY, |_, arguments| {
        let mut all = Entries::new();
        for (mode, patch) in &modes("tiers", &arguments)? {
            add(&mut all, mode, proto::patch("tiers", patch)?);
        }
        Ok(Value::map(all))
    }),
    row("where", 3, 3, |interp, arguments| {
        let predicate = arguments[0].clone();
        overrides(interp, "where", &arguments[1], &arguments[2], |interp, app| {
            Ok(interp.apply(&predicate, vec![app.clone()])?.truthy())
        })
    }),
];

/// Pairs of a mode and what belongs to it; a mode may come again.
fn modes(function: &str, arguments: &[Value]) -> Eval<Vec<(Value, Value)>> {
    if !arguments.len().is_multiple_of(2) {
        return Err(failed(format!("`{function}` needs pairs of a mode and a value; the last mode has no value")));
    }
    let pair = |pair: &[Value]| match pair[0].name() {
        Some(mode) => Ok((Value::keyword(mode), pair[1].clone())),
        None => Err(wants(function, "the name of a mode", &pair[0])),
    };
    arguments.chunks_exact(2).map(pair).collect()
}

fn add(tiers: &mut Entries, mode: &Value, patch: Value) {
    let old = tiers.get(mode).cloned().unwrap_or(Value::Nil);
    let merged = if matches!(old, Value::Nil) { patch } else { merge::app(&old, &patch, Removal::Kept) };
    tiers.insert(mode.clone(), merged);
}

/// The names that one id or a collection of ids stands for.
fn names(function: &str, ids: &Value) -> Eval<Vec<String>> {
    match ids {
        Value::Vector(_) | Value::List(_) | Value::Set(_) => {
            items(function, ids)?.iter().map(|id| proto::name(function, id)).collect()
        }
        one => Ok(vec![proto::name(function, one)?]),
    }
}

/// A fragment that holds only the names of the chosen apps and the patch.
fn overrides(
    interp: &mut Interp,
    function: &str,
    patch: &Value,
    fragment: &Value,
    mut chosen: impl FnMut(&mut Interp, &Value) -> Eval<bool>,
) -> Eval {
    let patch = proto::patch(function, patch)?;
    let fragment = proto::fragment(interp, function, fragment)?;
    let mut apps = Vec::new();
    for app in proto::apps_in(&fragment) {
        let Some(name) = merge::name_of(&app) else { continue };
        if chosen(interp, &app)? {
            let named = Value::record([("name", Value::text(name))]);
            apps.push(merge::app(&named, &patch, Removal::Kept));
        }
    }
    Ok(proto::apps_of(apps))
}

/// Profiles: a patch becomes an override of every app, an ecosystem stands as it is.
fn matrix(interp: &mut Interp, fragment: &Value, arguments: &[Value]) -> Eval {
    let mut profiles = Value::record([]);
    for (mode, patch) in &modes("matrix", arguments)? {
        let is_patch = match proto::kind(patch) {
            Some(kind) => kind == ProtoKind::Mixin,
            None => !proto::is_fragment(patch),
        };
        let body = if is_patch {
            overrides(interp, "matrix", patch, fragment, |_, _| Ok(true))?
        } else {
            proto::fragment(interp, "matrix", patch)?
        };
        let profile = Value::record([("profiles", Value::map([(mode.clone(), body)].into()))]);
        profiles = merge::ecosystem(&profiles, &profile, Removal::Kept);
    }
    Ok(profiles)
}

/// A map of app protos that share a base, with the stack of them all under `:stack`.
fn family(interp: &mut Interp, function: &str, base: &Value, services: &Value, scope: Option<&Value>) -> Eval {
    let Value::Map(services) = services else { return Err(wants(function, "a map of services", services)) };
    interp.charge(services.len())?;
    let scope = scope.map(|scope| proto::patch(function, scope)).transpose()?;
    let base = match base {
        Value::Nil => Value::Nil,
        plain => proto::patch(function, plain)?,
    };
    let mut all = Entries::with_capacity(services.len() + 1);
    for (id, own) in services.iter() {
        let Some(name) = id.name() else { return Err(wants(function, "names of services", id)) };
        let mut patch = options(function, std::slice::from_ref(own))?;
        if let Some(scope) = &scope {
            patch = merge::app(&patch, scope, Removal::Kept);
        }
        let proto = proto::make(ProtoKind::App, Value::text(name), base.clone(), patch);
        all.insert(Value::keyword(name), proto);
    }
    let parts = Value::vector(all.values().cloned().collect());
    let stack = proto::make(ProtoKind::Stack, Value::Nil, Value::Nil, parts);
    all.insert(Value::keyword("stack"), stack);
    Ok(Value::map(all))
}
