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
  done: () => void,
  fail: (error: unknown) => void,
): void {
  if (stream.closed === true) {
    if (stream.errored) fail(stream.errored);
    else done();
    return;
  }
  // `errorMonitor` sees the error without being the handler that a stream must have.
  stream.once(errorMonitor, fail);
  stream.once("close", done);
  // Streams of older libraries, and those told to, do not close: they are over when both of their sides are.
  let sides = Number(stream.readable === true) + Number(stream.writable === true);
  const sideDone = (): void => {
    sides--;
    if (sides === 0) done();
  };
  if (stream.readable === true) stream.once("end", sideDone);
  if (stream.writable === true) stream.once("finish", sideDone);
}
