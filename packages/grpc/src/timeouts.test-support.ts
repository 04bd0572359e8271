/** For tests of many values or calls: a busy machine may be slow with them, which is no failure. */
export const SLOW_TEST = { timeout: 60_000 };
