//! `pm2-clj.dsl`: apps, fragments and protos.

use super::merge::{self, Removal};
use super::proto::{self, ProtoKind};
use crate::clj::core::{ANY, Native, pairs, row};
use crate::clj::error::{Eval, failed, wants};
use crate::clj::eval::Interp;
use crate::clj::value::{Entries, Value};

pub(crate) const TABLE: &[Native] = &[
    row("app", 1, ANY, |_, arguments| {
        let (first, rest) = arguments.split_first().ok_or_else(|| failed("`app` needs a name or a map"))?;
        let base = match (first, proto::kind(first)) {
            (_, Some(ProtoKind::App)) => proto::app(first)?,
            (Value::Map(_), None) => first.clone(),
            _ => Value::record([("name", Value::text(proto::name("app", first)?))]),
        };
        Ok(proto::patched(&base, &options("app", rest)?))
    }),
    row("apps", 0, ANY, |interp, arguments| {
        let all = compose(interp, "apps", &arguments)?;
        Ok(proto::apps_of(proto::apps_in(&all)))
    }),
    row("compose", 0, ANY, |interp, arguments| ecosystem(interp, "compose", &arguments)),
    row("def-app", 1, ANY, |_, arguments| {
        let (id, base, rest) = inherits("def-app", &arguments, &[ProtoKind::App, ProtoKind::Mixin])?;
        Ok(proto::make(ProtoKind::App, id, base, options("def-app", rest)?))
    }),
    row("def-mixin", 1, ANY, |_, arguments| {
        let (id, base, rest) = inherits("def-mixin", &arguments, &[ProtoKind::Mixin])?;
        Ok(proto::make(ProtoKind::Mixin, id, base, options("def-mixin", rest)?))
    }),
    row("def-profile", 1, ANY, |_, arguments| {
        let (id, base, rest) = inherits("def-profile", &arguments, &[ProtoKind::Profile])?;
        Ok(proto::make(ProtoKind::Profile, id, base, Value::vector(rest.to_vec())))
    }),
    row("def-stack", 1, ANY, |_, arguments| {
        let (id, base, rest) = inherits("def-stack", &arguments, &[ProtoKind::Stack])?;
        Ok(proto::make(ProtoKind::Stack, id, base, Value::vector(rest.to_vec())))
    }),
    row("deploy", 1, ANY, |_, arguments| Ok(Value::record([("deploy", options("deploy", &arguments)?)]))),
    row("each", 2, 2, |interp, arguments| {
        let patch = proto::patch("each", &arguments[0])?;
        let fragment = proto::fragment(interp, "each", &arguments[1])?;
        Ok(proto::each(&fragment, &patch))
    }),
    row("ecosystem", 0, ANY, |interp, arguments| ecosystem(interp, "ecosystem", &arguments)),
    row("env", 0, ANY, |_, arguments| Ok(mixin(Value::record([("env", options("env", &arguments)?)])))),
    row("export", 0, ANY, |_, arguments| Ok(proto::library(pairs("export", &arguments)?))),
    row("extends", 1, ANY, |_, arguments| {
        let proto = &arguments[0];
        let kind = proto::kind(proto).ok_or_else(|| wants("extends", "a proto", proto))?;
        let patch = match kind {
            ProtoKind::App | ProtoKind::Mixin => options("extends", &arguments[1..])?,
            ProtoKind::Profile | ProtoKind::Stack => Value::vector(arguments[1..].to_vec()),
        };
        Ok(proto::make(kind, proto::id(proto), proto.clone(), patch))
    }),
    row("import", 1, 1, |interp, arguments| {
        let path = arguments[0].name().ok_or_else(|| wants("import", "a path", &arguments[0]))?;
        interp.import(path)
    }),
    row("include", 1, 1, |interp, arguments| {
        let path = arguments[0].name().ok_or_else(|| wants("include", "a path", &arguments[0]))?;
        let value = interp.include(path)?;
        proto::fragment(interp, "include", &value)
    }),
    row("library", 0, ANY, |_, arguments| {
        let mut all = Entries::new();
        for library in &arguments {
            let Some(Value::Map(entries)) = proto::entries(library) else {
                return Err(wants("library", "what `export` gives", library));
            };
            all.extend(entries.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        Ok(proto::library(Value::map(all)))
    }),
    row("mix", 0, ANY, |_, arguments| {
        let mut all = Value::record([]);
        for patch in &arguments {
            all = merge::app(&all, &proto::patch("mix", patch)?, Removal::Kept);
        }
        Ok(mixin(all))
    }),
    row("mixin", 0, ANY, |_, arguments| Ok(mixin(options("mixin", &arguments)?))),
    row("profile", 1, ANY, |interp, arguments| {
        let proto = match proto::kind(&arguments[0]) {
            Some(ProtoKind::Profile) if arguments.len() == 1 => arguments[0].clone(),
            Some(ProtoKind::Profile) => {
                let id = proto::id(&arguments[0]);
                proto::make(ProtoKind::Profile, id, arguments[0].clone(), Value::vector(arguments[1..].to_vec()))
            }
            _ => {
                let id = Value::text(proto::name("profile", &arguments[0])?);
                proto::make(ProtoKind::Profile, id, Value::Nil, Value::vector(arguments[1..].to_vec()))
            }
        };
        proto::fragment(interp, "profile", &proto)
    }),
    row("profiles", 0, ANY, |interp, arguments| proto::compose(interp, "profiles", &arguments, Removal::Kept)),
    row("remove-app", 1, 1, |_, arguments| Ok(merge::removal(&proto::name("remove-app", &arguments[0])?))),
    row("scope", 1, 2, |_, arguments| Ok(proto::scope(&prefix("scope", &arguments)?))),
    row("stack", 1, ANY, |interp, arguments| {
        let all = proto::make(ProtoKind::Stack, Value::Nil, Value::Nil, Value::vector(arguments));
        proto::fragment(interp, "stack", &all)
    }),
    row("with", 1, ANY, |_, arguments| {
        let (first, patches) = arguments.split_first().ok_or_else(|| failed("`with` needs an app or a stack"))?;
        match (proto::kind(first), first) {
            (Some(kind @ (ProtoKind::Stack | ProtoKind::Profile)), _) => {
                Ok(proto::make(kind, proto::id(first), first.clone(), Value::vector(patches.to_vec())))
            }
            (Some(kind), _) => Ok(proto::make(kind, proto::id(first), first.clone(), options("with", patches)?)),
            (None, Value::Map(_)) if !proto::is_fragment(first) => {
                Ok(proto::patched(first, &options("with", patches)?))
            }
            _ => Err(wants("with", "an app or a proto; `each` takes a whole ecosystem", first)),
        }
    }),
];

/// Parts as one ecosystem, beginning with no apps.
pub(crate) fn compose(interp: &mut Interp, function: &str, parts: &[Value]) -> Eval {
    let all = proto::compose(interp, function, parts, Removal::Done)?;
    Ok(merge::ecosystem(&proto::apps_of(Vec::new()), &all, Removal::Done))
}

fn ecosystem(interp: &mut Interp, function: &str, parts: &[Value]) -> Eval {
    compose(interp, function, parts)
}

/// A mixin without a name.
pub(super) fn mixin(patch: Value) -> Value {
    proto::make(ProtoKind::Mixin, Value::Nil, Value::Nil, patch)
}

/// Options as one map: maps and mixins first, merged from left to right, then keys and values in turn.
pub(super) fn options(function: &str, arguments: &[Value]) -> Eval {
    let first_key = arguments.iter().position(|one| !matches!(one, Value::Map(_) | Value::Nil));
    let (patches, rest) = arguments.split_at(first_key.unwrap_or(arguments.len()));
    let mut all = Value::record([]);
    for patch in patches {
        all = merge::app(&all, &proto::patch(function, patch)?, Removal::Kept);
    }
    if let Some(wrong) = rest.iter().step_by(2).find(|key| key.name().is_none()) {
        return Err(wants(function, "a map, or keys and values in turn", wrong));
    }
    Ok(merge::app(&all, &pairs(function, rest)?, Removal::Kept))
}

/// The id, the base if one is given, and the rest of the arguments of a `def-…`.
fn inherits<'v>(function: &str, arguments: &'v [Value], kinds: &[ProtoKind]) -> Eval<(Value, Value, &'v [Value])> {
    let (id, rest) = arguments.split_first().ok_or_else(|| failed(format!("`{function}` needs a name")))?;
    let id = id.name().map(Value::text).ok_or_else(|| wants(function, "a name", id))?;
    match rest {
        [base, rest @ ..] if proto::kind(base).is_some_and(|kind| kinds.contains(&kind)) => {
            Ok((id, base.clone(), rest))
        }
        rest => Ok((id, Value::Nil, rest)),
    }
}

/// A prefix with its delimiter, `-` unless another is given.
pub(super) fn prefix(function: &str, arguments: &[Value]) -> Eval<String> {
    let name = |value: &Value| value.name().map(str::to_owned).ok_or_else(|| wants(function, "a name", value));
    let delimiter = arguments.get(1).map_or(Ok("-".to_owned()), name)?;
    Ok(name(&arguments[0])? + &delimiter)
}
