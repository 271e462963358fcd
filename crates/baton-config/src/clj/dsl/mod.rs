//! The two libraries that process files in ClojureScript are written with, built in.
//!
//! * `clobber`: `clobber.macro`, a registry that `defapp` appends to;
//! * `pm2`, `layers`: `pm2-clj.dsl`, functions that compose ecosystems (`layers` holds those built from others);
//! * `proto`: apps, mixins, profiles and stacks that are not realised yet;
//! * `merge`: the one set of rules by which all of them are merged.

pub(crate) mod clobber;
pub(crate) mod layers;
pub(crate) mod merge;
pub(crate) mod pm2;
pub(crate) mod proto;
