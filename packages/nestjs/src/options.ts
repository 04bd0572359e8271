import { type IncomingMessage, validateHeaderName } from "node:http";
import { type InstrumenterSettings, type TracingOptions, wrongOption } from "@traceferry/core";
import { VERSION } from "./version.js";

/**
 * Matches HTTP requests by their path without the query: the exact path, an expression that matches it, or a
 * function that returns true. A function that throws matches nothing.
 */
export type IgnoreRule = string | RegExp | ((request: IncomingMessage) => boolean);

/**
 * The options of `TracingModule` and `TracingInterceptor`. All may be left out. A function as `relation` is called
 * with the `IncomingMessage` of an HTTP request, the call of gRPC, or the context that Nest gives a message handler,
 * for example a `KafkaContext`.
 */
export interface TracingModuleOptions extends TracingOptions<unknown> {
  /**
   * HTTP requests that get no span, for example health checks. The context of their sender is still active, so
   * that what they call stays in its trace. Default: none.
   */
  readonly ignore?: IgnoreRule | readonly IgnoreRule[];
  /**
   * The response header with the trace id, also on error responses; `false` for none.
   * Default: `"X-Trace-Id"`.
   */
  readonly responseHeader?: string | false;
}

/** The injection token of the module's options. Every copy of this package has the same. */
export const TRACING_OPTIONS: unique symbol = Symbol.for("@traceferry/nestjs options");

/** The options for HTTP alone, with their defaults filled in. */
export interface HttpOptions {
  readonly ignore: readonly IgnoreRule[];
  readonly responseHeader: string | false;
}

/**
 * Checks the options for HTTP and fills in their defaults.
 *
 * @throws TypeError when an option is wrong; it names the option and its value.
 */
export function resolveHttpOptions(options: TracingModuleOptions): HttpOptions {
  const { ignore = [], responseHeader = "X-Trace-Id" } = options;
  const rules: readonly unknown[] = Array.isArray(ignore) ? ignore : [ignore];
  if (!rules.every(isIgnoreRule)) {
    throw wrongOption("ignore", "a path, a RegExp, a function, or a list of these", ignore);
  }
  if (responseHeader !== false && !isHeaderName(responseHeader)) {
    throw wrongOption("responseHeader", "the name of a header, or false", responseHeader);
  }
  return { ignore: rules, responseHeader };
}

function isIgnoreRule(rule: unknown): rule is IgnoreRule {
  return typeof rule === "string" || typeof rule === "function" || rule instanceof RegExp;
}

function isHeaderName(name: unknown): boolean {
  if (typeof name !== "string") return false;
  try {
    validateHeaderName(name);
    return true;
  } catch {
    return false;
  }
}

const SETTINGS = {
  name: "nestjs",
  scope: "@traceferry/nestjs",
  version: VERSION,
  maxBytes: 8192,
} as const;

/** The settings of an instrumenter for messages, whose spans also link their sender. */
export const MESSAGE_SETTINGS: InstrumenterSettings = { ...SETTINGS, messaging: true };

/** The settings of an instrumenter for HTTP requests and RPC calls. */
export const CALL_SETTINGS: InstrumenterSettings = { ...SETTINGS, messaging: false };
