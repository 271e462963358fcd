//! From no daemon to the first answer: `jlist` in an empty home.

use super::milliseconds;
use crate::bench::Bench;
use crate::failure::Failure;
use crate::manager::Manager;
use crate::row::{Row, Target, Unit};

/// Measures it.
pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>, Failure> {
    let samples = bench.in_turn(bench.runs, |contender, _| {
        let mut manager = Manager::fresh(&bench.contenders[contender], &bench.directory)?;
        let answer = manager.run(["jlist"])?;
        manager.meet()?;
        if !answer.stdout.contains("[]") {
            return Err(manager.unexpected(format!("an empty home has the list {}", answer.stdout)));
        }
        manager.end()?;
        Ok(milliseconds(answer.took))
    })?;
    Ok(vec![Row::new("no daemon to first answer (`jlist`)", Unit::Milliseconds, samples, Target::Part(20.0))])
}
