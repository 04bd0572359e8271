import { hasRemoteParent, isEntry, isExit, type Span } from "../span.js";
import { read, viaOf } from "./address.js";
import { say } from "./cause.js";
import type { Finding } from "./finding.js";
import type { World } from "./world.js";

/**
 * Spans that link to the trace of another service instead of continuing it. On messages that is a mode (batches,
 * schedulers); where our adapter says that a policy restarted a call, it is a break.
 */
export function linkedHalves(world: World): Finding[] {
  const findings: Finding[] = [];
  for (const trace of world.traces) {
    for (const span of trace.spans) {
      if (span.links.length === 0 || !isEntry(span) || hasRemoteParent(span) === true) continue;
      for (const link of span.links) {
        const there = link.traceId === span.traceId ? undefined : world.traceOf(link.traceId);
        const target = there?.byId.get(link.spanId);
        if (there === undefined || target === undefined) continue;
        if (target.service === span.service && !isExit(target)) continue;
        world.answer(target, span.service, there);
        findings.push(findingOf(target, span));
      }
    }
  }
  return findings;
}

function findingOf(target: Span, span: Span): Finding {
  const restarted = read(span, "traceferry.extraction") !== undefined;
  const reason = read(span, "traceferry.extraction.reason");
  return {
    from: target.service,
    to: span.service,
    via: viaOf(span),
    ok: !restarted || span.kind === "CONSUMER",
    verdict: restarted
      ? say("RESTARTED_BY_POLICY", target, span, { reason })
      : say("LINK_NOT_PARENT", target, span, {}),
    exit: target,
    entry: span,
    exact: true,
    linked: true,
    atNs: span.startNs,
  };
}
