import { isEntry, isExit, type Span } from "../span.js";
import { meets, sendsOn, viaOf } from "./address.js";
import { say } from "./cause.js";
import type { Finding } from "./finding.js";
import { type Edge, isHop, type World } from "./world.js";

/** Lists the hops within a trace. They are whole, unless the callee continues a span around the call. */
export function heldHops(world: World, toleranceMs: number): Finding[] {
  const taken = new Set<Span>();
  return world.edges.map((edge) => {
    const { parent, child } = edge;
    const bypassed =
      isEntry(child) && !isExit(parent) ? bypassedCall(edge, world, taken, toleranceMs) : undefined;
    if (bypassed !== undefined) taken.add(bypassed);
    return {
      from: parent.service,
      to: child.service,
      via: viaOf(child),
      ok: bypassed === undefined,
      verdict: bypassed && say("WRONG_PARENT", bypassed, child, {}),
      exit: bypassed ?? parent,
      entry: child,
      exact: true,
      linked: false,
      atNs: child.startNs,
    };
  });
}

// Finds the call that the callee should have continued: below its parent, in the same process, still unanswered.
function bypassedCall(
  { parent, child, trace }: Edge,
  world: World,
  taken: ReadonlySet<Span>,
  toleranceMs: number,
): Span | undefined {
  const latest = child.startNs + BigInt(Math.round(toleranceMs * 1e6));
  const open = [...(trace.children.get(parent.spanId) ?? [])];
  for (let span = open.pop(); span !== undefined; span = open.pop()) {
    if (span.service !== parent.service || isHop(parent, span)) continue;
    const address = world.addressOf(span);
    if (
      sendsOn(span, address) &&
      !taken.has(span) &&
      world.answersTo(span).size === 0 &&
      span.startNs <= latest &&
      meets(address, world.addressOf(child))
    ) {
      return span;
    }
    for (const next of trace.children.get(span.spanId) ?? []) open.push(next);
  }
  return undefined;
}
