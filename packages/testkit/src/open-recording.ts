/** A recording that is registered on the OpenTelemetry API, with the stack of its begin. */
interface OpenRecording {
  readonly begin: Stack;
  readonly end: () => void;
}

interface Stack {
  readonly stack?: string;
}

const UNKNOWN = "an unknown place";
const FOREIGN_FRAME = /\(<anonymous>\)$|[( ]node:|[\\/]node_modules[\\/]/;

// Only one at a time, because the API takes one global provider of each kind.
let open: OpenRecording | undefined;

/**
 * Begins a recording and ends the one that is open, with a process warning of where both began: after a test that timed
 * out the runner goes on, and the next tests have to record.
 *
 * @param caller - the function whose caller begins the recording
 * @param end - unregisters the recording; called when the next one begins
 */
export function beginRecording(caller: (...args: never) => unknown, end: () => void): void {
  const begin: Stack = {};
  Error.captureStackTrace(begin, caller);
  const abandoned = open;
  open = { begin, end };
  if (abandoned === undefined) return;
  abandoned.end();
  const frames = framesOf(abandoned.begin);
  process.emitWarning(
    `recordSpans: the recording begun at ${frames[0] ?? UNKNOWN} was open when the next one began at ` +
      `${framesOf(begin)[0] ?? UNKNOWN}, and was ended there. Did its test time out, or is a \`using\` missing?`,
    { type: "TraceferryWarning", detail: frames.map((frame) => `    at ${frame}`).join("\n") },
  );
}

/** Marks a recording as ended; without effect when another one is open. */
export function endRecording(end: () => void): void {
  if (open?.end === end) open = undefined;
}

// The frames of the user's code, innermost first.
function framesOf({ stack = "" }: Stack): string[] {
  return stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !FOREIGN_FRAME.test(line))
    .map((line) => line.replace(/^\s+at /, ""));
}
