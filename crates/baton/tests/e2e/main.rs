//! End-to-end tests: the real program, real processes, real signals.
//!
//! One binary, because a link for each file would cost more than the tests. Add a test beside the promise it proves.

mod beside_pm2;
mod harness;
mod installed;
mod load;

mod attach;
mod bad_input;
mod boot;
mod care;
mod channel;
mod chaos;
mod clojure;
mod cluster;
mod company;
mod containers;
mod dashboard;
mod dependencies;
mod deploy;
mod documents;
mod environment;
mod events;
mod externals;
mod files;
mod health;
mod heartbeat;
mod hooks;
mod idle;
mod limits;
mod log_files;
mod logs;
mod pages;
mod pm2_client;
mod preload;
mod programs;
mod projects;
mod readiness;
mod reload;
mod restarts;
mod rotation;
mod schedule;
mod serve;
mod servers;
mod sockets;
mod sources;
mod starting;
mod survival;
mod sync;
mod sync_history;
mod sync_watch;
mod telling;
mod units;
mod verbs;
mod versions;
mod watch;
