import type { Span, SpanKind } from "../span.js";
import type { Verdict } from "./verdicts.js";

/** A use of a hop that lost the trace, with the verdict why; among the links, one that a link joins. */
export interface Break {
  /** The calling service; "?" when its span never arrived. */
  readonly from: string;
  /** The called service. */
  readonly to: string;
  /** Transport and destination: "grpc shop.v1.Orders/Place", "kafka orders". */
  readonly via: string;
  readonly verdict: Verdict;
  /** The last span above the break: the exit span, or the one during which the process lost the trace. */
  readonly exit: Span | undefined;
  /** The first span below the break; undefined when nothing was recorded there. */
  readonly entry: Span | undefined;
  /** True when ids or keys join the two spans. By time alone, under load the hop is right but often not the request. */
  readonly exact: boolean;
}

/** One use of a hop, whole or broken; a `Break` is made of one that has a verdict. */
export interface Finding extends Omit<Break, "verdict"> {
  /** False when the trace broke here. */
  readonly ok: boolean;
  readonly verdict: Verdict | undefined;
  /** True when a link joins the two spans. */
  readonly linked: boolean;
  /** The time of the hop, for sorting. */
  readonly atNs: bigint;
}

/** Describes a span; fields that are left out match any span. */
export interface SpanMatch {
  readonly service?: string;
  readonly name?: string;
  readonly kind?: SpanKind;
}

/** True when the span has all fields of the description. */
export function isMatch(span: Span, match: SpanMatch): boolean {
  return (
    (match.service === undefined || span.service === match.service) &&
    (match.name === undefined || span.name === match.name) &&
    (match.kind === undefined || span.kind === match.kind)
  );
}
