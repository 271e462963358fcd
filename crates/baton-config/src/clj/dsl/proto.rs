//! Protos: apps, mixins, profiles and stacks that inherit from another and are realised late.
//!
//! A proto is a map with keys of our own, so that the functions of the language work on it.

use super::merge::{self, Removal};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::value::Value;

const KIND: &str = "pm2-clj/kind";
const ID: &str = "pm2-clj/id";
const BASE: &str = "pm2-clj/base";
const PATCH: &str = "pm2-clj/patch";
const SCOPE: &str = "pm2-clj/scope";
const LIBRARY: &str = "pm2-clj/library";

/// What a proto becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtoKind {
    App,
    Mixin,
    Profile,
    Stack,
}

impl ProtoKind {
    fn word(self) -> &'static str {
        match self {
            ProtoKind::App => "app",
            ProtoKind::Mixin => "mixin",
            ProtoKind::Profile => "profile",
            ProtoKind::Stack => "stack",
        }
    }
}

/// What kind of proto a value is.
pub(crate) fn kind(value: &Value) -> Option<ProtoKind> {
    let kind = value.at(KIND)?.name()?;
    [ProtoKind::App, ProtoKind::Mixin, ProtoKind::Profile, ProtoKind::Stack].into_iter().find(|one| one.word() == kind)
}

/// A proto. `patch` is a map for apps and mixins, and a vector of parts for profiles and stacks.
pub(crate) fn make(kind: ProtoKind, id: Value, base: Value, patch: Value) -> Value {
    Value::record([(KIND, Value::keyword(kind.word())), (ID, id), (BASE, base), (PATCH, patch)])
}

/// The proto's own id.
pub(crate) fn id(proto: &Value) -> Value {
    proto.at(ID).cloned().unwrap_or(Value::Nil)
}

/// A file with several entries.
pub(crate) fn library(entries: Value) -> Value {
    Value::record([(LIBRARY, entries)])
}

/// The entries of a library.
pub(crate) fn entries(value: &Value) -> Option<&Value> {
    value.at(LIBRARY)
}

/// A mixin that puts a prefix before names.
pub(crate) fn scope(prefix: &str) -> Value {
    make(ProtoKind::Mixin, Value::Nil, Value::Nil, Value::record([(SCOPE, Value::text(prefix))]))
}

/// The name of an app, a proto, or a bare name.
pub(crate) fn name(function: &str, value: &Value) -> Eval<String> {
    if let Some(name) = value.name() {
        return Ok(name.to_owned());
    }
    let name = match kind(value) {
        Some(ProtoKind::App) => merge::name_of(&app(value)?),
        _ => merge::name_of(value),
    };
    name.ok_or_else(|| wants(function, "a name, or an app that has one", value))
}

/// The map that a patch is: a map itself, what a mixin or an app proto says, nothing for `nil`.
pub(crate) fn patch(function: &str, value: &Value) -> Eval {
    match (value, kind(value)) {
        (Value::Nil, _) => Ok(Value::record([])),
        (_, Some(ProtoKind::App | ProtoKind::Mixin)) => full_patch(value),
        (_, Some(other)) => Err(failed(format!("`{function}` cannot take a {} as a patch", other.word()))),
        (Value::Map(_), None) => Ok(value.clone()),
        _ => Err(wants(function, "a map or a mixin as a patch", value)),
    }
}

/// Everything that a proto and those it inherits from say.
fn full_patch(proto: &Value) -> Eval {
    let own = proto.at(PATCH).cloned().unwrap_or(Value::Nil);
    match proto.at(BASE) {
        None | Some(Value::Nil) => Ok(own),
        Some(base) => Ok(merge::app(&patch("extends", base)?, &own, Removal::Kept)),
    }
}

/// The app of an app proto.
pub(crate) fn app(proto: &Value) -> Eval {
    let whole = full_patch(proto)?;
    // What a removal removes is known now, and what it does not meet was never there.
    let app = merge::strip(&merge::app(&Value::record([]), &whole, Removal::Done));
    let prefix = whole.at(SCOPE).and_then(Value::name).unwrap_or_default();
    match id(proto).name() {
        Some(id) => Ok(merge::with(app, "name", Value::text(format!("{prefix}{id}")))),
        None => Ok(app),
    }
}

/// An app with a patch over it, which may also put a prefix before its name.
pub(crate) fn patched(app: &Value, patch: &Value) -> Value {
    let merged = merge::app(app, &merge::without(patch, SCOPE), Removal::Done);
    match (patch.at(SCOPE).and_then(Value::name), merge::name_of(&merged)) {
        (Some(prefix), Some(name)) => merge::with(merged, "name", Value::text(format!("{prefix}{name}"))),
        _ => merged,
    }
}

/// The fragment that a part of an ecosystem stands for.
pub(crate) fn fragment(interp: &mut Interp, function: &str, part: &Value) -> Eval {
    interp.charge(1)?;
    match (part, kind(part)) {
        (Value::Nil, _) => Ok(Value::record([])),
        (Value::Vector(parts) | Value::List(parts), _) => compose(interp, function, parts, Removal::Done),
        (_, Some(ProtoKind::App)) => Ok(apps_of(vec![app(part)?])),
        (_, Some(ProtoKind::Stack)) => stack(interp, part),
        (_, Some(ProtoKind::Profile)) => profile(interp, part),
        (_, Some(ProtoKind::Mixin)) => {
            Err(failed(format!("`{function}` cannot take a mixin: lay it over apps with `with` or `each`")))
        }
        (Value::Map(_), None) if entries(part).is_some() => {
            Err(failed(format!("`{function}` cannot take a library: take one of its entries")))
        }
        (Value::Map(_), None) if is_fragment(part) => realised(interp, function, part),
        (Value::Map(_), None) if is_app(part) => Ok(apps_of(vec![part.clone()])),
        (Value::Map(_), None) => Ok(part.clone()),
        _ => Err(wants(function, "apps, maps with :apps, stacks or profiles", part)),
    }
}

/// A fragment with these apps.
pub(crate) fn apps_of(apps: Vec<Value>) -> Value {
    Value::record([("apps", Value::vector(apps))])
}

/// Whether a map has the keys of an ecosystem.
pub(crate) fn is_fragment(value: &Value) -> bool {
    ["apps", "profiles", "deploy"].iter().any(|key| merge::named(value, key).is_some())
}

/// Whether a map is one app.
pub(crate) fn is_app(value: &Value) -> bool {
    ["name", "script", "exec", "cmd"].iter().any(|key| merge::named(value, key).is_some())
}

/// A fragment whose apps and profiles are maps, not protos.
fn realised(interp: &mut Interp, function: &str, part: &Value) -> Eval {
    let mut fragment = part.clone();
    if let Some(Value::Vector(apps) | Value::List(apps)) = merge::named(part, "apps") {
        let mut all = Vec::with_capacity(apps.len());
        for one in apps.iter() {
            match (kind(one), one) {
                (None, Value::Map(_)) if !is_fragment(one) => all.push(one.clone()),
                (None, Value::Nil) => {}
                _ => all.extend(apps_in(&self::fragment(interp, function, one)?)),
            }
        }
        fragment = merge::with(fragment, "apps", Value::vector(all));
    }
    if let Some(Value::Map(profiles)) = merge::named(part, "profiles") {
        let profiles = profiles.clone();
        let mut all = (**profiles).clone();
        for (mode, value) in profiles.iter() {
            let whole = match value {
                Value::Map(_) => self::fragment(interp, function, value)?,
                other => other.clone(),
            };
            all.insert(mode.clone(), whole);
        }
        fragment = merge::with(fragment, "profiles", Value::map(all));
    }
    Ok(fragment)
}

/// The apps of a fragment.
pub(crate) fn apps_in(fragment: &Value) -> Vec<Value> {
    match merge::named(fragment, "apps") {
        Some(Value::Vector(apps) | Value::List(apps)) => apps.to_vec(),
        Some(app @ Value::Map(_)) => vec![app.clone()],
        _ => Vec::new(),
    }
}

/// Several parts, merged from left to right.
pub(crate) fn compose(interp: &mut Interp, function: &str, parts: &[Value], removal: Removal) -> Eval {
    let mut all = Value::record([]);
    for part in parts {
        let part = fragment(interp, function, part)?;
        all = merge::ecosystem(&all, &part, removal);
    }
    Ok(all)
}

/// A fragment with a patch over each of its apps.
pub(crate) fn each(fragment: &Value, patch: &Value) -> Value {
    let apps = apps_in(fragment).iter().map(|app| patched(app, patch)).collect();
    merge::with(fragment.clone(), "apps", Value::vector(apps))
}

fn parts(proto: &Value) -> Vec<Value> {
    match proto.at(PATCH) {
        Some(Value::Vector(parts) | Value::List(parts)) => parts.to_vec(),
        Some(Value::Nil) | None => Vec::new(),
        Some(other) => vec![other.clone()],
    }
}

/// The ecosystem of a stack: its base, then part by part; a mixin goes over every app so far.
fn stack(interp: &mut Interp, proto: &Value) -> Eval {
    let mut all = match proto.at(BASE) {
        None | Some(Value::Nil) => Value::record([]),
        Some(base) => fragment(interp, "stack", base)?,
    };
    for part in parts(proto) {
        all = match kind(&part) {
            Some(ProtoKind::Mixin) => each(&all, &patch("with", &part)?),
            _ => merge::ecosystem(&all, &fragment(interp, "stack", &part)?, Removal::Done),
        };
    }
    Ok(all)
}

/// `{:profiles {id composed}}`
fn profile(interp: &mut Interp, proto: &Value) -> Eval {
    let body = profile_body(interp, proto)?;
    let id = id(proto);
    let mode = id.name().ok_or_else(|| failed("a profile needs a name"))?;
    Ok(Value::record([("profiles", Value::record([(mode, body)]))]))
}

fn profile_body(interp: &mut Interp, proto: &Value) -> Eval {
    let base = match proto.at(BASE) {
        None | Some(Value::Nil) => Value::record([]),
        Some(base) if kind(base) == Some(ProtoKind::Profile) => profile_body(interp, base)?,
        Some(base) => fragment(interp, "profile", base)?,
    };
    let own = compose(interp, "profile", &parts(proto), Removal::Kept)?;
    Ok(merge::ecosystem(&base, &own, Removal::Kept))
}
