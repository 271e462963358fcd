//! `rlimits` and `cpu_max` in their canonical forms.

use crate::kinds::{self, Misfit};
use baton_core::spec::{Ceiling, Cpus, Kind, Resource};
use serde_json::{Map, Value, json};

fn shape() -> Misfit {
    Misfit::new("a map of limits", "write a map, such as { nofile: 65536, core: 0 }")
}

/// A map of resources to what was given, as `{ soft, hard }`.
pub(crate) fn rlimits(value: &Value) -> Result<Value, Misfit> {
    let map = value.as_object().ok_or_else(shape)?;
    let mut limits = Map::new();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let resource = Resource::parse(name).ok_or_else(|| {
            let known: Vec<&str> = Resource::ALL.iter().map(|resource| resource.name()).collect();
            Misfit::new(
                format!("a map of limits: there is no limit `{name}`"),
                format!("write one of {}", known.join(", ")),
            )
        })?;
        if limits.insert(resource.name().into(), limit(resource, value)?).is_some() {
            return Err(Misfit::new(format!("clear: it says `{}` twice", resource.name()), "write each limit once"));
        }
    }
    Ok(Value::Object(limits))
}

fn limit(resource: Resource, value: &Value) -> Result<Value, Misfit> {
    let Value::Object(map) = value else {
        let both = ceiling(resource, value)?;
        return Ok(json!({ "soft": both, "hard": both }));
    };
    if let Some(key) = map.keys().find(|key| *key != "soft" && *key != "hard") {
        return Err(Misfit::new(
            format!("a limit: there is no `{key}` in `{}`", resource.name()),
            "write a map such as { soft: 1024, hard: 65536 }",
        ));
    }
    let given = |key: &str| {
        let value = map.get(key).filter(|value| !value.is_null());
        value.map(|value| ceiling(resource, value)).transpose()
    };
    let (soft, hard) = (given("soft")?, given("hard")?);
    if let (Some(soft), Some(hard)) = (soft, hard)
        && soft > hard
    {
        return Err(Misfit::new(
            format!("possible: in `{}` soft ({soft}) is more than hard ({hard})", resource.name()),
            "write a soft limit that is at most the hard one",
        ));
    }
    match (soft, hard) {
        (None, None) => Err(Misfit::new(
            format!("complete: `{}` says neither soft nor hard", resource.name()),
            "write a number, \"unlimited\", or a map such as { soft: 1024, hard: 65536 }",
        )),
        (Some(soft), None) => Ok(json!({ "soft": soft })),
        (None, Some(hard)) => Ok(json!({ "hard": hard })),
        (Some(soft), Some(hard)) => Ok(json!({ "soft": soft, "hard": hard })),
    }
}

fn ceiling(resource: Resource, value: &Value) -> Result<Ceiling, Misfit> {
    if let Some("unlimited" | "infinity") = value.as_str().map(str::trim) {
        return Ok(Ceiling::Unlimited);
    }
    let kind = if resource.is_size() { Kind::Size } else { Kind::Integer(0, i64::MAX) };
    let number = kinds::canonical(kind, value).ok().and_then(|value| value.as_u64());
    number.map(Ceiling::At).ok_or_else(|| {
        let (noun, example) = if resource.is_size() { ("size", "\"64M\"") } else { ("whole number", "4096") };
        Misfit::new(
            format!("a limit: `{}` is no {noun}", resource.name()),
            format!("write a {noun} such as {example}, or \"unlimited\""),
        )
    })
}

/// A share of the processors, in percent of one.
pub(crate) fn cpus(value: &Value) -> Result<Value, Misfit> {
    let share = match value {
        Value::String(text) => Cpus::parse(text),
        other => other.as_f64().and_then(Cpus::of),
    };
    share.map(|share| json!(share)).ok_or_else(|| {
        Misfit::new(
            format!("a share of the processors of at least {}", Cpus::LEAST),
            "write a number of processors such as 1.5, or percent of one such as \"50%\"",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::spec::Rlimits;

    #[test]
    fn every_form_of_a_limit_is_one_and_its_canonical_form_stays() {
        let given = json!({
            "NOFILE": 65536, "RLIMIT_CORE": "0", "stack": "8M", "nproc": "unlimited", "as": null,
            "memlock": {"soft": "64K", "hard": "infinity"}, "cpu": {"hard": 60}, "fsize": {"soft": "1G", "hard": null},
        });
        let wanted = json!({
            "nofile": {"soft": 65536, "hard": 65536}, "core": {"soft": 0, "hard": 0},
            "stack": {"soft": 8 << 20, "hard": 8 << 20}, "nproc": {"soft": "unlimited", "hard": "unlimited"},
            "memlock": {"soft": 64 << 10, "hard": "unlimited"}, "cpu": {"hard": 60}, "fsize": {"soft": 1 << 30},
        });
        let canonical = rlimits(&given).expect("limits");
        assert_eq!(canonical, wanted);
        assert_eq!(rlimits(&canonical).expect("limits"), wanted);
        let typed: Rlimits = serde_json::from_value(canonical).expect("the type of the field");
        assert_eq!(json!(typed), wanted);
    }

    #[test]
    fn what_is_no_limit_is_refused_by_name() {
        for (wrong, expected) in [
            (json!(1), "a map of limits"),
            (json!({"files": 1}), "a map of limits: there is no limit `files`"),
            (json!({"nofile": "many"}), "a limit: `nofile` is no whole number"),
            (json!({"nofile": "1K"}), "a limit: `nofile` is no whole number"),
            (json!({"nofile": -1}), "a limit: `nofile` is no whole number"),
            (json!({"stack": "much"}), "a limit: `stack` is no size"),
            (json!({"nofile": {}}), "complete: `nofile` says neither soft nor hard"),
            (json!({"nofile": {"low": 1}}), "a limit: there is no `low` in `nofile`"),
            (
                json!({"nofile": {"soft": "unlimited", "hard": 9}}),
                "possible: in `nofile` soft (unlimited) is more than hard (9)",
            ),
            (json!({"nofile": 1, "NOFILE": 2}), "clear: it says `nofile` twice"),
        ] {
            let misfit = rlimits(&wrong).expect_err(&wrong.to_string());
            assert_eq!(misfit.expected, expected);
            assert!(misfit.help.starts_with("write "), "{misfit:?}");
        }
    }

    #[test]
    fn a_share_of_the_processors_is_percent_of_one() {
        for (given, wanted) in [(json!(1.5), "150%"), (json!(2), "200%"), (json!("50%"), "50%"), (json!("0.5"), "50%")]
        {
            let share = cpus(&given).expect("a share");
            assert_eq!(share, json!(wanted));
            assert_eq!(cpus(&share).expect("a share"), share);
        }
        for wrong in [json!(0), json!(-1), json!("half"), json!(true), json!([])] {
            assert_eq!(cpus(&wrong).expect_err("no share").expected, "a share of the processors of at least 1%");
        }
    }
}
