import { byStart } from "../assemble.js";
import { isEntry, type Span } from "../span.js";
import { addressOf, sendsOn, viaOf } from "./address.js";
import { say } from "./cause.js";
import type { Finding } from "./finding.js";
import { isMatch, type SpanMatch } from "./span-match.js";
import type { World } from "./world.js";

/** Roots that are no entries, made while their own process was working for somebody: it forgot for whom. */
export function lossesInProcess(world: World, declared: SpanMatch | undefined): Finding[] {
  const processes = new Map<string, Shift>();
  for (const trace of world.traces) {
    for (const span of trace.spans) {
      if (!isEntry(span)) continue;
      const shift = processes.get(processOf(span));
      if (shift === undefined) processes.set(processOf(span), new Shift(span));
      else shift.add(span);
    }
  }
  const findings: Finding[] = [];
  for (const root of world.traces.flatMap((trace) => trace.roots)) {
    if (isEntry(root) || isHousekeeping(root)) continue;
    if (declared !== undefined && isMatch(root, declared)) continue;
    const open = processes.get(processOf(root))?.openAt(root) ?? [];
    const [first, second] = open;
    if (first === undefined) continue;
    findings.push({
      from: root.service,
      to: root.service,
      via: viaOf(root),
      ok: false,
      verdict: say("IN_PROCESS_LOSS", first, root, {}),
      // With two at work nobody can say which of them it was for.
      exit: second === undefined ? first : undefined,
      entry: root,
      exact: false,
      linked: false,
      atNs: root.startNs,
    });
  }
  return findings;
}

/** The entry spans of one process: who was being served when. */
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

  /** At most two of the entries that were open when the span began. */
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

// Polling, settling and talking to a database go on between requests as well.
function isHousekeeping(span: Span): boolean {
  const address = addressOf(span);
  if (address.system === "db") return true;
  if (address.messaging) return span.kind !== "PRODUCER";
  return span.kind === "CLIENT" && !sendsOn(span, address);
}
