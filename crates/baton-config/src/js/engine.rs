//! One evaluation: a runtime on a thread of its own, under a time and a memory limit.
//!
//! Two guards stand behind the time limit. The interrupt handler ends JavaScript that runs too long, where no `catch`
//! can hold it up. Some native code of the engine (sorting millions of strings) does not ask the handler: for that the
//! caller waits no longer than one second past the limit, ends a running child, and leaves the thread behind.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rquickjs::promise::PromiseState;
use rquickjs::{Context, Ctx, Function, Object, Persistent, Promise, Runtime, Value};

use super::errors::{self, JsError, JsErrorKind};
use super::state::{RunningChild, State, Stop};
use super::{Evaluated, JsOptions, Source, Texts, module, natives};

/// The engine's own stack limit, in bytes: far below the thread's, because C frames of the engine come on top.
const JS_STACK: usize = 4 << 20;
const THREAD_STACK: usize = 16 << 20;

/// Garbage is collected first when this many bytes are in use: most files end before that.
const FIRST_COLLECTION: usize = 16 << 20;

/// How long after the time limit the caller gives up on the thread.
const GRACE: Duration = Duration::from_secs(1);

/// Evaluates on a new thread and waits for it.
pub(super) fn run(path: &Path, source: Source, options: &JsOptions, texts: Texts) -> Result<Evaluated, JsError> {
    let fail = |kind| JsError {
        kind: Box::new(kind),
        console: Vec::new(),
        inputs: vec![path.to_path_buf()],
        effects: Vec::new(),
    };
    let limits = options.limits;
    let path = match options.cwd.join(path).canonicalize() {
        Ok(path) => path,
        Err(_) if matches!(source, Source::Expression(_)) => options.cwd.join(path),
        Err(source) => return Err(fail(JsErrorKind::Read { path: path.to_path_buf(), source })),
    };
    let child = RunningChild::default();
    let (sender, receiver) = mpsc::channel();
    let (thread_child, options) = (child.clone(), options.clone());
    thread::Builder::new()
        .name("process-file".to_owned())
        .stack_size(THREAD_STACK)
        .spawn(move || evaluate(path, source, (options, texts), thread_child, |result| drop(sender.send(result))))
        .map_err(|error| fail(JsErrorKind::Engine(error.to_string())))?;
    // The thread is not joined: freeing the engine's heap is of no interest to a caller that has its answer.
    match receiver.recv_timeout(limits.time + GRACE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => {
            natives::kill_running(&child);
            Err(fail(JsErrorKind::Time { limit: limits.time }))
        }
        Err(RecvTimeoutError::Disconnected) => Err(fail(JsErrorKind::Engine("its thread panicked".to_owned()))),
    }
}

fn evaluate(
    path: PathBuf,
    source: Source,
    (options, texts): (JsOptions, Texts),
    child: RunningChild,
    answer: impl FnOnce(Result<Evaluated, JsError>),
) {
    let limits = options.limits;
    let state = Rc::new(State::new(options, texts, Instant::now() + limits.time, child));
    state.note_input(&path);
    let engine = match start(&state) {
        Ok(engine) => engine,
        Err(error) => {
            let kind = Box::new(JsErrorKind::Engine(error.to_string()));
            return answer(Err(JsError { kind, console: Vec::new(), inputs: vec![path], effects: Vec::new() }));
        }
    };
    let (_, context) = &engine;
    let result = context.with(|ctx| evaluate_in(&ctx, &path, source, &state));
    state.load.take();
    // What stopped the engine explains the result better than the exception that it surfaced as; and after a call
    // that was not available even a result is not to be trusted.
    let result = match state.stop.get() {
        Some(Stop::Exit(code)) => Err(Box::new(JsErrorKind::Exit { code })),
        Some(Stop::Deadline) => Err(Box::new(JsErrorKind::Time { limit: limits.time })),
        None => result,
    };
    let result = match state.unsupported() {
        Some((api, effects)) => Err(Box::new(JsErrorKind::Unsupported { api, effects })),
        None => result,
    };
    let traces = state.traces();
    answer(match result {
        Ok((value, exact)) => Ok(Evaluated {
            value,
            exact,
            inputs: traces.inputs,
            looked_for: traces.looked_for,
            directories: traces.directories,
            console: traces.console,
            undefined: traces.undefined,
            exported: traces.exported,
            traces: traces.traces,
            note: None,
        }),
        Err(kind) => {
            let inputs = traces.inputs.into_iter().chain(traces.looked_for).collect();
            Err(JsError { kind, console: traces.console, inputs, effects: traces.effects })
        }
    });
}

fn start(state: &Rc<State>) -> rquickjs::Result<(Runtime, Context)> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(usize::try_from(state.memory_limit).unwrap_or(usize::MAX));
    runtime.set_max_stack_size(JS_STACK);
    runtime.set_gc_threshold(FIRST_COLLECTION);
    let handler_state = state.clone();
    runtime.set_interrupt_handler(Some(Box::new(move || handler_state.must_stop())));
    runtime.set_loader(module::EsLoader(state.clone()), module::EsLoader(state.clone()));
    let context = Context::full(&runtime)?;
    Ok((runtime, context))
}

fn evaluate_in(
    ctx: &Ctx<'_>,
    path: &Path,
    source: Source,
    state: &Rc<State>,
) -> Result<(serde_json::Value, Option<String>), Box<JsErrorKind>> {
    let describe = |error| Box::new(errors::describe(ctx, error, state));
    let bridge = natives::core(ctx, state).and_then(|native| module::boot(ctx, native)).map_err(describe)?;
    let promise = begin(ctx, &bridge, path, source, state).map_err(describe)?;
    drive(ctx, &bridge, &promise, state)?;
    let text: Value = promise.result().unwrap_or(Err(rquickjs::Error::Unknown)).map_err(describe)?;
    let Some(text) = text.as_string() else { return Err(Box::new(JsErrorKind::Nothing)) };
    let text = text.to_string().map_err(describe)?;
    let formed = super::well_formed(&text);
    let value = serde_json::from_str(&formed).map_err(|error| Box::new(JsErrorKind::NotJson(error.to_string())))?;
    let is_exact = matches!(formed, Cow::Borrowed(_)) || *formed == *text;
    Ok((value, (!is_exact).then_some(text)))
}

fn begin<'js>(
    ctx: &Ctx<'js>,
    bridge: &Object<'js>,
    path: &Path,
    source: Source,
    state: &Rc<State>,
) -> rquickjs::Result<Promise<'js>> {
    let load: Function = bridge.get("load")?;
    state.load.replace(Some(Persistent::save(ctx, load)));
    let run: Function = bridge.get("run")?;
    let path = path.to_string_lossy().into_owned();
    match source {
        Source::File => run.call((path,)),
        Source::Expression(text) => run.call((path, text)),
    }
}

/// Runs jobs and timers until the promise has settled.
fn drive(ctx: &Ctx<'_>, bridge: &Object<'_>, promise: &Promise<'_>, state: &State) -> Result<(), Box<JsErrorKind>> {
    let describe = |error| Box::new(errors::describe(ctx, error, state));
    let time = || Box::new(JsErrorKind::Time { limit: Duration::ZERO });
    // Nothing is ever sent: waiting on it is how a thread waits for a point in time.
    let (_never, timer) = mpsc::channel::<()>();
    while promise.state() == PromiseState::Pending {
        // The caller words the end: what is returned here is replaced by the reason in `stop`.
        if state.must_stop() {
            return Err(time());
        }
        if ctx.execute_pending_job() {
            continue;
        }
        let until: Function = bridge.get("untilTimer").map_err(describe)?;
        let until: f64 = until.call(()).map_err(describe)?;
        if until < 0.0 {
            return Err(Box::new(JsErrorKind::NeverSettles));
        }
        let until = Duration::try_from_secs_f64(until / 1000.0).unwrap_or(Duration::MAX);
        if !until.is_zero() {
            let _timed_out = timer.recv_timeout(until.min(state.left()));
        }
        if state.must_stop() {
            return Err(time());
        }
        let run: Function = bridge.get("runTimers").map_err(describe)?;
        run.call::<_, ()>(()).map_err(describe)?;
    }
    Ok(())
}
