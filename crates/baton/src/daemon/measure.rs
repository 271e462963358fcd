//! The thread that measures: a look at all processes takes milliseconds, too long for the loop.

use super::server::Responder;
use baton_core::proto::{Listing, Reply};
use baton_core::units::InstanceId;
use baton_core::world::Identity;
use baton_os::clock;
use baton_os::metrics::{Meter, sample};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Sender, channel};

/// A list to fill in and send.
#[derive(Debug)]
pub(super) struct Order {
    /// The list.
    pub(super) listing: Listing,
    /// The leaders of what runs.
    pub(super) leaders: Vec<(InstanceId, Identity)>,
    /// Who asked.
    pub(super) answer: Responder,
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
            let mut meter = Meter::default();
            for mut order in orders {
                fill_in(&mut order, &mut meter);
                order.answer.send(&Reply::List(Box::new(order.listing)));
            }
        })?;
        Ok(Measurer(sender))
    }

    /// Has a list filled in and sent.
    pub(super) fn order(&self, order: Order) {
        // The thread ends with this sender; were it dead by a panic, the hook has told.
        let _ = self.0.send(order);
    }
}

fn fill_in(order: &mut Order, meter: &mut Meter) {
    let usages: BTreeMap<_, _> = sample(&order.leaders).into_iter().collect();
    let now = clock::now().instant;
    for view in &mut order.listing.instances {
        if let Some(usage) = usages.get(&view.id) {
            view.memory = Some(usage.memory);
            // PM2 shows one decimal.
            view.cpu = Some((meter.look(view.id, usage, now) * 10.0).round() / 10.0);
        }
    }
}
