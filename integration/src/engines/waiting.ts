/**
 * Waits for the work, or throws the reason of the signal as soon as it is aborted. The work itself goes on and has to be
 * ended elsewhere.
 */
export async function abortable<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Logs what the work does at once, and then every four seconds with the time it has taken, so that a download does not
 * look like a hang. Returns the result of the work.
 */
export async function withProgress<T>(
  log: (line: string) => void,
  what: string,
  work: () => Promise<T>,
  everySeconds = 4,
): Promise<T> {
  const began = Date.now();
  log(`${what} ...`);
  const timer = setInterval(() => {
    log(`${what} ... ${Math.round((Date.now() - began) / 1000)} s`);
  }, everySeconds * 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
