import type { Span } from "../span.js";
import type { Verdict } from "./verdicts.js";

/** One place where a trace broke. */
export interface Break {
  readonly from: string;
  readonly to: string;
  readonly via: string;
  readonly verdict: Verdict;
  /** The last span above: where it went out, or in whose time the process lost it. */
  readonly exit: Span | undefined;
  /** The first span below; undefined when nothing was recorded there. */
  readonly entry: Span | undefined;
  /** Whether ids or keys join the two; else it is the time, which under load names the hop but not the request. */
  readonly exact: boolean;
}

/** One use of a hop, whole or not. */
export interface Finding extends Omit<Break, "verdict"> {
  readonly ok: boolean;
  readonly verdict: Verdict | undefined;
  /** Whether a link joins the two. */
  readonly linked: boolean;
  readonly atNs: bigint;
}
