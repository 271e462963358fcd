class Event {
  constructor(type, options = {}) {
    this.type = type;
    this.cancelable = Boolean(options.cancelable);
    this.defaultPrevented = false;
    this.target = null;
  }
  preventDefault() { if (this.cancelable) this.defaultPrevented = true; }
}

class EventTarget {
  #listeners = new Map();
  addEventListener(type, run, options) {
    const list = this.#listeners.get(type) ?? [];
    if (!list.some((known) => known.run === run)) list.push({ run, once: Boolean(options?.once) });
    this.#listeners.set(type, list);
  }
  removeEventListener(type, run) {
    this.#listeners.set(type, (this.#listeners.get(type) ?? []).filter((known) => known.run !== run));
  }
  dispatchEvent(event) {
    event.target = this;
    for (const { run, once } of [...(this.#listeners.get(event.type) ?? [])]) {
      if (once) this.removeEventListener(event.type, run);
      if (typeof run === 'function') run.call(this, event);
      else run.handleEvent(event);
    }
    this[`on${event.type}`]?.(event);
    return !event.defaultPrevented;
  }
}

class AbortSignal extends EventTarget {
  aborted = false;
  reason = undefined;
  onabort = null;
  throwIfAborted() { if (this.aborted) throw this.reason; }
  static abort(reason) {
    const controller = new AbortController();
    controller.abort(reason);
    return controller.signal;
  }
  static timeout(delay) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError')), delay).unref();
    return controller.signal;
  }
  static any(signals) {
    const controller = new AbortController();
    for (const signal of signals) {
      if (signal.aborted) controller.abort(signal.reason);
      else signal.addEventListener('abort', () => controller.abort(signal.reason), { once: true });
    }
    return controller.signal;
  }
}

class AbortController {
  signal = new AbortSignal();
  abort(reason = new DOMException('This operation was aborted', 'AbortError')) {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.reason = reason;
    this.signal.dispatchEvent(new Event('abort'));
  }
}
module.exports = { Event, EventTarget, AbortSignal, AbortController };
