//! The thread that measures: a look at all processes takes milliseconds, too long for the loop.

use super::inbox::Inbox;
use super::server::Responder;
use super::weigher;
use baton_core::proto::{Reply, Usage};
use baton_core::units::{Incarnation, InstanceId};
use baton_os::clock;
use baton_os::metrics::{Leaders, Meter, Sampler};
use std::io;
use std::sync::mpsc::{Sender, channel};

/// Someone wants to know what is used.
#[derive(Debug)]
pub(super) struct Order {
    /// Whose trees.
    pub(super) leaders: Leaders,
    /// Who asked.
    pub(super) answer: Answer,
}

/// Who is told.
#[derive(Debug)]
pub(super) enum Answer {
    /// A client.
    Client(Responder),
    /// The loop, of the memory of these lives.
    Loop(Vec<(InstanceId, Incarnation)>, Inbox),
}

/// The thread.
#[derive(Debug)]
pub(super) struct Measurer(Sender<Order>);

impl Measurer {
    /// Starts the thread. It sleeps until there is an order, and remembers the last look for the processor share.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start() -> io::Result<Measurer> {
        let (sender, orders) = channel::<Order>();
        std::thread::Builder::new().name("measurer".into()).spawn(move || {
            let (mut sampler, mut meter) = (Sampler::default(), Meter::default());
            for Order { leaders, answer } in orders {
                let sampled = sampler.sample(&leaders);
                let answer = match answer {
                    Answer::Client(answer) => answer,
                    Answer::Loop(lives, inbox) => {
                        let used: Vec<_> = sampled.into_iter().map(|(id, used)| (id, used.memory)).collect();
                        weigher::tell(&lives, &used, &inbox);
                        continue;
                    }
                };
                let now = clock::now().instant;
                let usages = sampled.into_iter().map(|(id, used)| {
                    // PM2 shows one decimal.
                    let cpu = (meter.look(id, &used, now) * 10.0).round() / 10.0;
                    Usage { id, memory: used.memory, cpu }
                });
                answer.send(&Reply::Usage(usages.collect()));
            }
        })?;
        Ok(Measurer(sender))
    }

    /// Has someone told.
    pub(super) fn order(&self, order: Order) {
        // The thread ends with this sender; were it dead by a panic, the hook has told.
        let _ = self.0.send(order);
    }
}
