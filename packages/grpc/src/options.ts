import {
  type InstrumenterSettings,
  type Reporter,
  type TracingOptions,
  wrongOption,
} from "@traceferry/core";
import type { MetadataLike } from "./carrier/metadata.js";
import { VERSION } from "./version.js";

/** An incoming call, as the option `relation` gets it. */
export interface IncomingCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The client's metadata. The handler gets the same object: do not change it. */
  readonly metadata: MetadataLike;
  /** The client's address and port, `"unknown"` where grpc-js does not know them. */
  readonly peer: string;
}

/** Options of a traced server or client. All of them may be left out. */
export interface GrpcTracingOptions extends TracingOptions<IncomingCall> {
  /**
   * Returns true for the path of a call that gets no span: `(path) => path.startsWith("/grpc.health.v1.Health/")`.
   * Context is propagated all the same: the handler of an ignored call runs in the caller's trace, and an ignored
   * outgoing call carries the active span. A function that throws ignores nothing. Default: every call gets a span.
   */
  readonly ignore?: (path: string) => boolean;
}

/**
 * Settings of every instrumenter of this package. `maxBytes` is 4 KiB because peers refuse more: C-core (Python,
 * C++) fails calls at random when all metadata exceed 8 KiB, grpc-java's Netty drops the connection above 10 KiB.
 */
export const SETTINGS: InstrumenterSettings = {
  name: "grpc",
  scope: "@traceferry/grpc",
  version: VERSION,
  messaging: false,
  maxBytes: 4096,
};

/**
 * Returns the option `ignore` as a function that never throws, undefined where the option is not set.
 *
 * @throws TypeError when the option is not a function
 */
export function safeIgnore(
  { ignore }: GrpcTracingOptions,
  reporter: Reporter,
): ((path: string) => boolean) | undefined {
  if (ignore === undefined) return undefined;
  if (typeof ignore !== "function") throw wrongOption("ignore", "a function", ignore);
  return (path) => {
    try {
      return ignore(path) === true;
    } catch (error) {
      reporter.fault("ignore", error);
      return false;
    }
  };
}
