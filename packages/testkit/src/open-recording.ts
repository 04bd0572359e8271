/** A recording that is registered on the OpenTelemetry API, and where it began. */
interface OpenRecording {
  readonly begin: Stack;
  readonly end: () => void;
}

interface Stack {
  readonly stack?: string;
}

// One at a time, as the API takes one provider of a kind.
let open: OpenRecording | undefined;

/**
 * Makes room for a recording. One that is open is ended, and a process warning names where both began: the runner goes
 * on after a test that timed out, and the tests behind it have to record.
 *
 * @param caller - the function whose caller begins the recording.
 * @param end - unregisters the recording; called when the next one begins.
 */
export function beginRecording(caller: (...args: never) => unknown, end: () => void): void {
  const begin: Stack = {};
  Error.captureStackTrace(begin, caller);
  const left = open;
  open = { begin, end };
  if (left === undefined) return;
  left.end();
  const frames = framesOf(left.begin);
  process.emitWarning(
    `recordSpans: the recording begun at ${frames[0] ?? UNKNOWN} was open when the next one began at ` +
      `${framesOf(begin)[0] ?? UNKNOWN}, and was ended there. Did its test time out, or is a \`using\` missing?`,
    { type: "TraceferryWarning", detail: frames.map((frame) => `    at ${frame}`).join("\n") },
  );
}

/** Says that a recording is over; without effect when another one took its place. */
export function endRecording(end: () => void): void {
  if (open?.end === end) open = undefined;
}

const UNKNOWN = "an unknown place";

// Of the user's own code, nearest first.
function framesOf({ stack = "" }: Stack): string[] {
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !NOT_THEIRS.test(line))
    .map((line) => line.replace(/^\s+at /, ""));
}

const NOT_THEIRS = /\(<anonymous>\)$|[( ]node:|[\\/]node_modules[\\/]/;
