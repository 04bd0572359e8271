const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Signal = (typeof SIGNALS)[number];

/** The reason that work is aborted with when the process ends by a signal. */
export const SIGNAL_RECEIVED = "the process received a signal";

const handlers = new Set<() => Promise<void>>();
const listeners = new Map<Signal, () => void>();
let stopping: Promise<void> = Promise.resolve();

/**
 * Runs the handler on SIGINT, SIGTERM and SIGHUP, and then lets the signal take its usual effect: it ends the process,
 * unless the program listens to it too. A second signal while the handler runs ends the process at once.
 *
 * @returns a function that removes the handler. In a process that is about to end by a signal its promise stays pending,
 * so that the program does not report the cancellation as a failure.
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

/** Sends the signal to this process, unless the program listens to it. Returns true when it was sent. */
function raise(signal: Signal): boolean {
  if (process.listenerCount(signal) > passiveListeners()) return false;
  return process.kill(process.pid, signal);
}

/**
 * The number of listeners that only act when nobody else listens: those of `signal-exit`, which execa and testcontainers
 * use. Its two major versions count themselves on these objects, for the same reason.
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
