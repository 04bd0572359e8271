const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Signal = (typeof SIGNALS)[number];

const handlers = new Set<() => Promise<void>>();
const listeners = new Map<Signal, () => void>();
let stopping: Promise<void> = Promise.resolve();

/**
 * Runs `end` when this process is told to stop, and then lets the signal do what it would have done without us:
 * the process ends by it, unless the program listens to it as well and decides for itself. A second signal
 * while `end` runs ends the process at once.
 *
 * Returns the way to forget about it. That is not fulfilled in a process that is about to end by the signal, so that
 * a program is not told of a failure that is none.
 */
export function endOnSignal(handler: () => Promise<void>): () => Promise<void> {
  handlers.add(handler);
  if (listeners.size === 0) {
    for (const signal of SIGNALS) {
      const listener = () => {
        stopping = endAll(signal);
      };
      listeners.set(signal, listener);
      process.once(signal, listener);
    }
  }
  return () => {
    handlers.delete(handler);
    if (handlers.size === 0) stopListening();
    return stopping;
  };
}

async function endAll(signal: Signal): Promise<void> {
  const second = () => {
    process.removeListener(signal, second);
    raise(signal);
  };
  process.once(signal, second);
  await Promise.allSettled([...handlers].map((handler) => handler()));
  process.removeListener(signal, second);
  stopListening();
  if (raise(signal)) await new Promise<never>(() => {});
}

function stopListening(): void {
  for (const [signal, listener] of listeners) process.removeListener(signal, listener);
  listeners.clear();
}

/** True when the signal is on its way, and nobody is there to keep it from ending the process. */
function raise(signal: Signal): boolean {
  if (process.listenerCount(signal) > passiveListeners()) return false;
  return process.kill(process.pid, signal);
}

/**
 * Listeners that never decide anything: `signal-exit` (below execa and testcontainers) only acts when nobody else
 * listens. Its two lines publish their number on these objects, for the same reason as here.
 */
function passiveListeners(): number {
  const emitters: unknown[] = [
    Reflect.get(process, "__signal_exit_emitter__"),
    Reflect.get(globalThis, Symbol.for("signal-exit emitter")),
  ];
  return emitters.reduce<number>((sum, emitter) => {
    const count: unknown =
      typeof emitter === "object" && emitter !== null ? Reflect.get(emitter, "count") : 0;
    return sum + (typeof count === "number" ? count : 0);
  }, 0);
}
