import { byStart } from "../assemble.js";
import { isEntry, type Span } from "../span.js";
import { addressOf, sendsOn, viaOf } from "./address.js";
import { say } from "./cause.js";
import { type Finding, isMatch, type SpanMatch } from "./finding.js";
import type { World } from "./world.js";

/**
 * Finds roots that are no entry spans and began while their process handled a request: the process lost the trace of
 * that request.
 */
export function lossesInProcess(world: World, declared: SpanMatch | undefined): Finding[] {
  const processes = shiftsByProcess(world);
  return world.traces
    .flatMap((trace) => trace.roots)
    .filter((root) => !isEntry(root) && !isHousekeeping(root))
    .filter((root) => declared === undefined || !isMatch(root, declared))
    .flatMap((root) => lossAt(root, processes.get(processOf(root))?.openAt(root) ?? []));
}

function lossAt(root: Span, [first, second]: readonly Span[]): Finding[] {
  if (first === undefined) return [];
  return [
    {
      from: root.service,
      to: root.service,
      via: viaOf(root),
      ok: false,
      verdict: say("IN_PROCESS_LOSS", first, root, {}),
      // Of two requests at the same time, either may be the one that was lost.
      exit: second === undefined ? first : undefined,
      entry: root,
      exact: false,
      linked: false,
      atNs: root.startNs,
    },
  ];
}

function shiftsByProcess(world: World): Map<string, Shift> {
  const shifts = new Map<string, Shift>();
  for (const span of world.traces.flatMap((trace) => trace.spans).filter(isEntry)) {
    const shift = shifts.get(processOf(span));
    if (shift === undefined) shifts.set(processOf(span), new Shift(span));
    else shift.add(span);
  }
  return shifts;
}

/** The entry spans of one process. */
class Shift {
  readonly #spans: Span[];
  #sorted = false;

  constructor(span: Span) {
    this.#spans = [span];
  }

  add(span: Span): void {
    this.#spans.push(span);
    this.#sorted = false;
  }

  /** At most two entry spans of other traces that ran when this span began. */
  openAt(span: Span): Span[] {
    if (!this.#sorted) this.#spans.sort(byStart);
    this.#sorted = true;
    const open: Span[] = [];
    for (const entry of this.#spans) {
      if (entry.startNs > span.startNs || open.length === 2) break;
      if (entry.endNs >= span.startNs && entry.traceId !== span.traceId) open.push(entry);
    }
    return open;
  }
}

function processOf(span: Span): string {
  return JSON.stringify([span.service, span.instance]);
}

// Polling, settling and database calls also happen between requests.
function isHousekeeping(span: Span): boolean {
  const address = addressOf(span);
  if (address.system === "db") return true;
  if (address.messaging) return span.kind !== "PRODUCER";
  return span.kind === "CLIENT" && !sendsOn(span, address);
}
