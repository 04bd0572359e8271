import type { Span } from "../span.js";
import { read, viaOf } from "./address.js";
import { type Facts, type Verdict, type VerdictCode, verdict } from "./verdicts.js";
import type { WireFinding } from "./wire.js";
import type { World } from "./world.js";

/**
 * Decides why the callee began a trace of its own: by the wire record and by the extraction attributes that
 * Traceferry's adapters write on the entry span, otherwise by which side is seen to propagate on other hops.
 */
export function causeOf(
  exit: Span,
  entry: Span,
  world: World,
  wire: WireFinding | undefined,
): Verdict {
  const extraction = read(entry, "traceferry.extraction");
  const reason = read(entry, "traceferry.extraction.reason");
  if (extraction === "ignored" || extraction === "linked") {
    return say("RESTARTED_BY_POLICY", exit, entry, { reason });
  }
  if (extraction === "invalid") {
    return say("REJECTED_FORMAT", exit, entry, { reason: wire?.rule ?? reason });
  }
  if (wire !== undefined) return say(wire.code, exit, entry, { reason: wire.rule });
  // Without a propagator the callee reads no traceparent, even if one arrived.
  if (extraction === "missing" && reason === "no_propagator") {
    return say("NOT_EXTRACTED", exit, entry, {});
  }
  if (extraction === "missing") {
    return world.sends(exit)
      ? say("DROPPED_IN_TRANSIT", exit, entry, {})
      : say("NOT_INJECTED", exit, entry, { orElse: ["DROPPED_IN_TRANSIT"] });
  }
  const [code, ...orElse] = likely(world.sends(exit), world.reads(entry));
  return say(code, exit, entry, { orElse });
}

// The causes that the spans allow, the likeliest first, when the callee has no extraction attributes.
function likely(sends: boolean, reads: boolean): [VerdictCode, ...VerdictCode[]] {
  if (sends && reads) return ["DROPPED_IN_TRANSIT", "REJECTED_FORMAT", "REJECTED_FLAGS"];
  if (sends) return ["NOT_EXTRACTED", "DROPPED_IN_TRANSIT"];
  if (reads) return ["NOT_INJECTED", "DROPPED_IN_TRANSIT"];
  return ["NOT_INJECTED", "NOT_EXTRACTED", "DROPPED_IN_TRANSIT"];
}

/** The verdict on the hop between two spans. */
export function say(
  code: VerdictCode,
  exit: Span,
  entry: Span,
  more: Pick<Facts, "reason" | "orElse">,
): Verdict {
  // The service that the hint asks to change.
  const patient = code === "NOT_INJECTED" || code === "WRONG_PARENT" ? exit : entry;
  const language = patient.resource["telemetry.sdk.language"];
  return verdict(code, {
    from: exit.service,
    to: entry.service,
    via: viaOf(entry),
    language: typeof language === "string" ? language : undefined,
    ...more,
  });
}
