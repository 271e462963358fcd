//! One line of the result: what was measured, for each contender, and what was wished for.

use serde::Serialize;

/// Measurements of one thing.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub(crate) fn add(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle one; the mean of both middle ones when their number is even. `None` without samples, as below.
    pub(crate) fn median(&self) -> Option<f64> {
        let (above, below) = (*self.0.get(self.0.len() / 2)?, *self.0.get(self.0.len().checked_sub(1)? / 2)?);
        Some(f64::midpoint(above, below))
    }

    /// The least.
    pub(crate) fn least(&self) -> Option<f64> {
        self.0.first().copied()
    }

    /// The greatest.
    pub(crate) fn greatest(&self) -> Option<f64> {
        self.0.last().copied()
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Samples {
        let mut all = Samples::default();
        samples.into_iter().for_each(|sample| all.add(sample));
        all
    }
}

/// What the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Mebibytes.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Megabytes in a second.
    #[serde(rename = "MB/s")]
    MegabytesPerSecond,
    /// Seconds of processor time for a gigabyte.
    #[serde(rename = "CPU s/GB")]
    ProcessorPerGigabyte,
    /// Of one processor.
    #[serde(rename = "%")]
    Percent,
    /// Requests of a client.
    #[serde(rename = "requests")]
    Requests,
    /// Requests answered in a second.
    #[serde(rename = "requests/s")]
    RequestsPerSecond,
    /// Microseconds of processor time for a connection.
    #[serde(rename = "CPU µs")]
    ProcessorPerConnection,
    /// How often an app was started again.
    #[serde(rename = "restarts")]
    Restarts,
    /// How often a thread went to sleep, and so was woken before.
    #[serde(rename = "wake-ups")]
    WakeUps,
}

impl Unit {
    /// Its sign.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Mebibytes => "MiB",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::ProcessorPerGigabyte => "CPU s/GB",
            Unit::Percent => "%",
            Unit::Requests => "requests",
            Unit::RequestsPerSecond => "requests/s",
            Unit::ProcessorPerConnection => "CPU µs",
            Unit::Restarts => "restarts",
            Unit::WakeUps => "wake-ups",
        }
    }
}

/// What was wished for, about the medians.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    /// Baton's figure is at most this part of the other's: 1/n.
    Part(f64),
    /// Baton's figure is at least so many times the other's.
    Times(f64),
    /// Baton's figure is at most this.
    Most(f64),
    /// Baton's figure is 0.
    Zero,
    /// Only shown.
    None,
}

impl Target {
    /// Whether it was met; `None` when that can't be said.
    pub(crate) fn met(self, baton: Option<f64>, other: Option<f64>) -> Option<bool> {
        match self {
            Target::Part(part) => Some(baton? * part <= other?),
            Target::Times(times) => Some(baton? >= other? * times),
            Target::Most(most) => Some(baton? <= most),
            Target::Zero => Some(baton? == 0.0),
            Target::None => None,
        }
    }
}

/// One line of the result.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What the numbers are.
    pub(crate) unit: Unit,
    /// Baton's.
    pub(crate) baton: Samples,
    /// PM2's, where it took part (Node's, where that is what is compared with).
    pub(crate) other: Option<Samples>,
    /// What the system does without any manager, measured beside: the bound for all.
    pub(crate) floor: Option<Samples>,
    /// What was wished for.
    pub(crate) target: Target,
}

impl Row {
    /// A line from the samples of each contender.
    pub(crate) fn new(what: impl Into<String>, unit: Unit, samples: Vec<Samples>, target: Target) -> Row {
        let mut samples = samples.into_iter();
        let baton = samples.next().unwrap_or_default();
        Row { what: what.into(), unit, baton, other: samples.next(), floor: None, target }
    }

    /// With what the system does without any manager.
    pub(crate) fn above(mut self, floor: Samples) -> Row {
        self.floor = Some(floor);
        self
    }

    /// Baton's median divided by the other's.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let other = self.other.as_ref()?.median()?;
        (other > 0.0).then_some(self.baton.median()? / other)
    }

    /// Whether the target was met; `None` when that can't be said.
    pub(crate) fn met(&self) -> Option<bool> {
        self.target.met(self.baton.median(), self.other.as_ref().and_then(Samples::median))
    }
}
