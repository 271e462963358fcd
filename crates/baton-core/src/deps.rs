//! Which app needs which: a pure graph over definitions, with apps as its nodes.
//!
//! A name means the app of that name, or else all apps of the unit of that name. Several slots of one app are one
//! node with the edges of all of them.

use crate::spec::{AppSpec, Condition, Dependency};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What is wrong with the dependencies of a set of apps.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyError {
    /// A name that is neither an app nor a unit.
    #[error("app `{app}` depends on `{on}`, and there is no app or unit of that name")]
    Unknown {
        /// Which app.
        app: String,
        /// The name.
        on: String,
    },
    /// Apps that need each other; the first name stands at the end again.
    #[error("apps depend on each other in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
    /// An app that is waited for to be healthy, and nobody asks whether it is.
    #[error("app `{app}` waits for `{on}` to be healthy, and that has no `health`")]
    NeverHealthy {
        /// Which app.
        app: String,
        /// The app without a probe.
        on: String,
    },
    /// A job that is waited for as an app that runs all the time.
    #[error("app `{app}` waits for `{on}` with the condition `{condition}`, and that is a job, which runs at times")]
    Job {
        /// Which app.
        app: String,
        /// The job.
        on: String,
        /// What is waited for.
        condition: Condition,
    },
    /// An app that is waited for to exit, and is made to run for ever.
    #[error("app `{app}` waits for `{on}` to have exited, and that is not a oneshot")]
    NeverExits {
        /// Which app.
        app: String,
        /// The app that runs for ever.
        on: String,
    },
}

/// The graph of a set of definitions.
#[derive(Clone, Debug, Default)]
pub struct Graph<'a> {
    apps: BTreeMap<&'a str, Vec<&'a AppSpec>>,
    units: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Graph<'a> {
    /// The graph of these definitions; several of one name are one app.
    pub fn of(specs: impl IntoIterator<Item = &'a AppSpec>) -> Graph<'a> {
        let mut graph = Graph::default();
        for spec in specs {
            graph.apps.entry(&spec.name).or_default().push(spec);
            graph.units.entry(&spec.namespace).or_default().insert(&spec.name);
        }
        graph
    }

    /// The apps that a name means; none when it is unknown.
    pub fn resolve(&self, name: &str) -> Vec<&'a str> {
        match (self.apps.get_key_value(name), self.units.get(name)) {
            (Some((app, _)), _) => vec![app],
            (None, Some(unit)) => unit.iter().copied().collect(),
            (None, None) => Vec::new(),
        }
    }

    fn dependencies(&self, app: &str) -> impl Iterator<Item = &'a Dependency> {
        self.apps.get(app).into_iter().flatten().flat_map(|spec| &spec.depends_on)
    }

    /// The apps that an app needs directly; what others run is none.
    pub fn needs(&self, app: &str) -> BTreeSet<&'a str> {
        let of_the_list = self.dependencies(app).filter(|dependency| dependency.external.is_none());
        of_the_list.flat_map(|dependency| self.resolve(&dependency.on)).collect()
    }

    /// These apps and everything that they need, directly or not.
    pub fn closure<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> BTreeSet<&'n str>
    where
        'a: 'n,
    {
        let mut open: Vec<&str> = names.into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if seen.insert(name) {
                open.extend(self.needs(name));
            }
        }
        seen
    }

    /// For each app that one of these needs, directly or not, those of them that need it.
    pub fn dependents<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> BTreeMap<&'n str, BTreeSet<&'n str>>
    where
        'a: 'n,
    {
        let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in names {
            for needed in self.closure(self.needs(name)) {
                all.entry(needed).or_default().insert(name);
            }
        }
        all
    }

    /// A circle among these apps and what they need, if there is one: each app needs the next, and the first stands at
    /// the end again.
    pub fn cycle<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<Vec<String>>
    where
        'a: 'n,
    {
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for root in names {
            // Not by recursion: a chain may be as long as the list.
            let mut path: Vec<(&str, Vec<&str>)> = Vec::new();
            let mut next = (!done.contains(root)).then_some(root);
            loop {
                if let Some(name) = next.take() {
                    if let Some(at) = path.iter().position(|(known, _)| *known == name) {
                        let circle = path[at..].iter().map(|(known, _)| *known).chain([name]);
                        return Some(circle.map(str::to_owned).collect());
                    }
                    if !done.contains(name) {
                        path.push((name, self.needs(name).into_iter().rev().collect()));
                    }
                }
                let Some((name, rest)) = path.last_mut() else { break };
                next = rest.pop();
                if next.is_none() {
                    done.insert(name);
                    path.pop();
                }
            }
        }
        None
    }

    /// Whether these apps, with what they need, can be started at all.
    ///
    /// # Errors
    /// When one of them needs itself or a name that is unknown, or an app to have exited that never does, or
    /// to be healthy that is never asked.
    pub fn check<'n>(&self, names: impl IntoIterator<Item = &'n str> + Clone) -> Result<(), DependencyError>
    where
        'a: 'n,
    {
        self.acyclic(names.clone())?;
        for app in self.closure(names) {
            for dependency in self.dependencies(app).filter(|dependency| dependency.external.is_none()) {
                if self.resolve(&dependency.on).is_empty() {
                    return Err(DependencyError::Unknown { app: app.into(), on: dependency.on.clone() });
                }
            }
            self.attainable(app)?;
        }
        Ok(())
    }

    /// Whether what an app waits for can come, as far as these definitions say: a name that is not among them may be
    /// known elsewhere.
    ///
    /// # Errors
    /// When it waits for an app to have exited that never does, or to be healthy that is never asked, or for what only the
    /// next run of a job could bring.
    pub fn attainable(&self, app: &str) -> Result<(), DependencyError> {
        for dependency in self.dependencies(app).filter(|dependency| dependency.external.is_none()) {
            let on = self.resolve(&dependency.on);
            let first = |is: fn(&AppSpec) -> bool| {
                let found = on.iter().find(|name| self.apps.get(**name).into_iter().flatten().any(|spec| is(spec)));
                found.map(|name| (*name).to_owned())
            };
            let (app, condition) = (app.to_owned(), &dependency.condition);
            let at_rest = matches!(condition, Condition::Started | Condition::Ready);
            if let Some(on) = first(|spec| spec.schedule.is_some()).filter(|_| !at_rest) {
                return Err(DependencyError::Job { app, on, condition: condition.clone() });
            }
            if let Some(on) = first(AppSpec::runs_for_ever).filter(|_| *condition == Condition::Exited) {
                return Err(DependencyError::NeverExits { app, on });
            }
            let unexamined = first(|spec| spec.health.is_none() && !spec.oneshot);
            if let Some(on) = unexamined.filter(|_| *condition == Condition::Healthy) {
                return Err(DependencyError::NeverHealthy { app, on });
            }
        }
        Ok(())
    }

    /// Whether none of these apps is in a circle, nor needs one that is.
    ///
    /// # Errors
    /// With the path, when there is a circle.
    pub fn acyclic<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Result<(), DependencyError>
    where
        'a: 'n,
    {
        self.cycle(names).map_or(Ok(()), |path| Err(DependencyError::Cycle(path)))
    }
}
