/**
 * Says what is being done at once, and again every few seconds with the time it took so far, so that nobody
 * takes a download for a hang. Returns what the work returns.
 */
export async function withProgress<T>(
  say: (line: string) => void,
  what: string,
  work: () => Promise<T>,
  everySeconds = 4,
): Promise<T> {
  const began = Date.now();
  say(`${what} ...`);
  const timer = setInterval(() => {
    say(`${what} ... ${Math.round((Date.now() - began) / 1000)} s`);
  }, everySeconds * 1000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
