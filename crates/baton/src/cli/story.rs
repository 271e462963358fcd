//! Changes of state as people tell them: each thing that happened once, with the way that the app went because of it.

use baton_core::units::WallTime;
use baton_core::world::{Cause, InstanceView, Transition};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Story<'a> {
    /// When.
    pub(super) at: WallTime,
    /// The states that followed, as PM2's words.
    pub(super) way: Vec<&'a str>,
    /// Why.
    pub(super) cause: &'a Cause,
}

/// That a program runs, or is ready, is no cause: what led to it is.
pub(super) fn is_cause(cause: &Cause) -> bool {
    !matches!(cause, Cause::Spawned | Cause::Stable | Cause::Ready | Cause::Backoff(_))
}

/// What has happened to a slot, oldest first. The view must hold its history.
pub(super) fn stories(view: &InstanceView) -> Vec<Story<'_>> {
    let mut stories: Vec<Story<'_>> = Vec::new();
    for Transition { at, to, cause } in &view.transitions {
        match stories.last_mut() {
            Some(last) if !is_cause(cause) || (last.cause == cause && !last.way.contains(&to.as_str())) => {
                last.way.push(to);
            }
            _ => stories.push(Story { at: *at, way: vec![to], cause }),
        }
    }
    stories
}

/// A moment as a clock here shows it.
pub(super) fn local(at: WallTime, zone: &TimeZone) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).map_or_else(
        |_| at.0.to_string(),
        |moment| moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Of a slot's history those changes that were not in an older copy of it.
pub(super) fn since<'a>(old: &[Transition], new: &'a [Transition]) -> &'a [Transition] {
    let fresh = (0..=new.len()).find(|fresh| old.ends_with(&new[..new.len() - fresh]));
    &new[new.len() - fresh.unwrap_or(new.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_core::world::{Exit, Verb};

    fn transition(at: u64, to: &str, cause: Cause) -> Transition {
        Transition { at: WallTime(at), to: to.into(), cause }
    }

    #[test]
    fn what_is_new_in_a_history_of_which_the_beginning_was_forgotten_is_found() {
        let all: Vec<Transition> = (0..6).map(|at| transition(at, "online", Cause::Spawned)).collect();
        assert_eq!(since(&all[..4], &all[..4]), []);
        assert_eq!(since(&all[..4], &all[2..]), &all[4..]);
        assert_eq!(since(&[], &all[..2]), &all[..2]);
        assert_eq!(since(&all[..2], &all[3..]), &all[3..], "more has happened than is remembered");
    }

    #[test]
    fn a_cause_is_told_once_with_the_way_that_followed() {
        let spec = baton_core::spec::AppSpec::default();
        let id = baton_core::units::InstanceId(0);
        let mut slot = baton_core::world::Instance::new(id, 0, spec.into(), WallTime(0), &Default::default());
        let asked = Cause::Operator(Verb::Start);
        let crash = Cause::Exited(Exit::Code(1));
        for (at, to, cause) in [
            (1, "launching", asked.clone()),
            (2, "online", Cause::Spawned),
            (3, "waiting restart", crash.clone()),
            (4, "launching", crash.clone()),
            (5, "online", Cause::Spawned),
            (6, "waiting restart", crash.clone()),
        ] {
            slot.note(to, cause, WallTime(at));
        }
        let view = slot.view(baton_core::units::Now::default(), baton_core::world::Detail::History);
        let told: Vec<(u64, String, String)> =
            stories(&view).iter().map(|s| (s.at.0, s.way.join(" "), s.cause.to_string())).collect();
        let crash = "the process exited with code 1".to_owned();
        assert_eq!(
            told,
            [
                (1, "launching online".into(), "start was asked for".into()),
                (3, "waiting restart launching online".into(), crash.clone()),
                (6, "waiting restart".into(), crash),
            ]
        );
    }
}
