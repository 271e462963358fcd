//! A plan as text and as JSON. Values of variables whose names tell of a secret are masked in both.

use crate::cli::session::Session;
use baton_config::Skipped;
use baton_core::proto::{Done, Outcome};
use baton_core::spec::{Change, ChangeClass};
use baton_core::sync::{Deed, Drift, Plan, Step, Taken, paths};
use baton_pm2::mask;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Longest value that is shown whole.
const LONGEST: usize = 60;

/// The sign in front of a step.
fn sign(step: &Step) -> char {
    match step.deed {
        Deed::Create => '+',
        Deed::Restart | Deed::Live | Deed::Scale | Deed::Start | Deed::Rename { .. } => '~',
        Deed::Remove => '-',
        Deed::Orphan => '?',
        Deed::Keep if step.taken.is_some() => '~',
        Deed::Keep if step.drift.is_empty() => '=',
        Deed::Keep => '!',
    }
}

/// The word for what is done.
fn word(step: &Step) -> &'static str {
    match step.deed {
        Deed::Keep if step.taken.is_some() => "adopt",
        Deed::Create => "create",
        Deed::Restart => "restart",
        Deed::Live => "live",
        Deed::Scale => "scale",
        Deed::Start => "start",
        Deed::Rename { .. } => "rename",
        Deed::Remove => "remove",
        Deed::Orphan => "orphan",
        Deed::Keep => "keep",
    }
}

/// The plan, an app a line, what differs below it.
pub(crate) fn text(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for step in &plan.steps {
        lines.push(format!("{} {}: {}", sign(step), step.app, what(step)));
        lines.extend(step.fields.iter().map(|change| format!("    {}", field(change))));
    }
    lines
}

fn what(step: &Step) -> String {
    let mut text = match &step.deed {
        Deed::Create => format!("create, {}", instances(step.want)),
        Deed::Restart => "change (restart)".into(),
        Deed::Live => "change (live)".into(),
        Deed::Scale => "scale".into(),
        Deed::Start => "start".into(),
        Deed::Rename { from } => format!("rename from {from} (restart)"),
        Deed::Remove => format!("remove, {}", instances(step.have)),
        Deed::Orphan => "orphan: not in the source any more; --prune removes it".into(),
        Deed::Keep if step.taken.is_some() => "adopt".into(),
        Deed::Keep => "keep".into(),
    };
    let counts = !matches!(step.deed, Deed::Create | Deed::Remove | Deed::Orphan | Deed::Keep);
    if counts && step.have != step.want {
        text += &format!(", {} → {}", step.have, instances(step.want));
    }
    if step.stays_down && matches!(step.deed, Deed::Restart | Deed::Live | Deed::Rename { .. }) {
        text += ", stays stopped";
    }
    if let Some(taken) = &step.taken {
        text += &match taken {
            Taken::FromNobody => ", it belonged to no source".to_owned(),
            Taken::From(owner) => format!(", it belonged to {owner}"),
        };
    }
    if let Some(why) = &step.refused {
        text += &format!(": not done, {why}");
    }
    if !step.drift.is_empty() {
        let told: Vec<String> = step.drift.iter().map(|drift| told(drift, step)).collect();
        text += &format!(" (drift: {})", told.join("; "));
    }
    text
}

/// Why apps are not changed though their source says so, by app.
pub(crate) fn refused(plan: &Plan) -> Vec<String> {
    let steps = plan.steps.iter().filter_map(|step| Some((&step.app, step.refused.as_ref()?)));
    steps.map(|(app, why)| format!("{app}: {why}; the old one still runs")).collect()
}

fn told(drift: &Drift, step: &Step) -> String {
    match drift {
        Drift::Scaled => format!("{drift}, {} instead of {}", step.have, step.want),
        Drift::Stopped | Drift::Deleted | Drift::Shell | Drift::Fields(_) => drift.to_string(),
    }
}

fn instances(count: u32) -> String {
    if count == 1 { "1 instance".into() } else { format!("{count} instances") }
}

fn field(change: &Change) -> String {
    if change.field == "shell" {
        return "environment of the shell: as it was synced".into();
    }
    format!("{}: {} → {}", change.field, shown(change, &change.old), shown(change, &change.new))
}

/// A value as it may be shown.
fn shown(change: &Change, value: &Value) -> String {
    let text = match safe(change, value) {
        Value::Null => return "(none)".into(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    // A line of the plan is a line, and leaves the terminal as it is.
    let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// A value without secrets.
fn safe(change: &Change, value: &Value) -> Value {
    let name = change.field.rsplit('.').next().unwrap_or(&change.field);
    match value {
        Value::String(text) => mask::value(name, text).into(),
        Value::Array(list) if change.field == "args" => {
            let words: Option<Vec<String>> = list.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            words.map_or_else(|| value.clone(), |words| mask::arguments(&words).into())
        }
        other => other.clone(),
    }
}

/// The steps that do something, an app a line, with the names of what differs.
pub(crate) fn brief(plan: &Plan) -> Vec<String> {
    let done = plan.steps.iter().filter(|step| !step.is_nothing());
    let line = |step: &Step| {
        let fields = if step.fields.is_empty() { String::new() } else { format!(": {}", paths(&step.fields)) };
        format!("{} {}{fields}", sign(step), step.app)
    };
    done.map(line).collect()
}

/// What differs, as a deed.
pub(crate) fn deed_of(fields: &[Change], scaled: bool) -> Deed {
    if fields.iter().any(|change| change.class == ChangeClass::Restart) {
        Deed::Restart
    } else if !fields.is_empty() {
        Deed::Live
    } else if scaled {
        Deed::Scale
    } else {
        Deed::Keep
    }
}

/// How many of what, for the last line.
pub(crate) fn summary(plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &plan.steps {
        let name = match &step.deed {
            Deed::Create => "to create",
            Deed::Restart | Deed::Rename { .. } => "to restart",
            Deed::Live => "to change live",
            Deed::Scale => "to scale",
            Deed::Start => "to start",
            Deed::Remove => "to remove",
            Deed::Orphan => "orphaned",
            Deed::Keep if step.taken.is_some() => "to adopt",
            Deed::Keep => "to keep",
        };
        *counts.entry(name).or_default() += 1;
    }
    let order = [
        "to create",
        "to restart",
        "to change live",
        "to scale",
        "to start",
        "to adopt",
        "to remove",
        "orphaned",
        "to keep",
    ];
    let parts = order.iter().filter_map(|name| Some(format!("{} {name}", counts.get(name)?)));
    let parts: Vec<String> = parts.collect();
    if plan.is_empty() {
        let rest = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
        return format!("nothing to do{rest}");
    }
    parts.join(", ")
}

/// What a directory holds and was left aside.
pub(crate) fn skipped(skipped: &[Skipped]) -> Vec<String> {
    skipped.iter().map(|skipped| format!("skipped {skipped}")).collect()
}

/// The plan as JSON.
pub(crate) fn document(plan: &Plan, skipped: &[Skipped]) -> Value {
    let change = |change: &Change| {
        let class = match change.class {
            ChangeClass::Live => "live",
            ChangeClass::Restart => "restart",
            ChangeClass::Scale => "scale",
            ChangeClass::Context => "context",
        };
        json!({ "field": change.field, "class": class, "old": safe(change, &change.old), "new": safe(change, &change.new) })
    };
    let steps = plan.steps.iter().map(|step| {
        let mut entry = json!({
            "app": step.app,
            "action": word(step),
            "instances": { "now": step.have, "wished": step.want },
            "fields": step.fields.iter().map(change).collect::<Vec<_>>(),
            "drift": step.drift.iter().map(|drift| told(drift, step)).collect::<Vec<_>>(),
            "stays_stopped": step.stays_down,
        });
        if let Deed::Rename { from } = &step.deed {
            entry["from"] = from.as_str().into();
        }
        if let Some(taken) = &step.taken {
            let owner = if let Taken::From(owner) = taken { Some(owner) } else { None };
            entry["adopted"] = json!({ "from": owner });
        }
        if let Some(why) = &step.refused {
            entry["refused"] = why.as_str().into();
        }
        entry
    });
    json!({
        "source": plan.source,
        "changes": !plan.is_empty(),
        "refused": plan.refusal.as_ref().map(ToString::to_string),
        "steps": steps.collect::<Vec<_>>(),
        "skipped": skipped.iter().map(|one| json!({ "path": one.path, "why": one.why })).collect::<Vec<_>>(),
    })
}

/// What became of each step that was to do something.
pub(crate) fn results(plan: &Plan, outcomes: &[Outcome], session: &Session) {
    for step in plan.steps.iter().filter(|step| !step.is_nothing()) {
        let own: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.name == step.app).collect();
        let mut done: Vec<String> = Vec::new();
        for outcome in &own {
            let word = match &outcome.done {
                Done::Launched => "created",
                Done::Restarted | Done::RestartedInstead if step.deed == Deed::Start => "started",
                Done::Restarted | Done::RestartedInstead => "restarted",
                Done::Reloaded => "reloaded",
                Done::Stopped => "stopped",
                Done::Deleted => "removed",
                Done::Reset => "reset",
                Done::Ran => "run",
                Done::Failed(_) => "failed",
                Done::Left(_) => "not attempted",
            };
            done.push(format!("{word} ({})", outcome.id));
        }
        let result = match (done.is_empty(), step.stays_down) {
            (true, _) if step.deed == Deed::Keep => "adopted".into(),
            (true, true) => "changed, stays stopped".into(),
            (true, false) => "changed, its processes stay".into(),
            (false, _) => done.join(", "),
        };
        session.line(&format!("{} {}: {result}", sign(step), step.app));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(field: &str, old: Value, new: Value) -> Change {
        Change { field: field.into(), class: ChangeClass::Restart, old, new }
    }

    fn step(deed: Deed, fields: Vec<Change>) -> Step {
        Step {
            app: "api".into(),
            deed,
            fields,
            have: 1,
            want: 2,
            drift: Vec::new(),
            stays_down: false,
            taken: None,
            refused: None,
        }
    }

    #[test]
    fn secrets_are_masked_in_text_and_json() {
        let fields = vec![
            change("env.API_TOKEN", json!("old-secret"), json!("new-secret")),
            change("env.LEVEL", Value::Null, json!("low")),
        ];
        let plan = Plan { source: "/w/x.cljs".into(), steps: vec![step(Deed::Restart, fields)], refusal: None };
        let text = text(&plan);
        assert_eq!(
            text,
            [
                "~ api: change (restart), 1 → 2 instances",
                "    env.API_TOKEN: ******** → ********",
                "    env.LEVEL: (none) → low",
            ]
        );
        let document = document(&plan, &[]);
        assert!(!document.to_string().contains("secret"), "{document}");
        assert_eq!(document["steps"][0]["fields"][1]["old"], Value::Null);
    }

    #[test]
    fn the_summary_counts_and_says_when_there_is_nothing() {
        let plan = |deeds: &[Deed]| Plan {
            source: String::new(),
            steps: deeds.iter().map(|deed| step(deed.clone(), Vec::new())).collect(),
            refusal: None,
        };
        assert_eq!(summary(&plan(&[Deed::Keep, Deed::Create, Deed::Keep])), "1 to create, 2 to keep");
        assert_eq!(summary(&plan(&[Deed::Keep, Deed::Orphan])), "nothing to do (1 orphaned, 1 to keep)");
        assert_eq!(summary(&plan(&[])), "nothing to do");
    }
}
