//! How definitions are sent: without what has its default, and with each distinct environment of a shell once, for a
//! hundred apps that one shell started have one. For `#[serde(with = "shared")]` on whatever has a definition in it,
//! whose own member is written by [`definition`].

use super::{Saved, Wish};
use crate::spec::{AppSpec, Environment, Lean};
use crate::world::InstanceView;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What has a definition in it, or may have.
pub(crate) trait Defined {
    /// The definition.
    fn spec(&self) -> Option<&AppSpec>;
    /// The definition, to be changed.
    fn spec_mut(&mut self) -> Option<&mut AppSpec>;
}

impl Defined for Wish {
    fn spec(&self) -> Option<&AppSpec> {
        Some(&self.spec)
    }
    fn spec_mut(&mut self) -> Option<&mut AppSpec> {
        Some(&mut self.spec)
    }
}

impl Defined for Saved {
    fn spec(&self) -> Option<&AppSpec> {
        Some(&self.spec)
    }
    fn spec_mut(&mut self) -> Option<&mut AppSpec> {
        Some(&mut self.spec)
    }
}

impl Defined for InstanceView {
    fn spec(&self) -> Option<&AppSpec> {
        self.spec.as_deref()
    }
    fn spec_mut(&mut self) -> Option<&mut AppSpec> {
        self.spec.as_mut().map(Arc::make_mut)
    }
}

impl<T: Defined> Defined for Box<T> {
    fn spec(&self) -> Option<&AppSpec> {
        T::spec(self)
    }
    fn spec_mut(&mut self) -> Option<&mut AppSpec> {
        T::spec_mut(self)
    }
}

/// Each item with the place of its environment in the list of environments.
#[derive(serde::Serialize, serde::Deserialize)]
struct Shared<T> {
    environments: Vec<Arc<Environment>>,
    items: Vec<(usize, T)>,
}

pub(crate) fn serialize<T: Defined + Serialize, S: Serializer>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let mut environments = Vec::new();
    let mut places: BTreeMap<Arc<Environment>, usize> = BTreeMap::new();
    let none = Arc::default();
    let items = items.iter().map(|item| {
        let environment = item.spec().map_or(&none, |spec| &spec.base_env);
        // Mostly it is the very one of the item before, and need not be compared.
        let last = environments.last().filter(|last| Arc::ptr_eq(last, environment));
        let known = last.map(|_| environments.len() - 1).or_else(|| places.get(environment).copied());
        let place = known.unwrap_or_else(|| {
            environments.push(environment.clone());
            places.insert(environment.clone(), environments.len() - 1);
            environments.len() - 1
        });
        (place, item)
    });
    let items = items.collect();
    Shared { environments, items }.serialize(serializer)
}

pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Defined + Deserialize<'de>,
    D: Deserializer<'de>,
{
    let Shared { environments, items } = Shared::deserialize(deserializer)?;
    let items = items.into_iter().map(|(place, mut item): (usize, T)| {
        let environment = environments.get(place).ok_or_else(|| D::Error::custom("an environment is missing"))?;
        if let Some(spec) = item.spec_mut() {
            spec.base_env = environment.clone();
        }
        Ok(item)
    });
    items.collect()
}

/// The member of an item that is its definition.
pub(crate) fn definition<S: Serializer>(spec: &AppSpec, serializer: S) -> Result<S::Ok, S::Error> {
    Lean(spec).serialize(serializer)
}

/// [`definition`] where there may be none.
pub(crate) fn optional_definition<S: Serializer>(
    spec: &Option<Arc<AppSpec>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    spec.as_deref().map(Lean).serialize(serializer)
}

/// The same for a single item.
pub(super) mod single {
    use super::{Defined, Deserialize, Deserializer, Error, Serialize, Serializer};

    pub(in super::super) fn serialize<T: Defined + Serialize, S: Serializer>(
        item: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::serialize(std::slice::from_ref(item), serializer)
    }

    pub(in super::super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Defined + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        super::deserialize(deserializer)?.pop().ok_or_else(|| D::Error::custom("there is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Command, Order, Roll, Wait};
    use crate::units::Millis;

    fn wish(name: &str, home: &str) -> Wish {
        let base_env = Arc::new(Environment::from([("HOME".to_owned(), home.to_owned())]));
        Wish { spec: AppSpec { name: name.into(), base_env, ..AppSpec::default() }, count: 1, brought: false }
    }

    #[test]
    fn equal_environments_are_written_once_and_read_as_one() {
        let apps = vec![wish("a", "/home/u"), wish("b", "/root"), wish("c", "/home/u")];
        let text = serde_json::to_string(&Command::Define {
            apps: apps.clone(),
            order: Order::Dependencies,
            wait: Wait::Spawned,
        })
        .unwrap();
        assert_eq!(text.matches("/home/u").count(), 1, "{text}");
        let Command::Define { apps: read, .. } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!(read, apps);
        assert!(Arc::ptr_eq(&read[0].spec.base_env, &read[2].spec.base_env));
        assert!(!text.contains("kill_timeout"), "it has its default: {text}");
        assert!(serde_json::from_str::<Command>(&text.replace("[1,{", "[2,{")).is_err(), "there are two");
    }

    #[test]
    fn definitions_to_reload_are_sent_with_their_environment() {
        let apps = vec![wish("a", "/home/u")];
        let roll = Roll { overlap: true, parallel: 1 };
        let replace = Command::Replace { apps: apps.clone(), roll, order: Order::Dependencies, wait: Wait::Spawned };
        let text = serde_json::to_string(&replace).unwrap();
        let Command::Replace { apps: read, .. } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!(read, apps);
    }

    #[test]
    fn one_definition_is_sent_with_its_environment() {
        let mut app = Box::new(wish("a", "/home/u"));
        app.spec.kill_timeout = Millis(7);
        let launch = Command::Launch { app: app.clone(), force: false, wait: Wait::Spawned };
        let text = serde_json::to_string(&launch).unwrap();
        let Command::Launch { app: read, .. } = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        assert_eq!(read, app);
    }
}
