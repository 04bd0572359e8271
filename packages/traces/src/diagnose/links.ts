import { hasRemoteParent, isEntry, isExit, type Span } from "../span.js";
import { read, viaOf } from "./address.js";
import { say } from "./cause.js";
import type { Finding } from "./finding.js";
import type { World } from "./world.js";

/**
 * Finds entry spans that link to the trace of another service instead of continuing it. For messages that is a choice
 * (batches, schedulers); for a call whose trace was restarted by a policy of Traceferry's adapter it is a break.
 */
export function linkedHalves(world: World): Finding[] {
  return world.traces
    .flatMap((trace) => trace.spans)
    .filter((span) => span.links.length > 0 && isEntry(span) && hasRemoteParent(span) !== true)
    .flatMap((span) => linksOf(span, world));
}

function linksOf(span: Span, world: World): Finding[] {
  const findings: Finding[] = [];
  for (const { traceId, spanId } of span.links) {
    const trace = traceId === span.traceId ? undefined : world.traceOf(traceId);
    const target = trace?.byId.get(spanId);
    if (trace === undefined || target === undefined) continue;
    if (target.service === span.service && !isExit(target)) continue;
    world.answer(target, span.service, trace);
    findings.push(findingOf(target, span));
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
