import {
  type InstrumenterSettings,
  type Reporter,
  type TracingOptions,
  wrongOption,
} from "@traceferry/core";
import type { MetadataLike } from "./carrier/metadata.js";
import { VERSION } from "./version.js";

/** A call that has come in: what the option `relation` is asked about. */
export interface IncomingCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The client's metadata. It is the handler's too: read it, leave it as it is. */
  readonly metadata: MetadataLike;
  /** The address and port of the client, `"unknown"` where it cannot be told. */
  readonly peer: string;
}

/** What the tracing of a server or a client takes. All of it may be left out. */
export interface GrpcTracingOptions extends TracingOptions<IncomingCall> {
  /**
   * Calls that get no span, by their path: `(path) => path.startsWith("/grpc.health.v1.Health/")`. Context
   * passes all the same: a handler works in its caller's trace, a call that goes out carries the active span.
   * A function that throws ignores nothing. Default: no call is ignored.
   */
  readonly ignore?: (path: string) => boolean;
}

/**
 * What the gRPC instrumenter says of itself. 4 KiB, because peers refuse more: C-core (Python, C++) at random
 * above 8 KiB for all metadata together, grpc-java's Netty at 10 KiB and then for the whole connection.
 */
export const SETTINGS: InstrumenterSettings = {
  name: "grpc",
  scope: "@traceferry/grpc",
  version: VERSION,
  messaging: false,
  maxBytes: 4096,
};

/**
 * The option `ignore` as a function that never throws.
 *
 * @throws TypeError when it is no function.
 */
export function ignoreOf(
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
