import { errorMonitor } from "node:events";

/** The members of a Node stream, of any version, that are used here. */
interface StreamLike {
  once(event: string | symbol, listener: (error: unknown) => void): unknown;
  readonly pipe: unknown;
  readonly readable?: unknown;
  readonly writable?: unknown;
  readonly closed?: unknown;
  readonly errored?: unknown;
}

/** True for a Node stream, also one of an older library. */
export function isStream(value: object): value is StreamLike {
  return (
    "pipe" in value &&
    typeof value.pipe === "function" &&
    "once" in value &&
    typeof value.once === "function"
  );
}

/** Calls back when a stream has ended, closed or failed, without consuming it. May call twice: it ends, then closes. */
export function watchStream(
  stream: StreamLike,
  onDone: () => void,
  onError: (error: unknown) => void,
): void {
  if (stream.closed === true) {
    if (stream.errored) onError(stream.errored);
    else onDone();
    return;
  }
  // A listener for `errorMonitor` sees the error, and leaves it unhandled where nobody else handles it.
  stream.once(errorMonitor, onError);
  stream.once("close", onDone);
  // Streams of older libraries, and those with `emitClose: false`, never close: they end when both sides have ended.
  let openSides = Number(stream.readable === true) + Number(stream.writable === true);
  const onSideDone = (): void => {
    openSides--;
    if (openSides === 0) onDone();
  };
  if (stream.readable === true) stream.once("end", onSideDone);
  if (stream.writable === true) stream.once("finish", onSideDone);
}
