//! Actions that programs were told to carry out, and who waits for what they return.

use super::Answers;
use baton_core::units::{Incarnation, InstanceId};
use serde_json::Value;
use std::collections::BTreeMap;

struct Asked {
    action: String,
    waiting: BTreeMap<Incarnation, InstanceId>,
    answers: Box<dyn Answers>,
}

/// All of them, the earliest first.
#[derive(Default)]
pub(super) struct Asking(Vec<Asked>);

impl Asking {
    /// These lives were told to carry out an action.
    pub(super) fn begin(
        &mut self,
        action: String,
        waiting: BTreeMap<Incarnation, InstanceId>,
        answers: Box<dyn Answers>,
    ) {
        // An action may never answer; who has gone away does not wait for it.
        self.0.retain(|asked| asked.answers.is_open());
        self.0.push(Asked { action, waiting, answers });
    }

    /// A life has answered. The first who waits for it gets it.
    pub(super) fn answered(&mut self, life: Incarnation, action: &str, value: &Value) {
        let Some(asked) = self.0.iter_mut().find(|asked| asked.action == action && asked.waiting.contains_key(&life))
        else {
            return;
        };
        if let Some(id) = asked.waiting.remove(&life) {
            asked.answers.answer(id, Some(value.clone()));
        }
        self.0.retain(|asked| !asked.waiting.is_empty());
    }

    /// A life answers nothing more.
    pub(super) fn ended(&mut self, life: Incarnation) {
        for asked in &mut self.0 {
            if let Some(id) = asked.waiting.remove(&life) {
                asked.answers.answer(id, None);
            }
        }
        self.0.retain(|asked| !asked.waiting.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::mpsc::{Sender, channel};

    struct Client(u8, Sender<(u8, InstanceId, Option<Value>)>, bool);

    impl Answers for Client {
        fn answer(&self, id: InstanceId, value: Option<Value>) {
            self.1.send((self.0, id, value)).unwrap();
        }

        fn is_open(&self) -> bool {
            self.2
        }
    }

    #[test]
    fn each_answer_goes_to_the_first_who_waits_for_it_and_a_death_is_an_answer() {
        let (sender, answers) = channel();
        let mut asking = Asking::default();
        let lives = || BTreeMap::from([(Incarnation(5), InstanceId(0)), (Incarnation(6), InstanceId(1))]);
        for client in [1, 2] {
            asking.begin("go".into(), lives(), Box::new(Client(client, sender.clone(), true)));
        }
        asking.answered(Incarnation(5), "other", &json!(0));
        asking.answered(Incarnation(5), "go", &json!("a"));
        asking.answered(Incarnation(5), "go", &json!("b"));
        asking.answered(Incarnation(5), "go", &json!("c"));
        asking.ended(Incarnation(6));
        let seen: Vec<_> = answers.try_iter().collect();
        let zero = |client, value: &str| (client, InstanceId(0), Some(json!(value)));
        assert_eq!(seen, [zero(1, "a"), zero(2, "b"), (1, InstanceId(1), None), (2, InstanceId(1), None)]);
        assert!(asking.0.is_empty());
        asking.begin("never".into(), lives(), Box::new(Client(3, sender.clone(), false)));
        asking.begin("never".into(), lives(), Box::new(Client(4, sender, true)));
        assert_eq!(asking.0.len(), 1);
    }
}
