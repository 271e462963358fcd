//! What every scenario gets: the contenders, the number of rounds, and measuring in turn.

use crate::contender::{Contender, Kind};
use crate::failure::Failure;
use crate::manager::Manager;
use crate::options::Options;
use crate::row::Samples;
use std::path::PathBuf;

/// The contenders and how often to measure.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Baton, then PM2 where there is one.
    pub(crate) contenders: Vec<Contender>,
    /// Rounds.
    pub(crate) runs: u32,
    /// Where homes are made.
    pub(crate) directory: PathBuf,
}

impl Bench {
    /// Finds the contenders.
    pub(crate) fn new(options: &Options) -> Result<Bench, Failure> {
        let mut contenders = vec![Contender::baton(options)?];
        if !options.alone {
            contenders.extend(Contender::pm2(options)?);
        }
        let directory = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        let directory = std::path::absolute(&directory).map_err(Failure::system("finding the directory for homes"))?;
        Ok(Bench { contenders, runs: options.runs, directory })
    }

    /// Measures each contender once in every round, in turn: what else the machine does then falls on both alike.
    /// The result has one set of samples for each contender, in their order.
    pub(crate) fn in_turn(
        &self,
        rounds: u32,
        mut measure: impl FnMut(usize, u32) -> Result<f64, Failure>,
    ) -> Result<Vec<Samples>, Failure> {
        let mut samples = vec![Samples::default(); self.contenders.len()];
        for round in 0..rounds {
            for (index, own) in samples.iter_mut().enumerate() {
                own.add(measure(index, round)?);
            }
        }
        Ok(samples)
    }

    /// A manager with a fresh home and a running daemon for each contender.
    pub(crate) fn managers(&self) -> Result<Vec<Manager<'_>>, Failure> {
        self.contenders.iter().map(|contender| Manager::running(contender, &self.directory)).collect()
    }

    /// Whether PM2 takes part.
    pub(crate) fn pm2(&self) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.kind == Kind::Pm2)
    }
}
