import { errorMonitor } from "node:events";

/** As much of a Node stream, of any age, as is looked at. */
interface StreamLike {
  once(event: string | symbol, listener: (error: unknown) => void): unknown;
  readonly pipe: unknown;
  readonly readable?: unknown;
  readonly writable?: unknown;
  readonly closed?: unknown;
  readonly errored?: unknown;
}

export function isStream(value: object): value is StreamLike {
  return (
    "pipe" in value &&
    typeof value.pipe === "function" &&
    "once" in value &&
    typeof value.once === "function"
  );
}

/** Tells when a stream has ended, closed or failed, without taking part in it. May tell twice: it ends, then closes. */
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
  // `errorMonitor` sees the error without being the handler that a stream must have.
  stream.once(errorMonitor, onError);
  stream.once("close", onDone);
  // Streams of older libraries, and those told to, do not close: they are over when both of their sides are.
  let openSides = Number(stream.readable === true) + Number(stream.writable === true);
  const onSideDone = (): void => {
    openSides--;
    if (openSides === 0) onDone();
  };
  if (stream.readable === true) stream.once("end", onSideDone);
  if (stream.writable === true) stream.once("finish", onSideDone);
}
