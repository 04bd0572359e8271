import { hasRemoteParent, isEntry, type Span } from "../span.js";
import { viaOf } from "./address.js";
import { say } from "./cause.js";
import { type Finding, isMatch, type SpanMatch } from "./finding.js";
import { verdict } from "./verdicts.js";
import type { World } from "./world.js";

/**
 * Finds spans whose parent never arrived. The span's flags say where it was lost: a remote parent was extracted but not
 * exported, a local one was lost by the process itself. Without flags the span's kind decides.
 */
export function orphanedHalves(world: World, declared: SpanMatch | undefined): Finding[] {
  const callers = callersOf(world);
  return world.traces.flatMap((trace) =>
    trace.orphans.flatMap((span): Finding[] => {
      const remote = hasRemoteParent(span) ?? isEntry(span);
      // The caller is outside, and so is its span.
      if (remote && declared !== undefined && isMatch(span, declared)) return [];
      const via = viaOf(span);
      const from = remote ? (callers.get(callKey(span)) ?? "?") : span.service;
      return [
        {
          from,
          to: span.service,
          via,
          ok: false,
          verdict: remote
            ? verdict("PARENT_NOT_EXPORTED", { from, to: span.service, via })
            : say("IN_PROCESS_LOSS", span, span, {}),
          exit: undefined,
          entry: span,
          exact: true,
          linked: false,
          atNs: span.startNs,
        },
      ];
    }),
  );
}

// The only service that is seen to call over each hop; "?" when there are several.
function callersOf(world: World): Map<string, string> {
  const callers = new Map<string, string>();
  for (const { parent, child } of world.edges) {
    const caller = callers.get(callKey(child));
    callers.set(
      callKey(child),
      caller === undefined || caller === parent.service ? parent.service : "?",
    );
  }
  return callers;
}

function callKey(span: Span): string {
  return JSON.stringify([span.service, viaOf(span)]);
}
